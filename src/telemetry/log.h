#pragma once
// The error log of a process: one line an event, which no client can forge.

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/result.h"
#include "os/line_sink.h"

namespace onebox::telemetry {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };

// Lets `lines_max` lines of one call site through in each period, and counts the rest. Thread-safe.
class LogLimiter {
 public:
  struct Options {
    std::uint64_t lines_max = 10;
    Duration period = std::chrono::seconds(10);
  };
  explicit LogLimiter(const Clock& clock) : LogLimiter(clock, Options()) {}
  LogLimiter(const Clock& clock, Options options);

  struct Verdict {
    bool admitted = false;
    std::uint64_t left_out = 0;  // since the last line that was admitted; told once
  };
  Verdict Admit();

 private:
  const Clock& clock_;
  const Options options_;
  std::mutex mutex_;
  Time period_end_;
  std::uint64_t admitted_ = 0;
  std::uint64_t left_out_ = 0;
};

// Lines are `2026-11-23T21:00:00.123Z front[123] warning: text`, each one write(). Control
// characters and what is not UTF-8 are escaped as \xXX. A line that cannot be written is lost and
// counted; it never ends the process nor holds it up for more than a moment. The process ignores
// SIGPIPE. Thread-safe; the clock outlives it. After a fork the child makes its own.
class Log {
 public:
  struct Options {
    std::string role;        // "front"
    std::string path = "-";  // "-" is standard error
    LogLevel level = LogLevel::kInfo;
  };
  static Result<std::unique_ptr<Log>> Open(const Clock& clock, Options options);

  bool Logs(LogLevel level) const { return level >= level_; }

  template <typename... Arguments>
  void Debug(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    Write(LogLevel::kDebug, format, fmt::make_format_args(arguments...));
  }
  template <typename... Arguments>
  void Info(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    Write(LogLevel::kInfo, format, fmt::make_format_args(arguments...));
  }
  template <typename... Arguments>
  void Warning(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    Write(LogLevel::kWarning, format, fmt::make_format_args(arguments...));
  }
  template <typename... Arguments>
  void Error(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    Write(LogLevel::kError, format, fmt::make_format_args(arguments...));
  }

  // At most as many lines as the limiter lets through; the next one says how many were left out.
  template <typename... Arguments>
  void Limited(LogLimiter& limiter,
               LogLevel level,
               fmt::format_string<Arguments...> format,
               Arguments&&... arguments) {
    if (Logs(level)) WriteLimited(limiter, level, format, fmt::make_format_args(arguments...));
  }

  // A line, then the lines of `text` (a traceback), each behind "    | "; all in one write().
  void Block(LogLevel level, std::string_view line, std::string_view text);

  // Opens the path anew, after the file was renamed; keeps the old file if that fails.
  Status Reopen();

  // The lines lost since the last call, for the metric.
  std::uint64_t TakeLost() { return lost_.exchange(0, std::memory_order_relaxed); }

 private:
  Log(const Clock& clock, Options options, os::LineSink sink);

  void Write(LogLevel level, fmt::string_view format, fmt::format_args arguments);
  void WriteLimited(LogLimiter& limiter,
                    LogLevel level,
                    fmt::string_view format,
                    fmt::format_args arguments);
  void AppendHead(std::string& line, LogLevel level) const;
  void Send(std::string_view lines);

  const Clock& clock_;
  const LogLevel level_;
  const std::string path_;
  const std::string sender_;  // " front[123] "
  std::mutex mutex_;          // guards sink_
  os::LineSink sink_;
  std::atomic<std::uint64_t> lost_{0};
};

}  // namespace onebox::telemetry
