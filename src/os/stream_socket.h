#pragma once
// Bytes through a connected socket that does not block.

#include <cstddef>
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

inline constexpr std::size_t kSendPartsMax = 32;
// As many bytes of `parts` as there is room for; at most kSendPartsMax parts. Never raises SIGPIPE.
Moved Send(const Fd& socket, std::span<const std::string_view> parts);

// Says that no more comes from here; what the other side sends can still be read.
void EndSending(const Fd& socket);

}  // namespace onebox::os
