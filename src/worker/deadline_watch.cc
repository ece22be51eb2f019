#include "worker/deadline_watch.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace onebox::worker {
namespace {

using channel::CancelReason;
using channel::Stuck;

// While something is late it looks this often. A process that was stopped for a while has missed one
// such look, not the whole grace.
constexpr Duration kLookTime = std::chrono::milliseconds(50);

}  // namespace

std::string LineOf(const channel::Request& request) {
  const std::string_view target = request.target;
  return fmt::format("{} {}", request.method, target.substr(0, target.find('?')));
}

// --- a place -----------------------------------------------------------------

void Place::Begin(const TakenRequest& request) {
  {
    const std::lock_guard lock(mutex_);
    request_ = &request;
    ++serial_;
    ++steps_;
    state_ = State::kOpen;
    raised_ = false;
    told_ = Told::kNothing;
    told_at_.reset();
  }
  if (request.Cancelled()) worker_.WakeFromCancel();  // who looked when it was has not seen it here
}

bool Place::Close() {
  const std::lock_guard lock(mutex_);
  ++steps_;
  state_ = State::kClosed;
  return raised_;
}

void Place::End() {
  const std::lock_guard lock(mutex_);
  request_ = nullptr;
  ++steps_;
  state_ = State::kIdle;
}

// --- looking -----------------------------------------------------------------

Place& DeadlineWatch::NewPlace(std::uint64_t name) {
  const std::lock_guard lock(places_mutex_);
  return *places_.emplace_back(std::make_unique<Place>(worker_, name));
}

void DeadlineWatch::CountElapsed() {
  elapsed_ += std::min<Duration>(now_ - std::exchange(looked_at_, now_), 2 * kLookTime);
}

std::optional<Duration> DeadlineWatch::Look() {
  now_ = clock_.Now();
  CountElapsed();
  std::optional<Duration> sleep;
  const auto consider = [&sleep](std::optional<Duration> wish) {
    if (wish) sleep = std::min(*wish, sleep.value_or(*wish));
  };
  std::uint64_t steps = 0;
  {
    const std::lock_guard lock(places_mutex_);
    for (const auto& place : places_) {
      consider(LookAt(*place));
      steps += StepsOf(*place);
    }
  }
  if (std::exchange(thread_is_stuck_, false)) worker_.ReportStuck(Stuck::kThread);
  consider(LookAtLock(std::exchange(steps_, steps) != steps));
  return sleep;
}

std::uint64_t DeadlineWatch::StepsOf(Place& place) {
  const std::lock_guard lock(place.mutex_);
  return place.steps_;
}

Time DeadlineWatch::DueAt(const TakenRequest& request) const {
  const CancelReason reason = request.cancel_reason();
  if (reason == CancelReason::kDeadline || request.request().cancel_disconnected) return now_;
  const bool has_deadline = reason == CancelReason::kClientLeft && request.request().deadline != 0;
  return has_deadline ? Time(Duration(request.request().deadline)) : Time::max();
}

std::optional<Duration> DeadlineWatch::LookAt(Place& place) {
  const std::lock_guard lock(place.mutex_);
  if (place.state_ == Place::State::kIdle) return std::nullopt;
  switch (place.told_) {
    case Place::Told::kNothing: {
      if (!place.request_->Cancelled()) return std::nullopt;
      const Time due = DueAt(*place.request_);
      if (due == Time::max()) return std::nullopt;
      if (due > now_) return due - now_;
      place.told_ = Place::Told::kAsked;
      Send(place, Action::kRaise, "it is ended where it stands:");
      return kLookTime;
    }
    case Place::Told::kAsked:
      return kLookTime;
    case Place::Told::kRaised:
      if (!place.told_at_) place.told_at_ = elapsed_;
      if (elapsed_ - *place.told_at_ < kGrace) return kLookTime;
      place.told_ = Place::Told::kStuck;
      thread_is_stuck_ = true;
      Send(place, Action::kOnlyLog, "it does not end; this worker finishes the others and goes:");
      return kLookTime;
    case Place::Told::kStuck:
      return std::nullopt;
  }
  return std::nullopt;
}

// REQUIRES: place.mutex_ is held.
void DeadlineWatch::Send(Place& place, Action action, std::string_view story) {
  const channel::Request& request = place.request_->request();
  const bool left =
      place.request_->cancel_reason() != CancelReason::kDeadline && request.cancel_disconnected;
  const std::lock_guard lock(errands_mutex_);
  errands_.push_back({.place = &place,
                      .serial = place.serial_,
                      .id = std::string(request.id),
                      .story = fmt::format("{}: {}; {}",
                                           LineOf(request),
                                           left ? "its client has left" : "its deadline has passed",
                                           story),
                      .action = action,
                      .reason = left ? CancelReason::kClientLeft : CancelReason::kDeadline});
  errands_came_.notify_one();
}

