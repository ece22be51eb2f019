#pragma once
// The supervisor: opens the listeners, starts front and workers, replaces what dies, ends it all.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "os/handed_over.h"
#include "os/inquiry.h"
#include "os/privileges.h"
#include "os/process.h"
#include "supervise/app_watch.h"
#include "supervise/heritage.h"
#include "supervise/listeners.h"
#include "supervise/memory.h"
#include "supervise/notifier.h"
#include "supervise/process.h"
#include "supervise/scaling.h"
#include "telemetry/log.h"

namespace onebox::supervise {

// Whether the app is imported once, by a zygote that forks the workers. kAuto: unless the import
// leaves something behind that must not be forked.
enum class Preload : unsigned char { kOff, kAuto, kOn };

// What runs a request in a worker; a task is run by threads.
enum class WorkerClass : unsigned char { kThreads, kGevent };

// "threads" or "greenlets".
std::string_view NameOfUnits(WorkerClass worker_class);

// What the hour of the day asks for.
struct WorkersByClock {
  unsigned count = 0;  // at least; 0: nothing
  std::string reason;  // one sentence, without a full stop
};

// What the first app is called where there are others.
inline constexpr std::string_view kFirstAppName = "main";

// One app: what is loaded, and the workers that run it.
struct AppSettings {
  std::string name;            // of the first: none; of each other, for people and in front_print
  unsigned workers = 1;        // at the start
  std::string workers_reason;  // why so many, for people
  ScalingLimits scaling{};     // where its ends differ: the number follows the load
  std::function<WorkersByClock()> workers_by_clock;  // none: the hour does not matter
  WorkerClass worker_class = WorkerClass::kThreads;
  unsigned threads = 1;  // of each; with kGevent greenlets
  Preload preload = Preload::kOff;
  bool hooks = false;  // of a gunicorn.conf.py: a zygote runs them, also without importing the app
  Duration request_timeout = std::chrono::seconds(30);  // the longest that a request may run
  Duration boot_timeout = std::chrono::minutes(5);      // from a worker's start to its readiness
  Duration recycle_age{};  // of a worker; 0: it may get as old as it likes
  MemoryLimits memory{};   // of a worker
  std::string health;      // a path that the app must answer before it serves; empty: not asked
  std::vector<std::string> warm_up;  // paths that it is asked for once before
  std::string python;                // the interpreter
  std::string python_side;           // the folder that it runs: `PYTHON PYTHON_SIDE worker ...`
  std::string target;
  std::string chdir;
  std::vector<std::string> worker_words;  // at the end of a worker's command line
  os::Variables environment;              // of the workers
};

struct BoxSettings {
  std::string version;
  std::string state;  // folder, absolute; locked while the box runs
  Addresses listen;
  unsigned reactors = 1;
  Duration drain_timeout{};

  // The first has the hooks, follows the load where its number may, and runs tasks and jobs. One
  // without a target: there is no app. The names are all different.
  std::vector<AppSettings> apps = std::vector<AppSettings>(1);
  std::uint64_t memory_max{};     // of all workers together: beyond it none is started besides
  os::Confinement confinement;    // of front, zygotes and workers
  std::vector<std::string> logs;  // files that the front writes as its user
  WatchSettings watch;            // where it is on, a change is a reload

  std::vector<std::string> start_lines;  // machine and plan, shown below the addresses

  std::function<int(FrontHeritage)> front;  // the front's life, in a process of its own
  std::string front_print;  // all that it was told: another text needs another front

  std::string data;           // folder of what outlives a restart, absolute; empty: there is none
  unsigned task_workers = 1;  // once there is a task or a job
  unsigned task_threads = 4;  // of each
  Duration task_timeout = std::chrono::hours(1);  // the longest that is to be waited for a task
  bool broker_at_start = false;  // else with the first who has a task, a job or a question
  std::function<int(BrokerHeritage)> broker;  // the broker's life; none: there is none
  std::string broker_print;                   // as front_print

  std::function<int(os::Fd control)>
      acme;                // the life of who obtains certificates; none: nobody does
  std::string acme_print;  // as front_print
};

// What the front counts, as status shows it.
struct Traffic {
  std::uint64_t workers_busy = 0;  // threads that run a request
  std::uint64_t queue = 0;
  std::uint64_t limit = 0;  // requests that may run at once
  std::uint64_t connections = 0;
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;
  // The response cache: what it did with requests, and why answers were not kept; those that are not 0.
  std::uint64_t kept = 0;
  std::uint64_t kept_bytes = 0;
  std::vector<std::pair<std::string_view, std::uint64_t>> cached{};
  std::vector<std::pair<std::string_view, std::uint64_t>> not_stored{};
};

struct WorkersNow {
  std::uint64_t starting = 0;
  std::uint64_t ready = 0;
  std::uint64_t threads = 0;  // of those that are ready

  bool operator==(const WorkersNow&) const = default;
};

// What main/ gives: what the supervisor works with and knows nothing of.
struct Outside {
  const Clock& clock;
  telemetry::Log& log;
  std::function<void(std::string_view)> print;  // text for the operator's terminal
  // What holds now, for a reload; an Error with all that is wrong.
  std::function<os::Asked<Result<BoxSettings>>()> ask_settings;
  // Whether the program that is to take our place would start.
  std::function<os::Asked<Status>()> check_successor;
  // Becomes it; `left` is what it inherits. Returns only where it cannot.
  std::function<Error(const os::Fd& left)> succeed;
  std::size_t lanes_max = 1;     // of the metrics, for one front; there are twice as many
  int memory = -1;               // a descriptor of what all workers share; -1: nothing
  std::string memory_name = {};  // of it, as /proc/PID/smaps has it

  std::function<Traffic()> traffic;  // for status
  std::function<void(Role)> started;
  std::function<void(Role)> died;  // and nobody has asked for it
  std::function<void(std::size_t first_lane)> front_ended;
  std::function<void(const WorkersNow&)> workers_changed;

  // Of the service manager that has started us.
  NotifyWish notify = {};
  std::vector<os::HandedOver> handed_over = {};  // the box takes them; settings.listen names them
};

// Runs the box until a signal ends it. `inherited`: what the program has left whose place we take; not
// valid: none. The exit status: 0, or 1 where it could not start (the reason has been printed).
// REQUIRES: this process has one thread.
int RunBox(const BoxSettings& settings, const Outside& outside, os::Fd inherited = {});

}  // namespace onebox::supervise
