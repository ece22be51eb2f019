#include "cache/cache.h"

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/clock.h"

namespace onebox::cache {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ns;

class CacheTest : public testing::Test {
 protected:
  Key KeyOf(std::string_view bytes, std::string_view name = "") {
    return cache_.KeyOf(bytes, name);
  }
  Outcome Set(std::string_view key, std::string_view bytes, Lifetime lifetime = {}) {
    return cache_.Set(
        KeyOf(key), {.bytes = bytes, .lifetime = lifetime}, {}, clock_.Now(), Wait::kNot);
  }
  std::optional<std::string> Get(std::string_view key) {
    Value value;
    const Answer answer = cache_.Get(KeyOf(key), clock_.Now(), Wait::kNot, value);
    if (answer == Answer::kAbsent) return std::nullopt;
    return (answer == Answer::kStale ? "stale " : "") + value.bytes;
  }
  bool Remove(std::string_view key) {
    return cache_.Remove(KeyOf(key), {}, clock_.Now(), Wait::kNot) == Outcome::kDone;
  }
  void TearDown() override { EXPECT_TRUE(cache_.CheckInvariants()); }

  FakeClock clock_;
  Cache cache_ = Cache::Create(kCacheBytesMin).value();
};

TEST_F(CacheTest, HasWhatWasPutThere) {
  EXPECT_EQ(Get("a"), std::nullopt);
  EXPECT_EQ(Set("a", "one"), Outcome::kDone);
  EXPECT_EQ(Get("a"), "one");
  EXPECT_EQ(Set("a", "two"), Outcome::kDone);
  EXPECT_EQ(Get("a"), "two");
  EXPECT_EQ(Set("", ""), Outcome::kDone);
  EXPECT_EQ(Get(""), "");
  EXPECT_TRUE(Remove("a"));
  EXPECT_FALSE(Remove("a"));
  EXPECT_EQ(Get("a"), std::nullopt);
}

// ForEach() has the lock while it shows an entry.
TEST_F(CacheTest, WaitsLongerForWhatMayNotBePassedOver) {
  ASSERT_EQ(Set("a", "one"), Outcome::kDone);
  std::mutex mutex;
  std::condition_variable news;
  bool holds = false, asked = false;
  std::thread holder([&] {
    cache_.ForEach(clock_.Now(), [&](const Entry&, std::string_view) {
      std::unique_lock lock(mutex);
      holds = true;
      news.notify_all();
      news.wait(lock, [&] { return asked; });
      news.wait_for(lock, 3 * kPatience, [] { return false; });  // longer than others wait
    });
  });
  std::unique_lock lock(mutex);
  news.wait(lock, [&] { return holds; });
  lock.unlock();
  const auto set = [&](Wait wait) {
    return cache_.Set(KeyOf("a"), {.bytes = "two"}, {}, clock_.Now(), wait);
  };
  EXPECT_EQ(set(Wait::kNot), Outcome::kBusy);
  EXPECT_EQ(set(Wait::kForOthers), Outcome::kBusy);
  lock.lock();
  asked = true;
  news.notify_all();
  lock.unlock();
  EXPECT_EQ(set(Wait::kForOthers), Outcome::kBusy) << "others have just waited in vain";
  EXPECT_EQ(set(Wait::kPatiently), Outcome::kDone);
  holder.join();
  EXPECT_EQ(Get("a"), "two");
}

TEST_F(CacheTest, TakesValuesOfEverySize) {
  for (std::size_t size = 0; size < 700; ++size) {
    const std::string bytes(size, static_cast<char>('a' + size % 26));
    const std::string key = "key " + std::to_string(size);
    ASSERT_EQ(Set(key, bytes), Outcome::kDone);
    ASSERT_EQ(Get(key), bytes);
  }
  const std::string largest(cache_.value_bytes_max(), 'x');
  EXPECT_EQ(Set("large", largest), Outcome::kDone);
  EXPECT_EQ(Get("large"), largest);
  EXPECT_EQ(Set("large", largest + "x"), Outcome::kTooLarge);
  EXPECT_EQ(Get("large"), largest) << "what is there stays";
}

TEST_F(CacheTest, ExpiresInTime) {
  Set("short", "1", {.expires = clock_.Now() + 10s});
  Set("stale", "2", {.expires = clock_.Now() + 20s, .fresh = clock_.Now() + 10s});
  Set("ever", "3");
  clock_.Advance(10s - 1ns);
  EXPECT_EQ(Get("short"), "1");
  EXPECT_EQ(Get("stale"), "2");
  clock_.Advance(1ns);
  EXPECT_EQ(Get("short"), std::nullopt);
  EXPECT_EQ(Get("stale"), "stale 2");
  clock_.Advance(10s);
  EXPECT_EQ(Get("stale"), std::nullopt);
  EXPECT_EQ(Get("ever"), "3");
}

}  // namespace
}  // namespace onebox::cache
