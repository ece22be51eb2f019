// Is everything whole and counted when threads and processes use one cache at the same time?

#include <array>
#include <atomic>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/cache.h"
#include "cache/testing.h"
#include "os/clock.h"

namespace onebox::cache {
namespace {

constexpr int kThreads = 3;
constexpr int kProcesses = 4;
constexpr std::uint64_t kLetters = 8;

void InThreads(const std::function<void(int)>& work) {
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back(work, i);
  for (auto& thread : threads)
    thread.join();
}

// A process that does not end with 0 has failed.
void InProcesses(const std::function<int(int)>& work) {
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    children.push_back(::fork());
    ASSERT_GE(children.back(), 0);
    if (children.back() == 0) ::_exit(work(i));
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
}

class Together : public testing::Test {
 protected:
  Key KeyOf(const std::string& text) { return cache_.KeyOf(text, "test"); }
  static std::string LetterKey(std::uint64_t i) { return fmt::format("letters {}", i % kLetters); }

  // Writes and reads values of one letter each, of any length: how many were torn.
  int WriteAndReadLetters(std::uint64_t seed, int times) {
    std::mt19937_64 random(seed);
    int torn = 0;
    for (int i = 0; i < times; ++i) {
      const std::string text = LetterKey(random());
      constexpr std::array<std::size_t, 5> kSizes = {1, 60, 700, 9'000, 70'000};
      const std::string bytes(kSizes[random() % kSizes.size()],
                              static_cast<char>('a' + random() % 26));
      cache_.Set(KeyOf(text), {.bytes = bytes}, {}, clock_.Now(), Wait::kForOthers);
      Value found;
      const Answer answer =
          cache_.Get(KeyOf(LetterKey(random())), clock_.Now(), Wait::kForOthers, found);
      if (answer == Answer::kFresh &&
          found.bytes.find_first_not_of(found.bytes[0]) != std::string::npos)
        ++torn;
    }
    return torn;
  }

  void Count(int times) {
    const std::string first(sizeof(std::int64_t), '\0');
    const NewValue zero{.bytes = first, .codec = kNumberCodec, .keep = Keep::kUntilItExpires};
    for (int i = 0; i < times; ++i) {
      std::int64_t sum = 0;
      while (cache_.Add(KeyOf("count"), 1, &zero, clock_.Now(), Wait::kForOthers, sum) !=
             Outcome::kDone) {
      }
    }
  }
  std::int64_t Counted() {
    std::int64_t sum = -1;
    cache_.Add(KeyOf("count"), 0, nullptr, clock_.Now(), Wait::kForOthers, sum);
    return sum;
  }

  // A lock as the app would make it, of what is kept, and what it guards.
  void CountLocked(const std::string& name, int times) {
    for (int i = 0; i < times; ++i) {
      while (true) {
        const std::uint32_t turn = cache_.TurnOf(KeyOf("lock"));
        if (cache_.Set(KeyOf("lock"),
                       {.bytes = name, .keep = Keep::kUntilItExpires},
                       {Condition::Presence::kAbsent},
                       clock_.Now(),
                       Wait::kForOthers) == Outcome::kDone)
          break;
        cache_.Await(KeyOf("lock"), turn, 1s);
      }
      Value value;
      cache_.Get(KeyOf("guarded"), clock_.Now(), Wait::kForOthers, value);
      const std::string more = std::to_string(std::strtol(value.bytes.c_str(), nullptr, 10) + 1);
      cache_.Set(KeyOf("guarded"),
                 {.bytes = more, .keep = Keep::kUntilItExpires},
                 {},
                 clock_.Now(),
                 Wait::kForOthers);
      cache_.Remove(KeyOf("lock"), {.equals = name}, clock_.Now(), Wait::kForOthers);
    }
  }
  std::string Guarded() {
    Value value;
    cache_.Get(KeyOf("guarded"), clock_.Now(), Wait::kForOthers, value);
    return value.bytes;
  }

  // get_or_set of many keys: how often it was loaded.
  int Load(int keys) {
    int loaded = 0;
    for (int i = 0; i < keys; ++i) {
      const std::string text = fmt::format("loaded {}", i);
      while (true) {
        Value value;
        const auto loading =
            cache_.GetOrClaim(KeyOf(text), 20s, clock_.Now(), Wait::kForOthers, value);
        using Next = Cache::Loading::Next;
        if (loading.next == Next::kUse) break;
        if (loading.next == Next::kWait) cache_.Await(KeyOf(text), loading.turn, 1s);
        if (loading.next != Next::kLoad) continue;
        ++loaded;
        std::this_thread::yield();
        cache_.Fulfil(KeyOf(text),
                      loading.token,
                      {.bytes = text, .keep = Keep::kUntilItExpires},
                      clock_.Now(),
                      Wait::kForOthers);
      }
    }
    return loaded;
  }

  void DoEverything(std::uint64_t seed, std::atomic<bool>& ends);

