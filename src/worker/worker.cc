#include "worker/worker.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

namespace onebox::worker {
namespace {

constexpr Duration kPauseMin = std::chrono::milliseconds(5);
constexpr Duration kPauseMax = std::chrono::milliseconds(250);

// Requests are fast where this many come in kWindowTimeMax: 200 us each.
constexpr std::uint64_t kWindowTakes = 32;
constexpr Duration kWindowTimeMax = kWindowTakes * std::chrono::microseconds(200);
// The deputy looks this often, and goes where fewer than kTickTakes were taken since.
constexpr Duration kTick = std::chrono::milliseconds(1);
constexpr std::uint64_t kTickTakes = 5;

// What the ready set says: of link i, its socket (2i) or its wakeup (2i + 1).
constexpr std::uint32_t kStopToken = 0xffffffff;

}  // namespace

TakenRequest::~TakenRequest() {
  if (end_ != nullptr && !ended_) SendEnd(End::kBrokenOff, IfFull::kWait);
}

Delivery TakenRequest::SendEarlyHints(std::string_view head, IfFull if_full) {
  return Note(end_->SendEarlyHints(taken_.ticket, head, if_full), End::kNotYet, false);
}

Delivery TakenRequest::SendHead(std::string_view head,
                                std::string_view& body,
                                End end,
                                IfFull if_full) {
  const Delivery delivery = end_->SendHead(taken_.ticket, head, body, end, if_full);
  return Note(delivery, end, body.empty());
}

Delivery TakenRequest::SendBody(std::string_view& body, End end, IfFull if_full) {
  if (body.empty()) return Delivery::kSent;
  return Note(end_->SendBody(taken_.ticket, body, end, if_full), end, true);
}

Delivery TakenRequest::SendFile(const os::Fd& file,
                                const channel::FileRange& range,
                                End end,
                                IfFull if_full) {
  return Note(end_->SendFile(taken_.ticket, file, range, end, if_full), end, true);
}

Delivery TakenRequest::SendEnd(End end, IfFull if_full) {
  return Note(end_->SendEnd(taken_.ticket, end, if_full), end, true);
}

Delivery TakenRequest::Note(Delivery delivery, End end, bool whole) {
  if (delivery == Delivery::kSent && whole && end != End::kNotYet) ended_ = true;
  if (delivery == Delivery::kLost) ended_ = true;
  return delivery;
}

Result<std::unique_ptr<Worker>> Worker::New(const Settings& settings, const Clock& clock) {
  Wakes wakes{.ready = TRY(os::ReadySet::New()),
              .stop = TRY(os::NewWakeup()),
              .cancels = TRY(os::ReadySet::New()),
              .cancel_stop = TRY(os::NewWakeup())};
  TRY(wakes.ready.Add(wakes.stop, kStopToken));
  TRY(wakes.cancels.Add(wakes.cancel_stop, kStopToken));
  std::unique_ptr<Worker> worker(new Worker(settings, clock, std::move(wakes)));
  for (std::uint32_t reactor = 0; reactor < settings.reactors; ++reactor) {
    const std::string name = fmt::format("unix:{}.{}", settings.attach, reactor);
    worker->links_.push_back({.address = TRY(os::SocketAddress::Parse(name)),
                              .greeted = {},
                              .end = nullptr,
                              .retry_at = clock.Now(),
                              .pause = kPauseMin});
  }
  return worker;
}

Worker::Worker(Settings settings, const Clock& clock, Wakes wakes)
    : settings_(std::move(settings)),
      clock_(clock),
      ready_(std::move(wakes.ready)),
      stop_(std::move(wakes.stop)),
      cancels_(std::move(wakes.cancels)),
      cancel_stop_(std::move(wakes.cancel_stop)) {}

std::optional<TakenRequest> Worker::Next() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (auto taken = Take()) return taken;
    if (draining_) return std::nullopt;
    if (watched_) {
      Idle(lock);
    } else {
      Watch(lock);
    }
  }
}

void Worker::Idle(std::unique_lock<std::mutex>& lock) {
  ++idle_;
  watch_.wait(lock);
  --idle_;
  if (!fast_ || deputy_) return;
  deputy_ = true;
  std::uint64_t before = 0;
  do {
    before = takes_;
    tick_.wait_for(lock, kTick);
  } while (!draining_ && takes_ - before >= kTickTakes);
  deputy_ = fast_ = false;
}

std::optional<TakenRequest> Worker::TryNext() {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return std::nullopt;
  return Take();
}

std::optional<TakenRequest> Worker::Take() {
  auto taken = TakeFromLinks();
  if (taken) WakeAnother();
  return taken;
}

// We are busy from now on: somebody who is not shall look what else there is.
void Worker::WakeAnother() {
  ++takes_;
  if (deputy_) return;
  if (takes_ % kWindowTakes == 0) {
    const Time now = clock_.Now();
    fast_ = now - window_began_ < kWindowTimeMax;
    window_began_ = now;
  }
  if (!watched_ && idle_ > 0) watch_.notify_one();
}

