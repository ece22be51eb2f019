#include "database/outbox_thread.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "os/process.h"
#include "os/random.h"
#include "os/wait.h"

namespace onebox::database {
namespace {

os::Fd NewWakeup() {
  auto wakeup = os::NewWakeup();
  CHECK(wakeup.ok());
  return std::move(wakeup).value();
}

}  // namespace

OutboxThread::OutboxThread(Options options, const Clock& clock)
    : options_(std::move(options)), clock_(clock), end_(NewWakeup()), wakeup_(NewWakeup()) {
  thread_ = std::thread([this] { Run(); });
}

OutboxThread::~OutboxThread() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  os::Wake(end_);
  answered_.notify_all();
  thread_.join();
}

OutboxThread::Look OutboxThread::look() const {
  const std::lock_guard lock(mutex_);
  return look_;
}

std::optional<OutboxThread::Batch> OutboxThread::TakeBatch() {
  os::ReadAvailable(wakeup_);
  const std::lock_guard lock(mutex_);
  return std::exchange(offered_, std::nullopt);
}

void OutboxThread::Answer(std::uint64_t number, OutboxAnswer answer) {
  const std::lock_guard lock(mutex_);
  if (number != number_) return;
  answer_ = std::move(answer);
  answered_.notify_all();
}

void OutboxThread::Sleep(Duration duration) const {
  os::WaitReadable(end_, duration);
}

void OutboxThread::Run() {
  Backoff backoff(options_.pause);
  while (!ending_) {
    const Status drained = Drain(backoff);
    if (ending_ || drained.ok()) return;
    const Error& error = drained.error();
    bool changed = false;
    {
      const std::lock_guard lock(mutex_);
      changed = look_.state != State::kDown;
      if (look_.state == State::kUp) ++look_.losses_total;
      look_.state = State::kDown;
      look_.last_error = error.message;
    }
    if (changed) options_.note(fmt::format("the outbox cannot be read: {}", error.message));
    Sleep(backoff.Next(os::Random64()));
  }
}

// Follows one connection until it is lost, or the end: no Error.
Status OutboxThread::Drain(Backoff& backoff) {
  Connection connection = TRY(Connection::Open(
      options_.address, {.timeout = options_.timeout, .interrupt = &end_}, clock_));
  Outbox outbox(connection, options_.limits);
  TRY(outbox.Create());
  const std::uint64_t set_aside = TRY(outbox.CountSetAside(kSetAsideMax));
  Backoff later(options_.pause);
  std::int64_t after = 0;
  while (!ending_) {
    const Outbox::Batch batch = TRY(outbox.Take(after));
    Progress progress;
    if (!batch.empty()) progress = TRY(Bring(outbox, batch));
    if (ending_) break;
    // One that gives rows and lets none be removed is asked less and less.
    backoff.Reset();
    NoteUp(set_aside);
    if (progress.ended > 0) later.Reset();
    if (batch.empty() && after == 0) Sleep(options_.interval);
    if (!batch.empty() && progress.ended == 0) Sleep(later.Next(os::Random64()));
    after = progress.left == 0 ? 0 : batch.rows.back().id;
  }
  return Done();
}

void OutboxThread::NoteUp(std::uint64_t set_aside) {
  {
    const std::lock_guard lock(mutex_);
    if (look_.state == State::kUp) return;
    look_.state = State::kUp;
    look_.set_aside = set_aside;
  }
  options_.note(fmt::format("the outbox in {} is read", options_.address.text()));
}

Result<OutboxThread::Progress> OutboxThread::Bring(Outbox& outbox, const Outbox::Batch& batch) {
  auto answer = Offer(batch);
  if (ending_) return Progress();
  if (!answer) {
    return Error{Blame::kSystem, Retry::kYes, 0, "what was taken did not get to the disk in time"};
  }
  answer->refused.insert(answer->refused.end(), batch.too_large.begin(), batch.too_large.end());
  TRY(outbox.Finish(*answer));
  for (const RefusedRow& row : answer->refused) {
    options_.note(
        fmt::format("row {} of the outbox is no task, and is set aside: {}", row.id, row.why));
  }
  const std::size_t all = batch.rows.size() + batch.too_large.size();
  const std::size_t ended = std::min(answer->done.size() + answer->refused.size(), all);
  const std::lock_guard lock(mutex_);
  look_.done_total += answer->done.size();
  look_.refused_total += answer->refused.size();
  look_.set_aside = std::min(look_.set_aside + answer->refused.size(), kSetAsideMax);
  look_.later_total += all - ended;
  return Progress{.ended = ended, .left = all - ended};
}

std::optional<OutboxAnswer> OutboxThread::Offer(const Outbox::Batch& batch) {
  if (batch.rows.empty()) return OutboxAnswer();
  std::unique_lock lock(mutex_);
  offered_ = Batch{++number_, batch.rows};
  answer_.reset();
  os::Wake(wakeup_);
  answered_.wait_for(lock, options_.answer_timeout, [this] { return answer_ || ending_; });
  auto answer = std::exchange(answer_, std::nullopt);
  if (!answer) {
    ++number_;  // no answer to it counts any more
    offered_.reset();
    ++look_.let_go_total;
  }
  return answer;
}

}  // namespace onebox::database
