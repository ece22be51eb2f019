#pragma once
// One process of the box, in all its lives.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "os/fd.h"
#include "os/process.h"
#include "supervise/backoff.h"
#include "supervise/lines.h"
#include "supervise/memory.h"

namespace onebox::supervise {

struct Generation;

enum class Role : unsigned char { kFront, kBroker, kAcme, kZygote, kAppWorker, kTaskWorker };

// What runs the app: numbered, forked by a zygote or started by itself.
inline bool IsWorker(Role role) {
  return role == Role::kAppWorker || role == Role::kTaskWorker;
}

// A fork of the supervisor, which speaks on its control socket and says that it is alive.
inline bool IsFork(Role role) {
  return role == Role::kFront || role == Role::kBroker || role == Role::kAcme;
}
// What the box can serve without for a while: its end at the start is not that of the box.
inline bool IsBeside(Role role) {
  return role == Role::kBroker || role == Role::kTaskWorker || role == Role::kAcme;
}

// waiting -> booting -> ready -> (ending) -> waiting, or gone for good. It has a child in all of
// them but waiting; a worker that boots has none before its zygote has said which.
enum class Life : unsigned char { kWaiting, kBooting, kReady, kEnding };

std::string_view NameOf(Role role);
std::string_view NameOf(Life life);

// A worker that was forked ahead of time, and is nobody until the zygote tells it its number.
struct Standby {
  os::Child child;
  Time since;
};

struct Process {
  Process(Role its_role, std::shared_ptr<Generation> its_generation, const Clock& clock)
      : role(its_role),
        generation(std::move(its_generation)),
        backoff(clock),
        start_at(clock.Now()) {}

  // "front [4711]", "worker 2 [4712]"
  std::string name() const;
  bool alive() const { return child.has_value(); }
  // Forked by the zygote, which has not said its pid yet.
  bool awaited() const { return !alive() && (life == Life::kBooting || life == Life::kReady); }
  // Its hooks hear of the end of every worker, and of the box's last of all.
  bool HoldsHooks() const { return hooks && alive() && !goes && life != Life::kBooting; }
  // What it has said while it booted, once; where that was too much to hold, its last lines.
  std::string TakeStory();
  void Signal(int signal) const {
    if (child) child->Signal(signal);
  }

  Role role;
  std::shared_ptr<Generation> generation;  // what it was started for
  Backoff backoff;
  Life life = Life::kWaiting;
  std::optional<os::Child> child;
  os::Fd output;  // what a worker or zygote prints
  Lines lines;
  std::vector<std::string> held;  // lines that wait for the boot to succeed or fail
  bool holds = false;
  bool goes = false;    // it is not started again
  bool dumped = false;  // it has not got ready in time, and was asked where it stands
  int restarts = 0;
  Time started{};
  Time start_at;              // when waiting: the time of the next start
  Time end_by = Time::max();  // when ending, or booting: killed then
  os::Fd control = {};        // to a fork, or a zygote

  bool hooks = false;              // of a zygote: it runs those of a gunicorn.conf.py
  std::optional<Standby> standby;  // of a zygote

  std::size_t app = 0;  // of a zygote or a worker: its place among the apps of its generation
  int number = 0;       // of a worker: from 1, unique among the living
  std::string leaves_because;  // of a worker: why another is to take its place; empty: it stays
  Time recycle_at = Time::max();
  bool retired = false;  // the front, or the broker, gives it no more
  bool lost = false;     // awaited, of a zygote that has ended
  WorkerMemory memory;

  Time spoke_at{};                  // of a fork: when it was heard last
  std::string upstreams = {};       // of a front: what it said of other servers, as JSON; or empty
  std::string apps = {};            // likewise of its apps, where there are several
  std::string attach_name;          // of a front or a broker: where its workers find it
  std::vector<os::Fd> attach = {};  // and the sockets behind it
  std::size_t first_lane = 0;       // of the metrics, within those of all fronts
};

}  // namespace onebox::supervise
