// How many workers there are, and which of them leave.
#include <algorithm>
#include <csignal>
#include <utility>

#include <fmt/format.h>

#include "base/units.h"
#include "os/file.h"
#include "os/machine.h"
#include "supervise/box.h"
#include "supervise/pool.h"

namespace onebox::supervise {
namespace {

using std::chrono::seconds;

constexpr Duration kMemoryPause = seconds(1);  // between two looks at the workers' memory
constexpr Duration kMemoryPauseNear = std::chrono::milliseconds(100);  // where a limit is near
constexpr std::size_t kRollupBytesMax = 4096;
constexpr std::size_t kSmapsBytesMax = std::size_t{8} << 20;
constexpr Duration kLoadPause = seconds(1);

// Pages of the memory that all workers share are no worker's. How many of them only this one has touched
// takes long to find out, so that is done where they decide; else all of its share is left out.
std::optional<MemoryReading> ReadMemory(pid_t pid,
                                        const MemoryLimits& limits,
                                        const std::string& shared_name) {
  const auto text = os::ReadKernelFile(fmt::format("/proc/{}/smaps_rollup", pid), kRollupBytesMax);
  const auto reading = text.ok() ? ParseRollup(text.value()) : std::nullopt;
  if (!reading) return std::nullopt;
  const std::uint64_t limit = limits.soft > 0 ? limits.soft : limits.hard;
  if (reading->shared_memory == 0 || limit == 0 || reading->pss <= limit) {
    return reading->Without(reading->shared_memory);
  }
  const auto smaps = os::ReadKernelFile(fmt::format("/proc/{}/smaps", pid), kSmapsBytesMax);
  if (!smaps.ok()) return std::nullopt;
  return reading->Without(OwnPagesOf(smaps.value(), shared_name));
}

}  // namespace

void Box::BalancePool() {
  if (phase_ >= Phase::kEnding || phase_ == Phase::kBroken || boot_failed_) return;
  unsigned spare = SpareWorkers(Room());
  for (std::size_t app = 0; app < now_->apps.size(); ++app) {
    spare -= std::min(spare, BalanceAppWorkers(app, spare));  // what starts is not measured yet
  }
  BalanceTaskWorkers();
}

// The same app is another in each generation, and has its name. One that is no more goes with its front.
bool Box::IsOfApp(const Process& worker, std::size_t app) const {
  return worker.role == Role::kAppWorker && AppOf(worker).name == settings().apps[app].name;
}

// How many it starts.
unsigned Box::BalanceAppWorkers(std::size_t app, unsigned spare) {
  std::vector<Member> members;
  for (const auto& process : processes_) {
    // The first worker of a reload is nobody's member yet.
    if (!IsOfApp(*process, app) || IsOfReload(*process)) continue;
    members.push_back({.number = process->number,
                       .life = process->life,
                       .leaves = !process->leaves_because.empty(),
                       .started = process->started,
                       .drains = process->generation->front != now_->front});
  }
  const Moves moves = Balance(members, {.wanted = Wanted(app), .spare_max = spare});
  Apply(moves, Role::kAppWorker, app);
  return moves.start;
}

// As many as are set, as soon as there is anything for them to do.
void Box::BalanceTaskWorkers() {
  if (!tasks_wanted_ || broker_ == nullptr || phase_ >= Phase::kDraining) return;
  std::vector<Member> members;
  for (const auto& process : processes_) {
    if (process->role != Role::kTaskWorker) continue;
    members.push_back({.number = process->number,
                       .life = process->life,
                       .leaves = !process->leaves_because.empty(),
                       .started = process->started});
  }
  Apply(Balance(members, {.wanted = settings().task_workers, .spare_max = SpareWorkers(Room())}),
        Role::kTaskWorker,
        /*app=*/0);
}

void Box::Apply(const Moves& moves, Role role, std::size_t app) {
  if (moves.no_room) {
    outside_.log.Info("{} goes before its successor comes: memory has no room for both",
                      FindWorker(moves.end.back())->name());
  }
  for (const int number : moves.end) {
    EndWorker(*FindWorker(number));
  }
  for (unsigned i = 0; i < moves.start; ++i) {
    AddWorker(role, now_, app);
  }
}

// What memory has room for, by what it is measured to be.
MemoryRoom Box::Room() const {
  MemoryRoom room{.free = os::MemoryAvailable(), .wanted = Wanted()};
  std::uint64_t used = 0;
  for (const auto& process : processes_) {
    if (process->role != Role::kAppWorker || process->life == Life::kWaiting) continue;
    ++room.present;
    used += process->memory.bytes();
    room.largest = std::max(room.largest, process->memory.bytes());
  }
  if (const std::uint64_t most = settings().memory_max; most > 0) {
    room.free = std::min(room.free, most - std::min(most, used));
  }
  return room;
}

// Another is to take its place; until then it serves.
void Box::Replace(Process& worker, std::string reason) {
  if (!worker.leaves_because.empty() || worker.life == Life::kEnding) return;
  outside_.log.Info("{} is replaced: {}", worker.name(), reason);
  worker.leaves_because = std::move(reason);
}

// It takes no more requests, finishes those that it has, and goes.
void Box::EndWorker(Process& worker) {
  worker.goes = true;
  if (!worker.alive() || worker.life == Life::kEnding) return;  // Adopt() ends what is awaited
  worker.life = Life::kEnding;
  Tell(GiverOf(worker), {{"retire", worker.number}});
  if (worker.role == Role::kAppWorker) {
    // An answer that has begun has no deadline.
    const Duration most =
        std::max(AppOf(worker).request_timeout, worker.generation->settings.drain_timeout);
    worker.end_by = Now() + most + kWorkerGrace;
  } else {
    worker.end_by = Time::max();  // a task has, and the broker keeps it
  }
  worker.Signal(SIGTERM);
}

void Box::CheckAges() {
  for (const auto& process : processes_) {
    if (process->recycle_at <= Now()) Replace(*process, "it is as old as it is to get");
  }
}

// Twice as far as half of the limit may be a matter of seconds.
bool Box::IsNearItsLimit(const Process& worker) const {
  const MemoryLimits& limits = AppOf(worker).memory;
  const std::uint64_t limit = limits.soft > 0 ? limits.soft : limits.hard;
  return limit > 0 && worker.memory.bytes() > limit / 2;
}

void Box::CheckMemory() {
  if (Now() < memory_at_) return;
  bool near = false;
  for (const auto& process : processes_) {
    if (!IsWorker(process->role) || process->life != Life::kReady || !process->alive()) continue;
    const MemoryLimits& limits = AppOf(*process).memory;
    const auto reading = ReadMemory(process->child->pid(), limits, outside_.memory_name);
    if (!reading) continue;  // it has just died
    process->memory.Take(*reading, limits);
    near = near || IsNearItsLimit(*process);
    const auto story = [&](std::string_view which, std::uint64_t limit) {
      return fmt::format("it has {}, and {} is {}",
                         FormatBytes(process->memory.bytes() >> 20U << 20U),
                         which,
                         FormatBytes(limit));
    };
    switch (process->memory.Judge(limits)) {
      case WorkerMemory::Verdict::kFine:
        break;
      case WorkerMemory::Verdict::kReplace:
        Replace(*process, story("app.memory_soft", limits.soft));
        break;
      case WorkerMemory::Verdict::kEnd:
        Replace(*process, story("app.memory_hard", limits.hard));
        EndWorker(*process);
        break;
    }
  }
  memory_at_ = Now() + (near ? kMemoryPauseNear : kMemoryPause);
}

// How many workers there are to be, once a second.
void Box::CheckLoad() {
  if (phase_ != Phase::kServing || !NumberChanges() || Now() < load_at_) return;
  load_at_ = Now() + kLoadPause;
  const os::CpuTimes cpu = os::ReadCpuTimes();
  const os::CpuTimes before = std::exchange(cpu_before_, cpu);
  const std::uint64_t ticks = cpu.all - before.all;
  const Traffic traffic = outside_.traffic();
  const unsigned wanted = Wanted(0);
  const std::string reason = scaling_->reason();
  const WorkersByClock by_clock =
      app().workers_by_clock ? app().workers_by_clock() : WorkersByClock();
  scaling_->Take({.waiting = traffic.queue,
                  .busy = traffic.workers_busy,
                  .threads = app().threads,
                  .requests = traffic.requests,
                  .cpu_idle = ticks == 0 ? 0
                                         : static_cast<double>(cpu.idle - before.idle) /
                                               static_cast<double>(ticks),
                  .settled = CountReady(0) == wanted && reload_ == nullptr,
                  .memory_allows = SpareWorkers(Room()) > 0,
                  .by_clock = by_clock.count,
                  .clock_reason = by_clock.reason},
                 Now());
  if (Wanted(0) != wanted) {
    outside_.log.Info("{} workers instead of {}: {}", Wanted(0), wanted, scaling_->reason());
  } else if (scaling_->reason() != reason) {
    outside_.log.Warning("{} workers and no more: {}", wanted, scaling_->reason());
  }
}

void Box::TellWorkers() {
  if (Wanted(0) != wanted_told_) {
    wanted_told_ = Wanted(0);
    TellHooks(zygote(), {{"workers", wanted_told_}});
  }
  const WorkersNow now = CountWorkers();
  if (now == workers_told_) return;
  workers_told_ = now;
  outside_.workers_changed(now);
}

WorkersNow Box::CountWorkers() const {
  WorkersNow now;
  for (const auto& process : processes_) {
    if (process->role != Role::kAppWorker) continue;
    if (process->life == Life::kBooting) ++now.starting;
    if (process->life != Life::kReady) continue;
    ++now.ready;
    now.threads += AppOf(*process).threads;
  }
  return now;
}

unsigned Box::Wanted() const {
  unsigned wanted = 0;
  for (std::size_t app = 0; app < now_->apps.size(); ++app)
    wanted += Wanted(app);
  return wanted;
}

unsigned Box::CountReady(std::size_t app) const {
  return static_cast<unsigned>(
      std::count_if(processes_.begin(), processes_.end(), [&](const auto& process) {
        return process->life == Life::kReady && IsOfApp(*process, app);
      }));
}

bool Box::AllReady() const {
  for (std::size_t app = 0; app < now_->apps.size(); ++app) {
    if (CountReady(app) != Wanted(app)) return false;
  }
  return true;
}

}  // namespace onebox::supervise
