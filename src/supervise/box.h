#pragma once
// The box: all processes of one `onebox run`, and one thread that starts, hears and ends them.
//
// Its parts are apart by what they are about: box_messages.cc, box_deaths.cc, box_pool.cc, box_starts.cc,
// box_reload.cc, box_upgrade.cc, box_status.cc; box.cc has the loop that calls them.

#include <chrono>
#include <csignal>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/result.h"
#include "os/fd.h"
#include "os/inquiry.h"
#include "os/machine.h"
#include "os/signal.h"
#include "supervise/app_watch.h"
#include "supervise/control.h"
#include "supervise/generation.h"
#include "supervise/heritage.h"
#include "supervise/listeners.h"
#include "supervise/news.h"
#include "supervise/notifier.h"
#include "supervise/pool.h"
#include "supervise/process.h"
#include "supervise/scaling.h"
#include "supervise/succession.h"
#include "supervise/supervisor.h"
#include "supervise/zygote.h"

namespace onebox::supervise {

inline constexpr Duration kDrainGrace =
    std::chrono::seconds(2);  // for a front that is late with its own end
inline constexpr Duration kWorkerGrace =
    std::chrono::seconds(2);  // for a worker, after its longest request
inline constexpr Duration kEndTimeout =
    std::chrono::seconds(5);  // from SIGTERM to SIGKILL; for the last hook
inline constexpr std::initializer_list<int> kSignals =
    {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD, SIGTTIN, SIGTTOU, SIGALRM};

// booting -> (broken ->) serving -> draining -> ending -> gone; from any phase to ending.
// Booting ends with the first time that the front and every worker are ready; what dies in it before
// any worker was ready ends the box, or where files are watched breaks it: there is a front and no
// worker until a reload succeeds. While serving or draining, what dies is started again.
// Draining: the listeners are closed and the front finishes what it holds. Ending: SIGTERM to all.
enum class Phase : unsigned char { kBooting, kBroken, kServing, kDraining, kEnding, kGone };

// reading settings -> (zygotes load) -> the first worker of each app boots -> taken over -> all wanted are
// ready.
// Until it is taken over, whatever fails in it ends it, and the generation before serves on.
struct Reload {
  std::optional<os::Asked<Result<BoxSettings>>> settings;  // while they are read
  std::shared_ptr<Generation> generation;                  // from then on
  std::vector<Process*> first;                             // worker of each app, in their order
  bool taken_over = false;
  std::vector<ControlSocket::Client> askers;
  Time began{};
  Time give_up_at = Time::max();  // once taken over: those that are missing do not come
};

class Box {
 public:
  Box(BoxSettings settings, const Outside& outside)
      : outside_(outside),
        now_(std::make_shared<Generation>(Generation{.settings = std::move(settings)})),
        began_(outside.clock.Now()),
        notifier_(outside.clock, outside.log),
        watch_(outside.clock, outside.log) {
    BeginScaling(app().workers);
  }

  // Once, before Run(), one of the two.
  Status Open();
  Status Inherit(const os::Fd& left);
  int Run();
  void CloseListeners() { listeners_.Close(); }
  void RemovePaths();

 private:
  const BoxSettings& settings() const { return now_->settings; }
  const AppSettings& app() const { return now_->first(); }
  Process* zygote() const { return now_->apps.front().zygote; }  // of the first app
  std::string StartLines() const;

  void Turn();
  std::vector<int> WantedFds() const;
  std::optional<Duration> UntilNextDeadline() const;

  // What others say.
  void TakeSignals();
  void TakeSignal(int number);
  void ReopenLogs();
  void TakeNews(Process& speaker);
  void Take(Process& speaker, const News& news);
  void ServeWithoutApp(const Process& front);
  void TakeWorkerReady(const News& news);
  void TakeWorkerStuck(const News& news);
  void TakeZygoteNews(Process& zygote);
  void Take(Process& zygote, const ZygoteNews& news);
  void TakeForked(const Process& zygote, const ZygoteNews& news);
  void EndStray(int number, pid_t pid);
  void Adopt(Process& worker, pid_t pid);
  void FailFork(Process& worker, const std::string& reason);
  void TakeOutput(Process& process);
  void TakeLine(Process& process, std::string_view line);
  void ReleaseHeld(Process& process);
  std::optional<ControlSocket::Answered> AnswerQuestion(std::string_view question,
                                                        ControlSocket::Client from);

