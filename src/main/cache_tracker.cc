#include "main/cache_tracker.h"

#include <chrono>

#include "base/check.h"
#include "os/process.h"
#include "os/wait.h"
#include "redis/address.h"

namespace onebox::main {
namespace {

constexpr Duration kLookEvery = std::chrono::milliseconds(100);
constexpr unsigned kProcessBits = 32;  // of newest_tracker: a pid, and how many have come above it

std::uint64_t Ours(std::uint64_t before) {
  const auto pid = static_cast<std::uint32_t>(os::ThisProcess());
  return ((before >> kProcessBits) + 1) << kProcessBits | pid;
}

}  // namespace

CacheTracker::CacheTracker(cache::Cache& cache, telemetry::Log& log, const Clock& clock)
    : cache_(cache),
      settings_(cache::ReadSettings(cache)),
      log_(log),
      clock_(clock),
      second_(cache, settings_, clock) {
  if (settings_.url.empty()) return;
  auto end = os::NewWakeup();
  CHECK(end.ok());
  end_ = std::move(end).value();
  thread_ = std::thread([this] { Run(); });
}

CacheTracker::~CacheTracker() {
  if (!thread_.joinable()) return;
  ending_ = true;
  os::Wake(end_);
  thread_.join();
}

void CacheTracker::Run() {
  second_.Connect(1);
  Begin();
  while (!ending_) {
    if (!IsOurs()) {
      tracking_.reset();
    } else {
      if (!tracking_) Begin();
      TellState();
      Settle();
    }
    os::WaitReadable(end_, kLookEvery);
  }
  tracking_.reset();
}

void CacheTracker::Begin() {
  std::atomic<std::uint64_t>& newest = cache_.second().newest_tracker;
  std::uint64_t before = newest.load();
  do {
    turn_ = Ours(before);
  } while (!newest.compare_exchange_weak(before, turn_));
  const auto address = redis::Address::Parse(settings_.url);
  CHECK(address.ok());  // as ReadSettings() gives it
  tracking_.emplace(redis::Tracking::Options{
                        .address = address.value(),
                        .prefix = cache::TrackedPrefix(settings_),
                        .forget = [this](std::string_view key) { second_.Hear(key); },
                        .forget_all = [] {},  // what was kept counts no more, and gives way
                    },
                    cache_.second().trust,
                    clock_);
  told_ = redis::State::kConnecting;
}

bool CacheTracker::IsOurs() {
  const std::uint64_t newest = cache_.second().newest_tracker.load();
  const auto pid = static_cast<pid_t>(newest & UINT32_MAX);
  return newest == turn_ || !os::IsAlive(pid);
}

void CacheTracker::TellState() {
  const redis::Tracking::Look look = tracking_->look();
  cache_.second().state.store(static_cast<std::uint32_t>(look.state), std::memory_order_relaxed);
  if (look.state == told_) return;
  const std::string place = redis::Address::Parse(settings_.url).value().text();
  if (look.state == redis::State::kDown) {
    log_.Warning("the cache goes on without Redis: {}", look.last_error);
  } else if (told_ == redis::State::kDown) {
    log_.Info("the cache has Redis again: {}", place);
  } else {
    log_.Info("the cache has Redis behind it: {}", place);
  }
  told_ = look.state;
}

// Who reads does it too; here it is done also where nobody does, and for longer than a request may wait.
void CacheTracker::Settle() {
  const cache::SecondHead& head = cache_.second();
  while (!ending_ && head.lost.load() != head.settled.load()) {
    const std::uint64_t settled = head.settled.load();
    if (!second_.Settle().ok() && head.settled.load() == settled) return;
  }
}

}  // namespace onebox::main
