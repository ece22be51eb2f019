#pragma once
// The thread that writes the access log, so that no reactor waits for a disk.

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/result.h"
#include "os/line_sink.h"

namespace onebox::telemetry {

// Takes whole buffers of lines from any thread through a bounded queue. A full queue, a full disk or
// a reader that stopped reading lose lines, which are counted. Its destructor writes what is queued.
class LogWriter {
 public:
  struct Options {
    std::string path;               // "-" is standard output
    std::size_t buffers_max = 256;  // queued, all reactors together
  };
  static Result<std::unique_ptr<LogWriter>> Open(Options options);
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Takes the lines, each with its '\n', and gives back an empty string, with memory of an earlier
  // buffer where there is one. Never waits for the disk.
  void Write(std::string& lines);

  // Returns when all that was taken before is written or lost.
  void Flush();

  // Has the path opened anew before the next buffer; the old file is kept if that fails.
  void Reopen();

  // The lines lost since the last call, for the metric.
  std::uint64_t TakeLost() { return lost_.exchange(0, std::memory_order_relaxed); }

 private:
  LogWriter(Options options, os::LineSink sink);

  void Run();
  void OpenAnew();
  void CountLost(std::string_view lines);

  const Options options_;
  os::LineSink sink_;  // the thread's
  std::atomic<std::uint64_t> lost_{0};

  std::mutex mutex_;  // guards all below
  std::condition_variable work_;
  std::condition_variable idle_;
  std::vector<std::string> ring_;  // options_.buffers_max slots
  std::size_t first_ = 0;          // the oldest buffer's slot
  std::size_t queued_ = 0;
  bool writing_ = false;
  bool reopen_ = false;
  bool stop_ = false;

  std::thread thread_;
};

}  // namespace onebox::telemetry
