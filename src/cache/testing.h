#pragma once
// CacheTest: a small cache and a clock that stands still, for the tests of this room.

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "base/clock.h"
#include "cache/cache.h"
#include "os/clock.h"
#include "os/futex.h"

namespace onebox::cache {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""ns;

// What other threads and processes do, they do in real time.
inline void LetPass(Duration duration) {
  std::atomic<std::uint32_t> nobodys = 0;
  os::WaitForChange(nobodys, 0, duration);
}

class CacheTest : public testing::Test {
 protected:
  Key KeyOf(std::string_view bytes, std::string_view name = "") {
    return cache_.KeyOf(bytes, name);
  }
  Outcome Set(std::string_view key, const NewValue& value, const Condition& condition = {}) {
    return cache_.Set(KeyOf(key), value, condition, Now(), Wait::kNot);
  }
  Outcome Set(std::string_view key, std::string_view bytes, Lifetime lifetime = {}) {
    return Set(key, {.bytes = bytes, .lifetime = lifetime});
  }
  Outcome SetKept(std::string_view key, std::string_view bytes, Lifetime lifetime = {}) {
    return Set(key, {.bytes = bytes, .lifetime = lifetime, .keep = Keep::kUntilItExpires});
  }
  std::optional<std::string> Get(std::string_view key) {
    Value value;
    const Answer answer = cache_.Get(KeyOf(key), Now(), Wait::kNot, value);
    if (answer == Answer::kAbsent) return std::nullopt;
    return (answer == Answer::kStale ? "stale " : "") + value.bytes;
  }
  bool Remove(std::string_view key) {
    return cache_.Remove(KeyOf(key), {}, Now(), Wait::kNot) == Outcome::kDone;
  }
  Outcome Touch(std::string_view key, Lifetime lifetime, const Condition& condition = {}) {
    return cache_.Touch(KeyOf(key), lifetime, condition, Now(), Wait::kNot);
  }
  Time Now() const { return clock_.Now(); }
  Time In(Duration duration) const { return Now() + duration; }
  Cache::Figures Figures() { return cache_.Count(Now(), Wait::kForOthers); }

  void TearDown() override {
    EXPECT_TRUE(cache_.CheckInvariants());
    EXPECT_EQ(Figures().emptied, 0U);
  }

  os::SystemClock real_clock_;
  FakeClock clock_;
  Cache cache_ = Cache::Create(kCacheBytesMin).value();
};

}  // namespace onebox::cache
