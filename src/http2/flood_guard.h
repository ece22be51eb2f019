#pragma once
// How many frames a client may send that cost us more than they cost it.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/clock.h"

namespace onebox::http2 {

// What well-behaved clients do now and then, and attacks do all the time.
enum class Flood : std::uint8_t {
  kResets,         // streams begun and given up, by it or by us for what it sent (CVE-2023-44487)
  kSettings,       // each is answered (CVE-2019-9515)
  kPings,          // likewise (CVE-2019-9512)
  kEmptyFrames,    // that carry nothing and end nothing (CVE-2019-9518)
  kContinuations,  // of one head (CVE-2024-27316)
  kPriorities,     // CVE-2019-9513
  kWindowUpdates,  // more than what was sent to it asks for (CVE-2019-9511)
  kErrors,         // frames that break a rule, and heads that are refused for their form
};
inline constexpr std::size_t kFloods = 8;

// A bucket: `burst` at once, and as many more as `per_second` lets in.
struct FloodLimit {
  Flood flood;
  std::string_view name;
  std::uint32_t burst;
  std::uint32_t per_second;
};

// Far above what browsers, curl, proxies and load generators were seen to do, far below what costs a
// core. A page of 100 images that is left at once is 100 resets.
inline constexpr std::array<FloodLimit, kFloods> kFloodLimits = {{
    {Flood::kResets, "resets", 500, 100},
    {Flood::kSettings, "settings", 50, 5},
    {Flood::kPings, "pings", 100, 20},
    {Flood::kEmptyFrames, "empty_frames", 100, 20},
    {Flood::kContinuations, "continuations", 8, 0},  // of each head anew
    {Flood::kPriorities, "priorities", 500, 100},
    {Flood::kWindowUpdates, "window_updates", 1000, 200},
    {Flood::kErrors, "errors", 100, 10},
}};

constexpr const FloodLimit& LimitOf(Flood flood) {
  return kFloodLimits[static_cast<std::size_t>(flood)];
}

// Of one connection.
class FloodGuard {
 public:
  // Whether one more is too many. `now` never goes back.
  bool Exceeds(Flood flood, Time now);
  // The client was given reason to send more of them.
  void Allow(Flood flood, std::uint32_t more);
  void Forget(Flood flood) { buckets_[static_cast<std::size_t>(flood)].used = 0; }

 private:
  struct Bucket {
    std::uint32_t used = 0;
    std::uint32_t second = 0;  // since the first frame, up to which `used` has been lowered
  };

  std::array<Bucket, kFloods> buckets_{};
  Time began_{};
  bool has_begun_ = false;
};

}  // namespace onebox::http2
