#pragma once
// How many requests each of many clients may send: by time, and at once.

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "base/clock.h"

namespace onebox::limits {

struct RateRule {
  Duration interval{};  // between two requests at the rate; 0: no rate
  // So many may come together before the rate holds; 1 at least. interval * burst is at most kWindowMax.
  std::uint32_t burst = 1;
  Duration delay_max{};  // how long one that is too early may wait for its turn; 0: none may
  std::uint32_t delayed_max = 1000;  // that wait at a time, of all keys together
  std::uint32_t at_once = 0;         // of one key; 0: no limit
  std::uint32_t keys_max =
      64 << 10;  // that are remembered, rounded up to a power of two; 24 bytes each

  bool operator==(const RateRule&) const = default;
};

inline constexpr Duration kWindowMax = std::chrono::hours(24 * 366);

struct Verdict {
  enum class Kind : std::uint8_t {
    kPass,
    kDelay,   // after `wait`; then EndDelay()
    kRate,    // refused: too many in this time
    kAtOnce,  // refused: too many at once
  } kind = Kind::kPass;
  Duration wait{};       // kRate: until one would pass
  bool evicted = false;  // another key that had something to remember was forgotten for this one
};

// The generic cell rate algorithm: of a key only the time is kept at which its next request would
// arrive, had they all come at the rate (TAT, ITU-T I.371). A request passes that is early by no
// more than burst - 1 intervals. What is refused counts for nothing.
//
// The keys lie in a fixed table of sets of eight, so no flood of keys takes memory or time. A key
// whose time has passed and of which nothing runs is as good as forgotten, and its place is free. In
// a set without one, that key goes which has the least to remember: who sends most is remembered
// longest. To be forgotten early takes as many new keys as the table has, for one request.
//
// Shared by all threads. Their clocks may differ by the length of a turn; an early one waits longer.
class RateLimit {
 public:
  explicit RateLimit(const RateRule& rule);

  // `key` is a hash with a secret. kPass and kDelay are followed by one Leave() when the request has
  // ended, where counts_running().
  Verdict Ask(std::uint64_t key, Time now);
  void Leave(std::uint64_t key);
  void EndDelay() { delayed_.fetch_sub(1, std::memory_order_relaxed); }

  bool counts_running() const { return rule_.at_once > 0; }
  const RateRule& rule() const { return rule_; }

 private:
  struct Entry {
    std::uint64_t key = 0;  // 0: free
    std::int64_t tat = 0;   // since the clock's epoch
    std::uint32_t running = 0;

    // Whether a new entry would say the same.
    bool Forgettable(std::int64_t now) const { return running == 0 && tat <= now; }
  };
  struct Set {
    std::array<Entry, 8> entries;
  };
  // A mutex for many sets, on a cache line of its own.
  struct alignas(64) Stripe {
    std::mutex mutex;
  };
  static constexpr std::size_t kStripes = 64;

  Set& SetOf(std::uint64_t key) { return sets_[key & (set_count_ - 1)]; }
  std::mutex& MutexOf(std::uint64_t key) {
    return stripes_[(key & (set_count_ - 1)) % kStripes].mutex;
  }
  static Entry& Take(Set& set, std::uint64_t key, std::int64_t now, bool& evicted);
  bool EnterDelay();

  const RateRule rule_;
  const std::size_t set_count_;  // a power of two
  std::unique_ptr<Set[]> sets_;
  std::array<Stripe, kStripes> stripes_;
  std::atomic<std::uint32_t> delayed_{0};
};

}  // namespace onebox::limits
