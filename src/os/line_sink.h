#pragma once
// Where log lines go: a file, a pipe, a socket or a terminal, none of which may hold us up.

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/result.h"
#include "os/fd.h"

namespace onebox::os {

// A descriptor that lines are appended to. A reader that does not read is waited for once, as long as
// the caller's patience; until it reads again nothing waits. The process ignores SIGPIPE. One user
// at a time.
class LineSink {
 public:
  // `path` is opened for appending, created with mode 0640; "-" is `standard` (1 or 2).
  static Result<LineSink> Open(const std::string& path, int standard);

  // Another name for a descriptor that stays the caller's.
  static Result<LineSink> Duplicate(int descriptor);

  // Whole lines, each with its '\n', in one write where the kernel takes them at once. Returns how
  // many bytes were written: fewer than all where the disk is full or the reader is gone or too slow.
  std::size_t Write(std::string_view lines, Duration patience);

 private:
  explicit LineSink(Fd file) : file_(std::move(file)) {}

  bool WaitForRoom(Duration patience) const;
  std::ptrdiff_t WriteOnce(std::string_view bytes) const;

  Fd file_;
  bool socket_ = false;
  bool stuck_ = false;  // the last write waited in vain
  bool torn_ = false;   // the last write ended within a line
};

}  // namespace onebox::os
