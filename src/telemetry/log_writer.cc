#include "telemetry/log_writer.h"

#include <algorithm>
#include <utility>

#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"

namespace onebox::telemetry {
namespace {

// How long the thread waits for a reader that is behind; meanwhile the queue fills.
constexpr Duration kPatience = std::chrono::seconds(1);

}  // namespace

Result<std::unique_ptr<LogWriter>> LogWriter::Open(Options options) {
  os::LineSink sink = TRY(os::LineSink::Open(options.path, STDOUT_FILENO));
  return std::unique_ptr<LogWriter>(new LogWriter(std::move(options), std::move(sink)));
}

LogWriter::LogWriter(Options options, os::LineSink sink)
    : options_(std::move(options)), sink_(std::move(sink)), ring_(options_.buffers_max) {
  CHECK(options_.buffers_max > 0);
  thread_ = std::thread([this] { Run(); });
}

LogWriter::~LogWriter() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_.notify_one();
  thread_.join();
}

void LogWriter::Write(std::string& lines) {
  if (lines.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    if (queued_ < ring_.size()) {
      ring_[(first_ + queued_) % ring_.size()].swap(lines);
      ++queued_;
    } else {
      CountLost(lines);
    }
  }
  lines.clear();
  work_.notify_one();
}

void LogWriter::Flush() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return queued_ == 0 && !writing_; });
}

void LogWriter::Reopen() {
  {
    const std::lock_guard lock(mutex_);
    reopen_ = true;
  }
  work_.notify_one();
}

// Holds the mutex, but not while it opens or writes.
void LogWriter::Run() {
  std::string lines;
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [this] { return queued_ > 0 || reopen_ || stop_; });
    if (std::exchange(reopen_, false)) {
      lock.unlock();
      OpenAnew();
      lock.lock();
      continue;
    }
    if (queued_ == 0) return;  // stopped, and nothing is left
    lines.swap(ring_[first_]);
    first_ = (first_ + 1) % ring_.size();
    --queued_;
    writing_ = true;
    lock.unlock();
    const std::string_view all = lines;
    CountLost(all.substr(sink_.Write(all, kPatience)));
    lines.clear();
    lock.lock();
    writing_ = false;
    if (queued_ == 0) idle_.notify_all();
  }
}

void LogWriter::OpenAnew() {
  if (options_.path == "-") return;
  auto sink = os::LineSink::Open(options_.path, STDOUT_FILENO);
  if (sink.ok()) sink_ = std::move(sink).value();
}

void LogWriter::CountLost(std::string_view lines) {
  const auto lost = std::count(lines.begin(), lines.end(), '\n');
  lost_.fetch_add(static_cast<std::uint64_t>(lost), std::memory_order_relaxed);
}

}  // namespace onebox::telemetry
