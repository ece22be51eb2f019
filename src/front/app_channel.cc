#include "front/app_channel.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <sys/epoll.h>

#include "front/app_exchange.h"
#include "front/shard.h"

namespace onebox::front {
namespace {

// A worker with a free thread takes a request at once; one that has not within this time is busy
// with something that lets no other thread run, or is stopped.
constexpr Duration kTakeTime = std::chrono::seconds(1);
// A busy machine may hold a process up for so long: where app.timeout is short, no worker is given up
// before. Longer than the worker's own watch takes to tell of itself, with a stack.
constexpr Duration kGivenUpTimeMin = std::chrono::seconds(2);
// What waits for a thread that was to be free soon is taken back after this.
constexpr Duration kAheadTime = std::chrono::milliseconds(5);
// What a worker sends in one turn of the reactor; the rest waits for the next, and others for less.
constexpr int kFramesPerTurn = 256;

}  // namespace

AppChannel::AppChannel(Shard& shard, Dispatch& dispatch, std::unique_ptr<channel::FrontEnd> end)
    : shard_(shard), dispatch_(dispatch), end_(std::move(end)), slots_(end_->slots()) {
  worker_ =
      dispatch_.Join(end_->worker_number(),
                     end_->pid(),
                     {.threads = end_->threads(), .ahead_max = end_->slots() - end_->threads()},
                     shard_.now());
}

AppChannel::~AppChannel() = default;

Status AppChannel::Watch() {
  watched_ = true;
  TRY(shard_.reactor().Watch(end_->socket(), socket_, EPOLLIN | EPOLLRDHUP));
  return shard_.reactor().Watch(end_->wakeup(), wakeup_, EPOLLIN);
}

void AppChannel::Socket::OnReady(std::uint32_t /*events*/) {
  if (channel_.dead_) return;
  const Status read = channel_.end_->ReadMessages();
  if (read.ok()) return;
  channel_.ReadFrames();  // it may have ended some before it died
  channel_.Die(read.error().message);
}

void AppChannel::Wakeup::OnReady(std::uint32_t /*events*/) {
  // The turn's end reads the frames.
}

void AppChannel::Send(AppExchange& exchange) {
  exchange.channel_ = this;
  exchange.slot_ = kBlocked;
  if (blocked_.empty() && Offer(exchange)) return;
  if (!dead_) blocked_.push_back(&exchange);
}

// False where the ring is full.
bool AppChannel::Offer(AppExchange& exchange) {
  const auto slot = end_->FreeSlot();
  if (!slot) return false;  // a cancelled one has not ended yet
  const RequestBody& body = exchange.body();
  const channel::Sent sent =
      end_->Send(*slot, exchange.encoded(), body.memory(), body.in_file() ? &body.file() : nullptr);
  if (sent == channel::Sent::kFull) return false;
  if (sent == channel::Sent::kBroken) {
    blocked_.push_back(&exchange);
    Die("its channel is broken");
    return true;
  }
  exchange.slot_ = *slot;
  slots_[*slot] = {.exchange = &exchange, .place = exchange.place_, .since = shard_.now()};
  if (end_->slots() > end_->threads() && !ahead_check_.armed()) {
    shard_.reactor().timers().Arm(ahead_check_, shard_.now() + kAheadTime);
  }
  return true;
}

void AppChannel::SendBlocked() {
  while (!dead_ && !blocked_.empty()) {
    AppExchange& exchange = *blocked_.front();
    blocked_.erase(blocked_.begin());
    if (Offer(exchange)) continue;
    blocked_.insert(blocked_.begin(), &exchange);
    return;
  }
}

void AppChannel::Abandon(const AppExchange& exchange, channel::CancelReason reason) {
  if (dead_) return;
  const std::uint32_t slot = exchange.slot_;
  if (slot == kBlocked) {
    std::erase(blocked_, &exchange);
    return dispatch_.Leave(exchange.place_, shard_.now());
  }
  Slot& use = slots_[slot];
  if (use.exchange == nullptr) return;
  if (end_->Revoke(slot)) return dispatch_.Leave(std::exchange(use, {}).place, shard_.now());
  end_->Cancel(slot, reason);
  if (reason == channel::CancelReason::kDeadline || exchange.cancel_disconnected()) {
    shard_.lane().Add(telemetry::Counter::kRequestsInterrupted);
  }
  use.exchange = nullptr;
  use.since = shard_.now();
  use.abandoned = true;
}

void AppChannel::Acknowledge(std::uint32_t slot, std::uint64_t bytes) {
  if (!dead_ && slot != kBlocked) end_->Acknowledge(slot, bytes);
}

void AppChannel::Deliver(channel::ResponseFrame frame) {
  Slot& use = slots_[frame.slot];
  AppExchange* const exchange = use.exchange;
  if (frame.kind == channel::FrameKind::kHead) use.place.answered = shard_.now();
  const bool ended = frame.end != channel::End::kNotYet;
  const Place place = ended ? std::exchange(use, {}).place : Place();
  if (exchange != nullptr) {
    if (ended) exchange->channel_ = nullptr;
    switch (frame.kind) {
      case channel::FrameKind::kEarlyHints:
        exchange->OnEarlyHints(frame.head);
        break;
      case channel::FrameKind::kHead:
        exchange->OnHead(frame.head, frame.body, frame.end);
        break;
      case channel::FrameKind::kBody:
        exchange->OnBody(frame.body, frame.end);
        break;
      case channel::FrameKind::kFile:
        exchange->OnFile(std::move(frame.file), frame.offset, frame.length, frame.end);
        break;
      case channel::FrameKind::kEnd:
        exchange->OnEnd(frame.end);
        break;
      case channel::FrameKind::kRequest:
        break;  // Next() refuses it
    }
  }
  if (ended) dispatch_.Leave(place, shard_.now());
}

void AppChannel::ReadFrames() {
  for (int frames = 0; !dead_ && frames < kFramesPerTurn; ++frames) {
    auto next = end_->Next();
    if (!next.ok()) return Die(next.error().message);
    if (!next.value()) return;
    Resume();
    Deliver(std::move(*next.value()));
    if (!dead_) end_->Release();
  }
}

void AppChannel::Read() {
  ReadFrames();
  if (!dead_) HearStuck();
  SendBlocked();
}

bool AppChannel::Settle() {
  if (dead_) return false;
  if (!retired_ && end_->draining()) {
    retired_ = true;
    dispatch_.Retire(worker_);
  }
  end_->Flush();
  return !end_->PrepareToSleep() || end_->stuck() != heard_;
}

void AppChannel::Suspend(Time now) {
  if (suspended_) return;
  suspended_ = true;
  suspended_since_ = now;
  dispatch_.Suspend(worker_);
  shard_.log().Warning("worker {} takes no requests; they go to others", worker_->pid);
}

// A request that was given ahead and has to wait goes back to the queue's head: another worker, or
// a thread that is free, takes it.
void AppChannel::CheckAhead() {
  const Time now = shard_.now();
  std::vector<Orphan> orphans;
  bool offered = false;
  for (std::uint32_t slot = 0; slot < slots_.size() && !dead_; ++slot) {
    const Slot& use = slots_[slot];
    if (use.exchange == nullptr || end_->Taken(slot)) continue;
    offered = true;
    if (now - use.since < kAheadTime || !dispatch_.IsAhead(worker_)) continue;
    if (!end_->Revoke(slot)) continue;
    const Slot taken = std::exchange(slots_[slot], {});
    orphans.push_back({taken.exchange, false});
    dispatch_.TakeBack(taken.place, now);
  }
  if (offered) shard_.reactor().timers().Arm(ahead_check_, now + kAheadTime);
  Return(std::move(orphans));
}

// Each goes before all that wait: the youngest first, so that the oldest is the first at last.
void AppChannel::Return(std::vector<Orphan> orphans) {
  std::sort(orphans.begin(), orphans.end(), [](const Orphan& a, const Orphan& b) {
    return a.exchange->began() > b.exchange->began();
  });
  for (const Orphan& orphan : orphans) {
    orphan.exchange->OnLost(orphan.begun ? AppExchange::Lost::kWorkerDied
                                         : AppExchange::Lost::kNotTaken);
  }
}

void AppChannel::Resume() {
  if (std::exchange(suspended_, false)) dispatch_.Resume(worker_, shard_.now());
}

// A worker may write there what it likes, and is believed one thing: that it wants to be replaced.
void AppChannel::HearStuck() {
  const channel::Stuck said = end_->stuck();
  if (said == heard_) return;
  heard_ = said;
  retired_ = true;
  dispatch_.Retire(worker_);
  if (said == channel::Stuck::kThread) {
    shard_.ReportStuck(
        worker_, Replacement::kAfterItsRequests, "a thread of it does not end its request");
  } else {
    shard_.ReportStuck(
        worker_, Replacement::kAtOnce, "nothing in it runs: a thread holds the interpreter's lock");
  }
  TakeBackAll();
}

// What no thread of it has begun goes elsewhere at once.
void AppChannel::TakeBackAll() {
  std::vector<Orphan> orphans;
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot].exchange == nullptr || !end_->Revoke(slot)) continue;
    orphans.push_back({std::exchange(slots_[slot], {}).exchange, false});
  }
  for (AppExchange* const exchange : std::exchange(blocked_, {}))
    orphans.push_back({exchange, false});
  for (const Orphan& orphan : orphans)
    dispatch_.Leave(orphan.exchange->place_, shard_.now());
  Return(std::move(orphans));
}