void Worker::Drain() {
  const std::lock_guard lock(mutex_);
  draining_ = true;
  for (const Link& link : links_) {
    if (link.end != nullptr) link.end->Drain();
  }
  Wake();
  watch_.notify_all();
  tick_.notify_all();
}

void Worker::ReportStuck(channel::Stuck how) {
  {
    const std::lock_guard lock(mutex_);
    stuck_ = std::max(stuck_, how);
    for (const Link& link : links_) {
      if (link.end != nullptr) link.end->ReportStuck(stuck_);
    }
  }
  Drain();
}

std::optional<TakenRequest> Worker::TakeFromLinks() {
  for (std::size_t i = 0; i < links_.size(); ++i) {
    Link& link = links_[(first_ + i) % links_.size()];
    if (link.end == nullptr) continue;
    auto taken = link.end->Take();
    if (!taken.ok()) {
      Close(link);
    } else if (taken.value()) {
      first_ = (first_ + i + 1) % links_.size();
      return TakenRequest(link.end, std::move(*std::move(taken).value()));
    }
  }
  return std::nullopt;
}

// Sleeps until something may have come. Others take requests meanwhile.
void Worker::Watch(std::unique_lock<std::mutex>& lock) {
  ConnectLost();
  if (!PrepareToSleep()) return;
  const std::optional<Duration> sleep_max = SleepMax();
  watched_ = true;
  lock.unlock();
  const std::vector<std::uint32_t> tokens = ready_.Wait(sleep_max);
  lock.lock();
  watched_ = false;
  ReadReady(tokens);
}

void Worker::ReadReady(const std::vector<std::uint32_t>& tokens) {
  for (const std::uint32_t token : tokens) {
    if (token != kStopToken && token % 2 == 0) ReadSocket(links_[token / 2]);
  }
}

std::optional<Duration> Worker::Attend() {
  const std::lock_guard lock(mutex_);
  ReadReady(ready_.Wait(Duration::zero()));
  ConnectLost();
  return SleepMax();
}

bool Worker::MayWait() {
  const std::lock_guard lock(mutex_);
  return PrepareToSleep();
}

bool Worker::draining() const {
  const std::lock_guard lock(mutex_);
  return draining_;
}

bool Worker::PrepareToSleep() {
  return std::all_of(links_.begin(), links_.end(), [](const Link& link) {
    return link.end == nullptr || link.end->PrepareToSleep();
  });
}

std::optional<Duration> Worker::SleepMax() const {
  std::optional<Duration> least;
  for (const Link& link : links_) {
    if (link.end != nullptr || link.greeted.valid()) continue;
    const Duration until = std::max<Duration>(link.retry_at - clock_.Now(), Duration::zero());
    least = std::min(until, least.value_or(until));
  }
  return least;
}

void Worker::ConnectLost() {
  for (Link& link : links_) {
    if (link.end != nullptr || link.greeted.valid() || clock_.Now() < link.retry_at) continue;
    const Status greeted = Greet(link);
    if (!greeted.ok()) Close(link);
  }
}

channel::Hello Worker::Hello() const {
  return {.pid = ::getpid(),
          .number = settings_.number,
          .threads = settings_.threads,
          .ahead = settings_.ahead,
          .app = settings_.app,
          .python = settings_.python};
}

Status Worker::Greet(Link& link) {
  link.greeted = TRY(channel::WorkerEnd::Greet(link.address, Hello()));
  return ready_.Add(link.greeted, TokenOf(link));
}

std::uint32_t Worker::TokenOf(const Link& link) const {
  return static_cast<std::uint32_t>(&link - links_.data()) * 2;
}

// The socket of a link is ready: the front's greeting, a file for a request, or the front's end.
void Worker::ReadSocket(Link& link) {
  const Status read = link.greeted.valid()  ? Open(link)
                      : link.end != nullptr ? link.end->ReadMessages()
                                            : Done();
  if (!read.ok()) Close(link);
}

Status Worker::Open(Link& link) {
  auto end = channel::WorkerEnd::ReceiveWelcome(link.greeted, Hello());
  if (!end.ok()) {
    if (end.error().retry == Retry::kNever) Fail(end.error());
    return std::move(end).error();
  }
  if (end.value() == nullptr) return Done();
  link.end = std::move(end).value();
  link.pause = kPauseMin;
  if (draining_) link.end->Drain();
  if (stuck_ != channel::Stuck::kNo) link.end->ReportStuck(stuck_);
  TRY(ready_.Add(link.end->wakeup(), TokenOf(link) + 1));
  TRY(cancels_.Add(link.end->cancel_wakeup(), TokenOf(link)));
  return link.end->ReadMessages();  // what came with the greeting has no edge of its own
}

// No front of this release will ever take us.
void Worker::Fail(const Error& why) {
  failure_ = why.message;
  draining_ = true;
  watch_.notify_all();
}

std::string Worker::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void Worker::Close(Link& link) {
  if (link.end != nullptr) {
    link.end->Lose();
    WakeFromCancel();  // that cancels all of its requests
  }
  link.end = nullptr;
  link.greeted.Reset();
  link.retry_at = clock_.Now() + link.pause;
  link.pause = std::min(link.pause * 2, kPauseMax);
}

}  // namespace onebox::worker
