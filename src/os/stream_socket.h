#pragma once
// Bytes through a connected socket that does not block.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "os/fd.h"

namespace onebox::os {

// What one try has moved.
struct Moved {
  enum class State : unsigned char {
    kDone,
    kNotNow,  // nothing waits, or there is no room
    kGone,    // the connection is broken, or memory that was to be sent cannot be read
  } state = State::kDone;
  std::size_t bytes = 0;  // 0 of Receive() with kDone: the other side sends no more
};

Moved Receive(const Fd& socket, std::span<char> buffer);
// The same, and what was read is still there to be received.
Moved Peek(const Fd& socket, std::span<char> buffer);

inline constexpr std::size_t kSendPartsMax = 16;
enum class More : bool {
  kNo,
  kFollows
};  // kFollows: the last packet may wait for what is sent next
// As many bytes of `parts` as there is room for; at most kSendPartsMax parts. Never raises SIGPIPE.
Moved Send(const Fd& socket, std::span<const std::string_view> parts, More more = More::kNo);

// The same of a file, without a copy; kGone where the file has been cut short.
Moved SendFile(const Fd& socket, const Fd& file, std::uint64_t offset, std::size_t size);

// Says that no more comes from here; what the other side sends can still be read.
void EndSending(const Fd& socket);

}  // namespace onebox::os