  // Deaths.
  void TakeDeath(Process& process);
  void TakeLastOutput(Process& process);
  void AfterDeath(Process& process, const os::ExitStatus& status, const std::string& name);
  void LoseAwaited(const Process& zygote);
  void AfterFrontDeath(Process& front);
  void ContinueDrain();
  void FailBoot(Process& process, const std::string& reason);
  void PlanRestart(Process& process, const os::ExitStatus& status, const std::string& name);
  void BuryTheDead();

  // The pool.
  void BalancePool();
  unsigned BalanceAppWorkers(std::size_t app, unsigned spare);
  void BalanceTaskWorkers();
  void Apply(const Moves& moves, Role role, std::size_t app);
  // Workers: of one app, of all.
  unsigned Wanted(std::size_t app) const {
    return app == 0 ? scaling_->wanted() : settings().apps[app].workers;
  }
  unsigned Wanted() const;
  bool NumberChanges() const { return !app().scaling.fixed() || app().workers_by_clock; }
  MemoryRoom Room() const;
  void Replace(Process& worker, std::string reason);
  void EndWorker(Process& worker);
  void CheckAges();
  void CheckMemory();
  bool IsNearItsLimit(const Process& worker) const;
  void CheckLoad();
  void BeginScaling(unsigned workers) {
    scaling_.emplace(app().scaling, workers, app().workers_reason);
  }
  void TellWorkers();
  WorkersNow CountWorkers() const;
  unsigned CountReady(std::size_t app) const;
  bool AllReady() const;
  bool IsOfApp(const Process& worker, std::size_t app) const;

  // Starts.
  Process& AddFront(const std::shared_ptr<Generation>& generation);
  Process& AddZygote(const std::shared_ptr<Generation>& generation, std::size_t app);
  void AddZygotes(const std::shared_ptr<Generation>& generation);
  Process& AddWorker(Role role, const std::shared_ptr<Generation>& generation, std::size_t app);
  void AddBroker();
  void FollowAcme(const std::string& print_before);
  Process* Acme() const;
  void StartWhatIsDue();
  bool IsDue(const Process& process) const;
  void Start(Process& process);
  Status Launch(Process& process);
  Status LaunchFork(Process& process, const std::function<int(os::Fd control)>& life);
  Status LaunchFront(Process& front);
  Status LaunchBroker(Process& broker);
  Status LaunchAcme(Process& acme);
  Status LaunchZygote(Process& zygote);
  Status LaunchWorker(Process& worker);
  FrontHeritage BecomeFront(Process& front, os::Fd control);
  BrokerHeritage BecomeBroker(Process& broker, os::Fd control);
  void ForgetTheOthers();
  static Status OpenAttachSockets(Process& process, const BoxSettings& settings);
  static Status OpenAttachSockets(Process& process, const std::string& name, unsigned count);
  void MakeDataFolder();
  void OpenBrokerSocket();
  ControlSocket::Answered AnswerBroker() const;
  ControlSocket::Answered AnswerRenew(const std::string& name) const;
  std::string BrokerPath() const { return settings().data + "/broker"; }
  const Process* ForkerOf(const Process& worker) const;

  // Time.
  std::string DescribeApps() const;
  void CheckBooted();
  void CheckHeartbeat(Process& process);
  void CheckDeadlines();

  // Reload.
  void AskReload(std::optional<ControlSocket::Client> asker);
  bool AnotherFrontDrains() const;
  bool IsAtRest() const;
  void BeginWantedReload();
  void BeginReload(std::vector<ControlSocket::Client> askers);
  void TakeSettings();
  void BeginGeneration(BoxSettings its_settings);
  void WaitForFront();
  void ContinueReload();
  void AddFirst(std::size_t app);
  void TakeOverWhenReady();
  void TakeOver();
  void EndZygote(Process& zygote);
  void TellOfTakeOver();
  bool DiesAgainAndAgain() const;
  void CheckReloaded();
  unsigned CountServing(std::size_t app) const;  // workers of the generation that serves
  std::string StoryOfMissing(std::size_t app) const;
  void FailReload(const std::string& reason, Process* culprit);
  std::string EndReload(const std::string& reason, Process* culprit);
  // Files are watched.
  void CheckWatch();
  void AwaitChange(const std::string& story, const std::string& reason);
  void ShowBroken(const std::string& story, const std::string& reason);
  void ShowWhole();
  void TellBroken(Process& front) const;
  // Another program in our place.
  bool CanBeSucceeded() const;
  void BeginWantedUpgrade();
  void TakeCheck();
  void Succeed();
  Succession WhatIsLeft() const;
  std::size_t PlaceOfInherited(const std::string& app);
  void FailUpgrade(const std::string& reason);
  void AnswerReload(const nlohmann::json& answer, const std::vector<ControlSocket::Client>& askers);
  bool IsOfReload(const Process& process) const {
    return reload_ != nullptr && !reload_->taken_over && process.generation == reload_->generation;
  }