// Longer than any request may take: it takes nothing at all, or works for nobody in all its threads.
bool AppChannel::Stuck(Time now) {
  const Duration limit = std::max<Duration>(shard_.timeout_max(), kGivenUpTimeMin);
  if (suspended_ && now - suspended_since_ >= limit) return true;
  const auto here = std::count_if(slots_.begin(), slots_.end(), [&](const Slot& use) {
    return use.abandoned && now - use.since >= limit;
  });
  const std::int32_t change = static_cast<std::int32_t>(here) - for_nobody_;
  for_nobody_ += change;
  // The threads may be spread over the channels of all reactors.
  return dispatch_.AddForNobody(worker_, change) >= end_->threads();
}

void AppChannel::Check(Time now) {
  if (dead_) return;
  if (suspended_ && end_->AllRead()) Resume();
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    Slot& use = slots_[slot];
    if (use.exchange == nullptr || now - use.since < kTakeTime || end_->Taken(slot)) continue;
    Suspend(now);
    if (!end_->Revoke(slot)) continue;
    const Slot taken = std::exchange(use, {});
    dispatch_.Leave(taken.place, now);
    taken.exchange->OnLost(AppExchange::Lost::kNotTaken);
  }
  if (!reported_ && Stuck(now)) {
    reported_ = true;
    shard_.ReportStuck(worker_, Replacement::kAtOnce, "it does not take or end requests");
  }
}

void AppChannel::Die(std::string_view why) {
  if (dead_) return;
  dead_ = true;
  shard_.log().Debug("worker {}: {}", worker_->pid, why);
  if (watched_) {
    shard_.reactor().Unwatch(end_->socket(), socket_);
    shard_.reactor().Unwatch(end_->wakeup(), wakeup_);
  }
  dispatch_.Retire(worker_);
  std::vector<Orphan> orphans;
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    const Slot use = std::exchange(slots_[slot], {});
    if (use.exchange == nullptr && !use.abandoned) continue;
    dispatch_.Leave(use.place, shard_.now());
    if (use.exchange == nullptr) continue;
    orphans.push_back({use.exchange, !end_->Revoke(slot)});
  }
  for (AppExchange* const exchange : std::exchange(blocked_, {})) {
    dispatch_.Leave(exchange->place_, shard_.now());
    orphans.push_back({exchange, false});
  }
  Return(std::move(orphans));
  shard_.Forget(*this);
}

}  // namespace onebox::front
