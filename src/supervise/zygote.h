#pragma once
// What the supervisor and its zygote say to each other.

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "os/fd.h"

namespace onebox::supervise {

// The zygote is a Python process that forks workers from itself. It has imported the app, unless it is
// there for the hooks of a gunicorn.conf.py alone. It speaks on its descriptor 3, a SEQPACKET socket,
// one JSON object a message:
//   {"ready":true,"app":"Flask 2.2.2","python":"3.11.2","bytes":63963136}   once, loaded; app and python
//                                                                where it has imported the app
//   {"unsafe":"thread \"poller\" runs","app":...,"python":...}   instead: it must not be forked
//   {"worker":3,"pid":4711} or {"worker":3,"error":"..."}   for each that was asked for
//   {"standby":4712}   it has forked one ahead of time, which is the next that is asked for; without hooks
// It is asked by {"fork":3} with one descriptor: the worker's output; for a task worker with
// "tasks":"@name", where the broker is found, and "threads":4. The worker is an orphan that
// the supervisor adopts, so whatever becomes of the zygote is nothing to its workers.
// Where it runs hooks it is told what they are for, and does not answer:
//   {"serves":true}              where it is not the first: it is the box's zygote now, and the one
//                                before has gone with its workers
//   {"workers":5}                so many are wanted; it may know that
//   {"ended":4711,"worker":3}    a worker has gone, of this zygote or of one before
//   {"reload":true}              another generation is to be started
//   {"execute":true}             another program takes the supervisor's place
//   {"exit":true}                every worker has gone: it ends
// The end of file ends it too, without a hook.
struct ZygoteNews {
  enum class Kind : unsigned char { kReady, kUnsafe, kForked, kForkFailed, kStandby };

  Kind kind = Kind::kReady;
  std::string app, python;  // of kReady and kUnsafe, for people
  std::uint64_t bytes = 0;  // of memory that it has, of kReady
  std::string reason;       // of kUnsafe and kForkFailed
  int worker = 0;           // its number, of kForked and kForkFailed
  int pid = 0;              // of kForked and kStandby
};

inline constexpr std::size_t kZygoteMessageBytesMax = 64 << 10;

// Nothing where it is none of these.
std::optional<ZygoteNews> ParseZygoteNews(std::string_view message);

// Of a task worker; of an app worker the zygote knows them.
struct TaskPlace {
  std::string attach;  // where the broker is found
  unsigned threads = 1;
};
Status AskForWorker(const os::Fd& control,
                    int number,
                    const std::optional<TaskPlace>& tasks,
                    const os::Fd& output);

}  // namespace onebox::supervise