  // The end.
  void BeginDrain();
  void BeginEnd();
  void ContinueEnd();
  void SignalAll(int number) const;
  void Tell(const Process& process, const nlohmann::json& message) const;
  void TellBroker(const nlohmann::json& message) const;
  Process& GiverOf(const Process& worker) const;
  void RestartBroker();
  void EndFork(Process& process);
  void EndAcme();
  void TellHooks(const Process* zygote, const nlohmann::json& message) const;

  void TellService();
  std::string StatusText() const;
  nlohmann::json CertificatesStatus() const;
  nlohmann::json AppsStatus() const;
  nlohmann::json ProcessStatus(const Process& process) const;
  nlohmann::json StandbyStatus(const Process& zygote) const;

  Process& front() { return *now_->front; }
  const Process& front() const { return *now_->front; }
  Process* FindWorker(int number);
  bool IsOurs(pid_t pid) const;
  bool AnyAlive() const;
  std::vector<os::Inquiry*> Inquiries() const;
  Time Now() const { return outside_.clock.Now(); }

  const Outside& outside_;
  std::shared_ptr<Generation> now_;
  std::optional<Scaling> scaling_;
  Time memory_at_{};  // when the workers' memory is looked at next
  Time load_at_{};    // and the load
  os::CpuTimes cpu_before_;
  std::unique_ptr<Reload> reload_;
  std::vector<ControlSocket::Client> reload_askers_;  // of the next; as many as may be connected
  bool reload_wanted_ = false;
  bool reload_waits_for_front_ = false;
  bool upgrade_wanted_ = false;
  std::optional<os::Asked<Status>> successor_fits_;  // while that is asked
  std::vector<ControlSocket::Client> upgrade_askers_;
  const Time began_;

  Phase phase_ = Phase::kBooting;
  int exit_status_ = 0;
  Time told_to_end_at_{};  // by a signal
  bool worker_was_ready_ = false;
  bool boot_failed_ = false;
  bool boot_noticed_ = false;
  WorkersNow workers_told_;
  unsigned wanted_told_ = 0;  // to the hooks; 0: nothing yet
  // Not while a zygote that is not the first waits until it may call when_ready.
  bool hooks_serve_ = true;
  Time front_died_at_{};
  Time deadline_ = Time::max();  // of the phase, where it has one
  Time turn_began_{};

  os::Fd state_lock_;
  std::optional<os::SignalQueue> signals_;
  std::optional<ControlSocket> control_;
  Notifier notifier_;
  AppWatch watch_;
  std::string broken_;  // why the app cannot be loaded, as the front shows it; empty: it is whole
  Listeners listeners_;
  std::vector<std::unique_ptr<Process>> processes_;

  os::Fd broker_socket_;       // a listener; not valid: there is no broker
  Process* broker_ = nullptr;  // from its first start on
  bool broker_was_ready_ = false;
  bool tasks_wanted_ = false;  // there is a task or a job

  nlohmann::json certificates_ = nlohmann::json::object();  // what was told of each, by its name
};

inline double SecondsOf(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// Without one other servers answer: there is a front, and nobody that it waits for.
inline bool HasApp(const BoxSettings& settings) {
  return !settings.apps.front().target.empty();
}

inline bool NeedsZygote(const AppSettings& app) {
  return !app.target.empty() && (app.preload != Preload::kOff || app.hooks);
}

// Where the workers of one app find a front that has this name.
inline std::string AttachNameOf(const std::string& front, const AppSettings& app) {
  return app.name.empty() ? front : front + "-" + app.name;
}

}  // namespace onebox::supervise
