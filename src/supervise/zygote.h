#pragma once
// What the supervisor and its zygote say to each other.

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "os/fd.h"

namespace onebox::supervise {

// The zygote is a Python process that has imported the app and forks workers from itself. It speaks
// on its descriptor 3, a SEQPACKET socket, one JSON object a message:
//   {"ready":true,"app":"Flask 2.2.2","python":"3.11.2","bytes":63963136}   once, loaded
//   {"unsafe":"thread \"poller\" runs","app":...,"python":...}   instead: it must not be forked
//   {"worker":3,"pid":4711} or {"worker":3,"error":"..."}   for each that was asked for
// It is asked by {"fork":3} with one descriptor: the worker's output. The worker is an orphan that
// the supervisor adopts, so whatever becomes of the zygote is nothing to its workers.
struct ZygoteNews {
  enum class Kind : unsigned char { kReady, kUnsafe, kForked, kForkFailed };

  Kind kind = Kind::kReady;
  std::string app, python;  // of kReady and kUnsafe, for people
  std::uint64_t bytes = 0;  // of memory that it has, of kReady
  std::string reason;       // of kUnsafe and kForkFailed
  int worker = 0;           // its number, of the last two kinds
  int pid = 0;              // of kForked
};

inline constexpr std::size_t kZygoteMessageBytesMax = 64 << 10;

// Nothing where it is none of these.
std::optional<ZygoteNews> ParseZygoteNews(std::string_view message);

Status AskForWorker(const os::Fd& control, int number, const os::Fd& output);

}  // namespace onebox::supervise
