#pragma once
// What the two ends say over the socket beside the rings: greeting, and files that change hands.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace onebox::channel {

inline constexpr std::uint32_t kVersion = 3;        // of messages, page and frames together
inline constexpr std::uint32_t kThreadsMax = 1024;  // of one worker
inline constexpr std::uint32_t kAheadMax = 64;      // of one worker, beyond its threads
inline constexpr std::uint32_t kSlotsMax = kThreadsMax + kAheadMax;
inline constexpr std::size_t kDescriptionBytesMax = 64;
inline constexpr std::size_t kMessageBytesMax = 256;  // of any message

// In messages between versions: append, never renumber.
enum class MessageKind : std::uint32_t { kHello = 1, kWelcome = 2, kFile = 3 };

// The worker's first message.
struct Hello {
  std::uint32_t version = kVersion;
  std::int32_t pid = 0;
  std::uint32_t number = 0;   // of the worker, given by the supervisor
  std::uint32_t threads = 0;  // 1 to kThreadsMax
  std::uint32_t ahead = 0;    // up to kAheadMax: requests that may wait in the channel besides
  std::string app = {};       // what it is, for people: "Flask 2.2.2"; cut at kDescriptionBytesMax
  std::string python = {};    // its version, for people; cut likewise

  std::uint32_t slots() const { return threads + ahead; }
};

// The front's answer; it carries the memory and three wakeups: the front's, the worker's, and the one
// that says that a request was cancelled.
struct Welcome {
  std::uint32_t version = kVersion;
  std::uint32_t slots = 0;
};

// Carries one file: a request's body, or a part of a response's.
struct FileMessage {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
};

std::string Encode(const Hello& hello);
std::string Encode(const Welcome& welcome);
std::string Encode(const FileMessage& file);

// Errors for another kind, another version, a wrong size or impossible numbers.
Result<Hello> DecodeHello(std::string_view bytes);
Result<Welcome> DecodeWelcome(std::string_view bytes);
Result<FileMessage> DecodeFileMessage(std::string_view bytes);

}  // namespace onebox::channel
