#pragma once
// What byte is where in a channel's shared memory. See docs/internals/channel.md

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "os/mapping.h"
#include "shm/ring.h"

namespace onebox::channel {

inline constexpr std::uint64_t kMagic = 0x314c4e4843584e4f;  // "ONXCHNL1"
inline constexpr std::size_t kRingBytes = 256ULL << 10;
// A response may be this far ahead of what the front has acknowledged.
inline constexpr std::uint64_t kAheadBytesMax = 1ULL << 20;

enum class SlotState : std::uint32_t { kFree = 0, kOffered = 1, kTaken = 2 };

// State and generation change as one word, so that an old frame cannot take a new request.
constexpr std::uint64_t SlotWord(std::uint32_t generation, SlotState state) {
  return std::uint64_t{generation} << 32U | static_cast<std::uint32_t>(state);
}

// Who waits for the front, and how it is woken.
enum class Sleeper : std::uint32_t {
  kNobody = 0,
  kThread = 1,  // on the futex beside this word
  kLoop = 2,    // an event loop, on the worker's wakeup
};

// Why nobody waits for a response.
enum class CancelReason : std::uint32_t {
  kClientLeft = 0,  // or has an answer of ours, or the front is gone
  kDeadline = 1,    // its deadline has passed: the client has its 504
  kAnswering = 2,   // the client has left in the middle of the answer, which has no deadline
};

// What a worker says of itself: each is worse than the one before, and none is taken back.
enum class Stuck : std::uint32_t {
  kNo = 0,
  kThread = 1,   // a thread does not end its request: the worker finishes the others, and drains
  kProcess = 2,  // nothing in it runs: a thread holds the lock that all of them need
};

struct alignas(64) Slot {
  std::atomic<std::uint64_t> word;           // SlotWord()
  std::atomic<std::uint64_t> acknowledged;   // bytes of the response that have left the front
  std::atomic<std::uint32_t> cancelled;      // the generation that nobody waits for
  std::atomic<std::uint32_t> changed;        // raised by the front; a thread sleeps on it
  std::atomic<Sleeper> waits;                // for `acknowledged` or `cancelled`
  std::atomic<std::uint32_t> cancel_reason;  // CancelReason; stored before `cancelled`
};

// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): what two sides write shares no line
struct Page {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t slots;
  alignas(64) std::atomic<std::uint32_t> front_sleeps;   // 1: write the front's wakeup
  alignas(64) std::atomic<std::uint32_t> worker_sleeps;  // 1: write the worker's wakeup
  alignas(64) std::atomic<Sleeper> space_wanted;         // somebody waits for `space`
  std::atomic<std::uint32_t> space;                      // raised when responses were read
  std::atomic<std::uint32_t> draining;                   // 1: the worker takes no more requests
  std::atomic<std::uint32_t> stuck;                      // Stuck: the worker wants to be replaced
  alignas(64) shm::RingHead requests;
  shm::RingHead responses;
};

// The first bytes of every frame.
struct FrameHead {
  std::uint32_t kind;  // FrameKind
  std::uint32_t slot;
  std::uint32_t generation;
  std::uint32_t end;  // channel::End; 0 in requests
};

static_assert(sizeof(Slot) == 64 && sizeof(FrameHead) == 16);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

// The memory is: Page, slots, request ring, response ring.
constexpr std::size_t SlotsOffset() {
  return sizeof(Page);
}
constexpr std::size_t RequestsOffset(std::uint32_t slots) {
  return SlotsOffset() + slots * sizeof(Slot);
}
constexpr std::size_t ResponsesOffset(std::uint32_t slots) {
  return RequestsOffset(slots) + kRingBytes;
}
constexpr std::size_t MemoryBytes(std::uint32_t slots) {
  return ResponsesOffset(slots) + kRingBytes;
}

inline Page& PageOf(const os::Mapping& memory) {
  return *reinterpret_cast<Page*>(memory.data());
}
inline Slot& SlotOf(const os::Mapping& memory, std::uint32_t slot) {
  return reinterpret_cast<Slot*>(memory.data() + SlotsOffset())[slot];
}

}  // namespace onebox::channel