  os::SystemClock clock_;
  Cache cache_ = Cache::Create(kCacheBytesMin).value();
};

TEST_F(Together, NoCountIsLostByProcesses) {
  InProcesses([&](int) {
    Count(20'000);
    return 0;
  });
  EXPECT_EQ(Counted(), kProcesses * 20'000);
  EXPECT_TRUE(cache_.CheckInvariants());
}

TEST_F(Together, NoCountIsLostByThreads) {
  InThreads([&](int) { Count(20'000); });
  EXPECT_EQ(Counted(), kThreads * 20'000);
}

TEST_F(Together, NoValueIsTornByProcesses) {
  InProcesses([&](int i) { return WriteAndReadLetters(static_cast<std::uint64_t>(i), 1'500); });
  EXPECT_TRUE(cache_.CheckInvariants());
  EXPECT_EQ(cache_.Count(clock_.Now(), Wait::kForOthers).emptied, 0U);
}

TEST_F(Together, NoValueIsTornByThreads) {
  std::atomic<int> torn = 0;
  InThreads([&](int i) { torn += WriteAndReadLetters(static_cast<std::uint64_t>(i), 1'500); });
  EXPECT_EQ(torn, 0);
  EXPECT_TRUE(cache_.CheckInvariants());
}

TEST_F(Together, ALockIsOnesAtATime) {
  InProcesses([&](int i) {
    CountLocked(std::to_string(i), 200);
    return 0;
  });
  EXPECT_EQ(Guarded(), std::to_string(kProcesses * 200));
}

TEST_F(Together, EachKeyIsLoadedOnce) {
  constexpr int kKeys = 200;
  std::atomic<int> loaded = 0;
  InThreads([&](int) { loaded += Load(kKeys); });
  EXPECT_EQ(loaded, kKeys);
}

void Together::DoEverything(std::uint64_t seed, std::atomic<bool>& ends) {
  std::mt19937_64 random(seed);
  const std::string zero(sizeof(std::int64_t), '\0');
  while (!ends.load(std::memory_order_relaxed)) {
    const std::string text = fmt::format("key {}", random() % 40);
    const std::string name = fmt::format("name {}", random() % 300);
    const Key key = cache_.KeyOf(text, name);
    const Wait wait = random() % 2 == 0 ? Wait::kNot : Wait::kForOthers;
    const Time now = clock_.Now();
    const std::string bytes(random() % 4'000, 'v');
    const std::array<TagMark, 1> tags = {cache_.MarkOf(fmt::format("tag {}", random() % 5))};
    const NewValue value{
        .bytes = bytes,
        .lifetime = {.expires = now + 10ms, .fresh = now + 1ms},
        .keep = random() % 3 == 0 ? Keep::kUntilItExpires : Keep::kWhileThereIsRoom,
        .tags = tags};
    Value found;
    std::int64_t sum = 0;
    NewValue number = value;
    number.bytes = zero;
    number.codec = kNumberCodec;
    switch (random() % 12) {
      case 0:
        cache_.Set(key, value, {}, now, wait);
        break;
      case 1:
        cache_.Remove(key, {}, now, wait);
        break;
      case 2:
        cache_.Touch(key, {.expires = now + 1s}, {}, now, wait);
        break;
      case 3:
        cache_.Add(key, 1, &number, now, wait, sum);
        break;
      case 4:
        cache_.Purge(fmt::format("tag {}", random() % 5));
        break;
      case 5:
        cache_.Await(key, cache_.TurnOf(key), 1ms);
        break;
      case 6:
        if (random() % 20 == 0) cache_.Count(now, Wait::kForOthers);
        break;
      case 7:
        if (random() % 20 == 0) cache_.ForEach(now, [](const Entry&, std::string_view) {});
        break;
      case 8: {
        const auto loading = cache_.GetOrClaim(key, 5ms, now, wait, found);
        if (loading.next == Cache::Loading::Next::kLoad && random() % 2 == 0)
          cache_.Fulfil(key, loading.token, value, now, wait);
        else if (loading.next == Cache::Loading::Next::kLoad)
          cache_.GiveUp(key, loading.token, now, wait);
        break;
      }
      default:
        cache_.Get(key, now, wait, found);
    }
  }
}

TEST_F(Together, ThreadsAndProcessesDoEverything) {
  const auto run = [&](std::uint64_t seed) {
    std::atomic<bool> ends = false;
    std::vector<std::thread> threads;
    for (std::uint64_t i = 0; i < kThreads; ++i)
      threads.emplace_back([&, i] { DoEverything(seed * 10 + i, ends); });
    LetPass(700ms);
    ends = true;
    for (auto& thread : threads)
      thread.join();
  };
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  run(child == 0 ? 1 : 2);
  if (child == 0) ::_exit(0);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(cache_.CheckInvariants());
  const auto figures = cache_.Count(clock_.Now(), Wait::kForOthers);
  EXPECT_EQ(figures.emptied, 0U);
  EXPECT_EQ(figures.undone, 0U);
}

// Those who are killed in the middle harm nobody who goes on.
TEST_F(Together, OthersGoOnWhereSomeAreKilled) {
  std::atomic<bool> ends = false;
  std::thread counting([&] { Count(20'000); });
  for (int i = 0; i < 20; ++i) {
    const pid_t child = ::fork();
    if (child == 0) DoEverything(static_cast<std::uint64_t>(i), ends);
    LetPass(10ms);
    ::kill(child, SIGKILL);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  }
  counting.join();
  EXPECT_EQ(Counted(), 20'000);
  EXPECT_TRUE(cache_.CheckInvariants());
  EXPECT_EQ(cache_.Count(clock_.Now(), Wait::kForOthers).emptied, 0U);
}

}  // namespace
}  // namespace onebox::cache
