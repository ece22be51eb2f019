#include "telemetry/log.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include <unistd.h>

#include "telemetry/civil_time.h"
#include "telemetry/escape.h"

namespace onebox::telemetry {
namespace {

constexpr std::array<std::string_view, 4> kLevelNames = {"debug", "info", "warning", "error"};

// How long a line may wait for a reader that is behind.
constexpr Duration kPatience = std::chrono::milliseconds(50);

constexpr std::string_view kBlockMargin = "    | ";

void AppendTime(std::string& line, WallTime time) {
  const std::tm utc = UtcFields(UnixSeconds(time));
  fmt::format_to(std::back_inserter(line),
                 "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
                 utc.tm_year + 1900,
                 utc.tm_mon + 1,
                 utc.tm_mday,
                 utc.tm_hour,
                 utc.tm_min,
                 utc.tm_sec,
                 MillisecondOf(time));
}

}  // namespace

LogLimiter::LogLimiter(const Clock& clock, Options options)
    : clock_(clock), options_(options), period_end_(clock.Now() + options.period) {}

LogLimiter::Verdict LogLimiter::Admit() {
  const std::lock_guard lock(mutex_);
  if (const Time now = clock_.Now(); now >= period_end_) {
    period_end_ = now + options_.period;
    admitted_ = 0;
  }
  if (admitted_ >= options_.lines_max) {
    ++left_out_;
    return {};
  }
  ++admitted_;
  return {.admitted = true, .left_out = std::exchange(left_out_, 0)};
}

Result<std::unique_ptr<Log>> Log::Open(const Clock& clock, Options options) {
  os::LineSink sink = TRY(os::LineSink::Open(options.path, STDERR_FILENO));
  return std::unique_ptr<Log>(new Log(clock, std::move(options), std::move(sink)));
}

Log::Log(const Clock& clock, Options options, os::LineSink sink)
    : clock_(clock),
      level_(options.level),
      path_(std::move(options.path)),
      sender_(fmt::format(" {}[{}] ", options.role, ::getpid())),
      sink_(std::move(sink)) {}

void Log::AppendHead(std::string& line, LogLevel level) const {
  AppendTime(line, clock_.WallNow());
  line += sender_;
  line += kLevelNames[static_cast<std::size_t>(level)];
  line += ": ";
}

void Log::Write(LogLevel level, fmt::string_view format, fmt::format_args arguments) {
  if (!Logs(level)) return;
  std::string line;
  AppendHead(line, level);
  fmt::memory_buffer text;
  fmt::vformat_to(std::back_inserter(text), format, arguments);
  AppendPrintable(line, {text.data(), text.size()});
  line += '\n';
  Send(line);
}

void Log::WriteLimited(LogLimiter& limiter,
                       LogLevel level,
                       fmt::string_view format,
                       fmt::format_args arguments) {
  const LogLimiter::Verdict verdict = limiter.Admit();
  if (!verdict.admitted) return;
  if (verdict.left_out > 0) {
    const std::uint64_t count = verdict.left_out;
    Write(level, "{} lines like the next one were left out", fmt::make_format_args(count));
  }
  Write(level, format, arguments);
}

void Log::Block(LogLevel level, std::string_view line, std::string_view text) {
  if (!Logs(level)) return;
  std::string lines;
  AppendHead(lines, level);
  AppendPrintable(lines, line);
  lines += '\n';
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines += kBlockMargin;
    AppendPrintable(lines, text.substr(0, end));
    lines += '\n';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  Send(lines);
}

Status Log::Reopen() {
  if (path_ == "-") return Done();
  os::LineSink sink = TRY(os::LineSink::Open(path_, STDERR_FILENO));
  const std::lock_guard lock(mutex_);
  sink_ = std::move(sink);
  return Done();
}

void Log::Send(std::string_view lines) {
  const std::lock_guard lock(mutex_);
  const std::string_view unwritten = lines.substr(sink_.Write(lines, kPatience));
  const auto lost = std::count(unwritten.begin(), unwritten.end(), '\n');
  if (lost > 0) lost_.fetch_add(static_cast<std::uint64_t>(lost), std::memory_order_relaxed);
}

}  // namespace onebox::telemetry