// Who begins or ends a request has the lock: where that goes on, nobody holds it. On a busy machine
// the others may be luckier than we for longer than the grace.
std::optional<Duration> DeadlineWatch::LookAtLock(bool others_have_it) {
  {
    const std::lock_guard lock(errands_mutex_);
    if (process_is_stuck_ || locks_wanted_ == locks_had_) return std::nullopt;
    if (lock_seen_ != locks_wanted_ || others_have_it) {
      lock_seen_ = locks_wanted_;
      lock_seen_at_ = elapsed_;
    }
    if (elapsed_ - lock_seen_at_ < kGrace) return kLookTime;
  }
  process_is_stuck_ = true;
  GiveUp();
  return std::nullopt;
}

// The stacks first: who hears the report may end this process.
void DeadlineWatch::GiveUp() {
  std::vector<std::pair<std::string, std::string>> late;
  {
    const std::lock_guard lock(places_mutex_);
    for (const auto& place : places_) {
      const std::lock_guard place_lock(place->mutex_);
      if (place->state_ == Place::State::kIdle || place->told_ == Place::Told::kNothing) continue;
      const channel::Request& request = place->request_->request();
      late.emplace_back(
          request.id,
          fmt::format("{}: nobody waits for it any more, and nothing in this process runs: a "
                      "thread holds the interpreter's lock. It is thread {:#018x} of:",
                      LineOf(request),
                      interrupter_.ThreadOf(place->name())));
    }
  }
  for (const auto& [id, line] : late)
    interrupter_.Log(id, line);
  interrupter_.DumpAll();
  worker_.ReportStuck(Stuck::kProcess);
}

// --- interrupting ------------------------------------------------------------

// Has the language's lock; Look() sees how long it is waited for.
class DeadlineWatch::Locked final {
 public:
  explicit Locked(DeadlineWatch& watch) : watch_(watch) {
    Count(watch_.locks_wanted_);
    watch_.interrupter_.Lock();
    Count(watch_.locks_had_);
  }
  ~Locked() { watch_.interrupter_.Unlock(); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

 private:
  void Count(std::uint64_t& counter) {
    const std::lock_guard lock(watch_.errands_mutex_);
    ++counter;
  }

  DeadlineWatch& watch_;
};

bool DeadlineWatch::Runs(const Errand& errand) {
  const std::lock_guard lock(errand.place->mutex_);
  return errand.place->state_ != Place::State::kIdle && errand.place->serial_ == errand.serial;
}

// The log may be slow, and is written without the lock; so the lock is had twice. Who looks at a stack
// may let others run: that it was this request's is known when it is still there afterwards.
void DeadlineWatch::Interrupt() {
  std::vector<Errand> errands;
  {
    const std::lock_guard lock(errands_mutex_);
    errands.swap(errands_);
  }
  if (errands.empty()) return;
  {
    const Locked locked(*this);
    for (Errand& errand : errands) {
      if (Runs(errand)) errand.stack = interrupter_.StackOf(errand.place->name());
      if (!Runs(errand)) errand.stack.clear();
    }
  }
  for (const Errand& errand : errands) {
    if (errand.stack.empty()) continue;  // it has ended by itself
    interrupter_.Log(errand.id, fmt::format("{}\n{}", errand.story, errand.stack));
  }
  std::erase_if(errands, [](const Errand& errand) { return errand.action == Action::kOnlyLog; });
  if (errands.empty()) return;
  const Locked locked(*this);
  for (const Errand& errand : errands)
    Raise(errand);
}

// A closed place is about to end, and told so too: nothing is raised, and its grace begins.
void DeadlineWatch::Raise(const Errand& errand) {
  Place& place = *errand.place;
  const std::lock_guard lock(place.mutex_);
  if (place.state_ == Place::State::kIdle || place.serial_ != errand.serial) return;
  place.told_ = Place::Told::kRaised;
  if (place.state_ != Place::State::kOpen) return;
  interrupter_.Raise(place.name(), errand.reason);
  place.raised_ = true;
}

// --- threads -----------------------------------------------------------------

void DeadlineWatch::Start() {
  looks_ = std::thread([this] { RunLooks(); });
  interrupts_ = std::thread([this] { RunInterrupts(); });
}

DeadlineWatch::~DeadlineWatch() {
  {
    const std::lock_guard lock(errands_mutex_);
    stopping_ = true;
  }
  errands_came_.notify_all();
  worker_.WakeFromCancel();
  for (std::thread* const thread : {&looks_, &interrupts_}) {
    if (thread->joinable()) thread->join();
  }
}

void DeadlineWatch::RunLooks() {
  for (;;) {
    {
      const std::lock_guard lock(errands_mutex_);
      if (stopping_) return;
    }
    worker_.WaitForCancel(Look());
  }
}

void DeadlineWatch::RunInterrupts() {
  for (;;) {
    {
      std::unique_lock lock(errands_mutex_);
      errands_came_.wait(lock, [this] { return stopping_ || !errands_.empty(); });
      if (stopping_) return;
    }
    Interrupt();
  }
}

}  // namespace onebox::worker
