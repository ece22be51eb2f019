#include "cache/cache.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "cache/testing.h"

namespace onebox::cache {
namespace {

using Presence = Condition::Presence;
using testing::ElementsAre;
using testing::Field;

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
  EXPECT_EQ(Get("large"), std::nullopt) << "it is not what was set last";
}

TEST_F(CacheTest, TakesKeysOfEverySizeUpToTheMaximum) {
  for (std::size_t size = 0; size <= kKeyBytesMax; size += size < 200 ? 1 : 487) {
    const std::string key(size, 'k');
    ASSERT_EQ(Set(key, std::to_string(size)), Outcome::kDone);
    ASSERT_EQ(Get(key), std::to_string(size));
  }
  const std::string longest(kKeyBytesMax, 'l');
  EXPECT_EQ(Set(longest, std::string(cache_.value_bytes_max(), 'x')), Outcome::kDone);
}

TEST_F(CacheTest, KeepsKeysApartThatAreAlike) {
  const std::string zero(1, '\0');
  const std::vector<std::string> keys = {"", zero, zero + zero, "a", "a" + zero, "aa", "A"};
  for (const auto& key : keys)
    Set(key, "of " + key);
  for (const auto& key : keys)
    EXPECT_EQ(Get(key), "of " + key);
}

TEST_F(CacheTest, GivesBackTheCodecAndTheEnd) {
  Set("a", {.bytes = "x", .codec = 7, .lifetime = {.expires = In(5s)}});
  Set("b", {.bytes = "y", .codec = 200});
  Value value;
  EXPECT_EQ(cache_.Get(KeyOf("a"), Now(), Wait::kNot, value), Answer::kFresh);
  EXPECT_EQ(value.codec, 7);
  EXPECT_EQ(value.expires, In(5s));
  EXPECT_EQ(cache_.Get(KeyOf("b"), Now(), Wait::kNot, value), Answer::kFresh);
  EXPECT_EQ(value.codec, 200);
  EXPECT_EQ(value.expires, std::nullopt);
}

// --- conditions

TEST_F(CacheTest, ChangesOnlyWhereTheConditionHolds) {
  struct Case {
    const char* why = nullptr;
    bool there = false;
    Condition condition = {};
    Outcome set = Outcome::kDone, remove = Outcome::kDone, touch = Outcome::kDone;
  };
  constexpr Outcome kDone = Outcome::kDone, kRefused = Outcome::kRefused;
  const Case cases[] = {
      {"whatever is there", true, {}, kDone, kDone, kDone},
      {"whatever is not", false, {}, kDone, kRefused, kRefused},
      {"absent, and it is not", true, {Presence::kAbsent}, kRefused, kRefused, kRefused},
      {"absent, and it is", false, {Presence::kAbsent}, kDone, kRefused, kRefused},
      {"present, and it is", true, {Presence::kPresent}, kDone, kDone, kDone},
      {"present, and it is not", false, {Presence::kPresent}, kRefused, kRefused, kRefused},
      {"equal, and it is", true, {.equals = "before"}, kDone, kDone, kDone},
      {"equal, and longer", true, {.equals = "before "}, kRefused, kRefused, kRefused},
      {"equal, and other bytes", true, {.equals = "Before"}, kRefused, kRefused, kRefused},
      {"equal, and empty", true, {.equals = ""}, kRefused, kRefused, kRefused},
      {"equal bytes of another kind",
       true,
       {.equals = "before", .codec = kTextCodec},
       kRefused,
       kRefused,
       kRefused},
      {"equal, where nothing is", false, {.equals = "before"}, kDone, kRefused, kRefused},
      {"present and equal", true, {Presence::kPresent, "before"}, kDone, kDone, kDone},
      {"present, equal, and not", false, {Presence::kPresent, "x"}, kRefused, kRefused, kRefused},
      {"absent or equal", true, {Presence::kAbsent, "before"}, kRefused, kRefused, kRefused},
  };
  for (const auto& c : cases) {
    for (const auto keep : {Keep::kWhileThereIsRoom, Keep::kUntilItExpires}) {
      SCOPED_TRACE(fmt::format("{}{}", c.why, keep == Keep::kUntilItExpires ? ", kept" : ""));
      const auto begin = [&] {
        Remove("key");
        if (c.there) Set("key", {.bytes = "before", .keep = keep});
      };
      const auto expect_unchanged = [&] {
        EXPECT_EQ(Get("key"), c.there ? std::optional<std::string>("before") : std::nullopt);
      };
      begin();
      EXPECT_EQ(Set("key", {.bytes = "after", .keep = keep}, c.condition), c.set);
      if (c.set == kDone) {
        EXPECT_EQ(Get("key"), "after");
      }
      if (c.set != kDone) expect_unchanged();
      begin();
      EXPECT_EQ(cache_.Remove(KeyOf("key"), c.condition, Now(), Wait::kNot), c.remove);
      if (c.remove == kDone) {
        EXPECT_EQ(Get("key"), std::nullopt);
      }
      if (c.remove != kDone) expect_unchanged();
      begin();
      EXPECT_EQ(Touch("key", {.expires = In(0s)}, c.condition), c.touch);
      if (c.touch == kDone) {
        EXPECT_EQ(Get("key"), std::nullopt);
      }
      if (c.touch != kDone) expect_unchanged();
    }
  }
}

TEST_F(CacheTest, WhatHasExpiredIsAbsentToConditions) {
  SetKept("key", "old", {.expires = In(1s)});
  clock_.Advance(1s);
  EXPECT_EQ(Set("key", {.bytes = "x"}, {Presence::kPresent}), Outcome::kRefused);
  EXPECT_EQ(Touch("key", {}), Outcome::kRefused) << "nothing comes back";
  EXPECT_FALSE(Remove("key"));
  EXPECT_EQ(Set("key", {.bytes = "new"}, {Presence::kAbsent, "other"}), Outcome::kDone);
  EXPECT_EQ(Get("key"), "new");
}

TEST_F(CacheTest, ComparesValuesThatLieInPieces) {
  // A cache in which large values are put together from the gaps of small ones.
  for (int i = 0; i < 20'000; ++i)
    Set(std::to_string(i), std::string(static_cast<std::size_t>(i % 400), 'x'));
  std::string large(cache_.value_bytes_max() / 2, 'l');
  ASSERT_EQ(SetKept("large", large), Outcome::kDone);
  EXPECT_EQ(Get("large"), large);
  std::string other = large;
  other.back() = 'L';
  EXPECT_EQ(Set("large", {.bytes = "x"}, {.equals = other}), Outcome::kRefused);
  EXPECT_EQ(Set("large", {.bytes = "x"}, {.equals = large}), Outcome::kDone);
}

// --- time

TEST_F(CacheTest, LastsAsLongAsItIsSaid) {
  struct Case {
    const char* why;
    std::optional<Duration> expires, fresh;
    Duration after;
    Answer answer;
  };
  const Case cases[] = {
      {"for ever", {}, {}, 100'000h, Answer::kFresh},
      {"until it expires", 10s, {}, 10s - 1ns, Answer::kFresh},
      {"it expires", 10s, {}, 10s, Answer::kAbsent},
      {"it has expired when it is set", 0s, {}, 0s, Answer::kAbsent},
      {"long before it is set", -10s, {}, 0s, Answer::kAbsent},
      {"fresh", 20s, 10s, 10s - 1ns, Answer::kFresh},
      {"stale", 20s, 10s, 10s, Answer::kStale},
      {"stale to the end", 20s, 10s, 20s - 1ns, Answer::kStale},
      {"stale, then not there", 20s, 10s, 20s, Answer::kAbsent},
      {"stale at once", 20s, 0s, 0s, Answer::kStale},
      {"stale for ever", {}, 10s, 100'000h, Answer::kStale},
      {"fresh for longer than it lasts", 10s, 20s, 10s - 1ns, Answer::kFresh},
      {"fresh for longer, and it expires", 10s, 20s, 10s, Answer::kAbsent},
  };
  for (const auto& c : cases) {
    for (const bool touched : {false, true}) {
      SCOPED_TRACE(fmt::format("{}{}", c.why, touched ? ", touched" : ""));
      Lifetime lifetime;
      if (c.expires) lifetime.expires = In(*c.expires);
      if (c.fresh) lifetime.fresh = In(*c.fresh);
      Set("key", "value", touched ? Lifetime{.expires = In(1s)} : lifetime);
      if (touched) {
        EXPECT_EQ(Touch("key", lifetime), Outcome::kDone);
      }
      clock_.Advance(c.after);
      Value value;
      EXPECT_EQ(cache_.Get(KeyOf("key"), Now(), Wait::kNot, value), c.answer);
    }
  }
}

// --- what is kept

constexpr std::size_t kManyBytes = 1'000;

TEST_F(CacheTest, WhatIsKeptIsNeverEvictedAndFillsHalfAtMost) {
  int kept = 0, refused = 0;
  std::vector<bool> there;
  for (int i = 0; i < 3'000; ++i) {
    const Outcome outcome = SetKept(fmt::format("kept {}", i), std::string(kManyBytes, 'k'));
    ASSERT_TRUE(outcome == Outcome::kDone || outcome == Outcome::kFull);
    there.push_back(outcome == Outcome::kDone);
    (outcome == Outcome::kDone ? kept : refused) += 1;
  }
  EXPECT_GT(refused, 0);
  const auto figures = Figures();
  EXPECT_LE(figures.bytes_kept, kCacheBytesMin / 2);
  EXPECT_GT(figures.bytes_kept, kCacheBytesMin / 10 * 4);
  EXPECT_EQ(figures.entries_kept, static_cast<std::size_t>(kept));
  for (int i = 0; i < 20'000; ++i)
    ASSERT_EQ(Set(fmt::format("other {}", i), std::string(kManyBytes, 'o')), Outcome::kDone);
  for (int i = 0; i < 3'000; ++i)
    ASSERT_EQ(Get(fmt::format("kept {}", i)).has_value(), there[static_cast<std::size_t>(i)]) << i;
  EXPECT_EQ(SetKept("one more", std::string(kManyBytes, 'k')), Outcome::kFull);
}

TEST_F(CacheTest, WhatIsRefusedForWantOfRoomLeavesWhatWasThere) {
  const std::string small = "small", large(kManyBytes * 50, 'l');
  ASSERT_EQ(SetKept("key", small), Outcome::kDone);
  for (int i = 0; i < 3'000; ++i)
    SetKept(fmt::format("kept {}", i), std::string(kManyBytes, 'k'));
  EXPECT_EQ(SetKept("key", large), Outcome::kFull);
  EXPECT_EQ(Get("key"), small);
  EXPECT_EQ(SetKept("key", "other"), Outcome::kDone) << "it takes the room of the one before";
  EXPECT_EQ(Set("key", large), Outcome::kDone) << "for what may give way there is room";
  EXPECT_EQ(Get("key"), large);
}

TEST_F(CacheTest, WhatIsKeptAndHasExpiredGivesRoom) {
  for (int i = 0; i < 3'000; ++i)
    SetKept(fmt::format("first {}", i), std::string(kManyBytes, 'k'), {.expires = In(1h)});
  ASSERT_EQ(SetKept("new", std::string(kManyBytes, 'k')), Outcome::kFull);
  clock_.Advance(1h);
  for (int i = 0; i < 700; ++i)
    ASSERT_EQ(SetKept(fmt::format("second {}", i), std::string(kManyBytes, 'k')), Outcome::kDone);
  for (int i = 0; i < 700; ++i)
    ASSERT_TRUE(Get(fmt::format("second {}", i)));
}

TEST_F(CacheTest, WhatIsPurgedGivesRoomToo) {
  const std::array<TagMark, 1> tags = {cache_.MarkOf("session")};
  for (int i = 0; i < 3'000; ++i)
    Set(fmt::format("first {}", i),
        {.bytes = std::string(kManyBytes, 'k'), .keep = Keep::kUntilItExpires, .tags = tags});
  ASSERT_EQ(SetKept("new", std::string(kManyBytes, 'k')), Outcome::kFull);
  cache_.Purge("session");
  clock_.Advance(100ms);
  EXPECT_EQ(SetKept("new", std::string(kManyBytes, 'k')), Outcome::kDone);
}

TEST_F(CacheTest, CountsWhatIsKeptWhenThatChanges) {
  SetKept("key", "x");
  EXPECT_EQ(Figures().entries_kept, 1U);
  Set("key", "y");
  EXPECT_EQ(Figures().entries_kept, 0U);
  EXPECT_EQ(Figures().bytes_kept, 0U);
  EXPECT_EQ(Figures().entries, 1U);
  SetKept("key", "z");
  EXPECT_EQ(Figures().entries_kept, 1U);
  Remove("key");
  EXPECT_EQ(Figures().entries, 0U);
  EXPECT_EQ(Figures().bytes_used, 0U);
}

// --- numbers

class Numbers : public CacheTest {
 protected:
  struct Begin {
    std::optional<std::int64_t> initial = {};
    Lifetime lifetime = {};
    Keep keep = Keep::kWhileThereIsRoom;
  };
  Outcome Add(std::string_view key, std::int64_t number, const Begin& begin) {
    const std::int64_t first = begin.initial.value_or(0);
    const NewValue initial{.bytes = {reinterpret_cast<const char*>(&first), sizeof first},
                           .codec = kNumberCodec,
                           .lifetime = begin.lifetime,
                           .keep = begin.keep};
    const NewValue* given = begin.initial ? &initial : nullptr;
    return cache_.Add(KeyOf(key), number, given, Now(), Wait::kNot, sum_);
  }
  std::int64_t sum_ = 0;
};

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();

TEST_F(Numbers, AreAddedTo) {
  struct Case {
    const char* why = nullptr;
    std::int64_t initial = 0, number = 0;
    std::optional<std::int64_t> sum = {};
  };
  const Case cases[] = {
      {"one more", 0, 1, 1},
      {"from elsewhere", 41, 1, 42},
      {"less", 5, -7, -2},
      {"nothing", 9, 0, 9},
      {"to the most", kMost - 1, 1, kMost},
      {"beyond the most", kMost, 1, {}},
      {"to the least", kLeast + 1, -1, kLeast},
      {"beyond the least", kLeast, -1, {}},
      {"from one end to the other", kLeast, kMost, -1},
      {"by far too much", kLeast, kLeast, {}},
  };
  for (const auto keep : {Keep::kWhileThereIsRoom, Keep::kUntilItExpires}) {
    for (const auto& c : cases) {
      SCOPED_TRACE(c.why);
      Remove("new");
      const Outcome expected = c.sum ? Outcome::kDone : Outcome::kOutOfRange;
      EXPECT_EQ(Add("new", c.number, {.initial = c.initial, .keep = keep}), expected);
      EXPECT_EQ(Get("new").has_value(), c.sum.has_value());
      if (c.sum) {
        EXPECT_EQ(sum_, *c.sum);
      }
      Remove("there");
      ASSERT_EQ(Add("there", 0, {.initial = c.initial, .keep = keep}), Outcome::kDone);
      EXPECT_EQ(Add("there", c.number, {}), expected);
      if (c.sum) {
        EXPECT_EQ(sum_, *c.sum);
      }
      EXPECT_EQ(Add("there", 0, {}), Outcome::kDone);
      EXPECT_EQ(sum_, c.sum.value_or(c.initial)) << "what is out of range changes nothing";
    }
  }
}

TEST_F(Numbers, BeginOnlyWhereThatIsSaid) {
  EXPECT_EQ(Add("visits", 1, {}), Outcome::kRefused);
  EXPECT_EQ(Get("visits"), std::nullopt);
  EXPECT_EQ(Add("visits", 1, {.initial = 10, .lifetime = {.expires = In(5s)}}), Outcome::kDone);
  EXPECT_EQ(Add("visits", 1, {.initial = 100, .lifetime = {.expires = In(50s)}}), Outcome::kDone);
  EXPECT_EQ(sum_, 12);
  clock_.Advance(5s);
  EXPECT_EQ(Add("visits", 1, {}), Outcome::kRefused) << "adding is no touch";
  EXPECT_EQ(Add("visits", 1, {.initial = 0}), Outcome::kDone);
  EXPECT_EQ(sum_, 1);
}

TEST_F(Numbers, AreNothingElse) {
  const struct {
    const char* why = nullptr;
    NewValue value = {};
  } cases[] = {
      {"text", {.bytes = "12345678"}},
      {"of another length", {.bytes = "1234567", .codec = kNumberCodec}},
      {"longer", {.bytes = "123456789", .codec = kNumberCodec}},
      {"empty", {.bytes = "", .codec = kNumberCodec}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    Set("key", c.value);
    EXPECT_EQ(Add("key", 1, {.initial = 1}), Outcome::kNotANumber);
    EXPECT_EQ(Get("key"), c.value.bytes);
  }
}

TEST_F(Numbers, ThatAreKeptStayKept) {
  Add("limit", 1, {.initial = 0, .keep = Keep::kUntilItExpires});
  for (int i = 0; i < 20'000; ++i) {
    Set(std::to_string(i), std::string(500, 'o'));
    if (i % 100 == 0) Add("limit", 1, {});
  }
  EXPECT_EQ(Add("limit", 0, {}), Outcome::kDone);
  EXPECT_EQ(sum_, 201);
}

// --- tags

TEST_F(CacheTest, PurgeEndsWhatIsMarkedAndNothingElse) {
  std::string another = "blue";  // whose mark is another
  while (cache_.MarkOf(another).cell == cache_.MarkOf("red").cell)
    another += "!";
  const std::array<TagMark, 2> both = {cache_.MarkOf("red"), cache_.MarkOf(another)};
  const std::array<TagMark, 1> red = {cache_.MarkOf("red")}, blue = {cache_.MarkOf(another)};
  Set("both", {.bytes = "1", .tags = both});
  Set("red", {.bytes = "2", .tags = red});
  Set("blue", {.bytes = "3", .keep = Keep::kUntilItExpires, .tags = blue});
  Set("none", "4");
  cache_.Purge("red");
  EXPECT_EQ(Get("both"), std::nullopt);
  EXPECT_EQ(Get("red"), std::nullopt);
  EXPECT_EQ(Get("blue"), "3");
  EXPECT_EQ(Get("none"), "4");
  cache_.Purge(another);
  EXPECT_EQ(Get("blue"), std::nullopt);
  EXPECT_EQ(Set("red", {.bytes = "5", .tags = std::array{cache_.MarkOf("red")}}), Outcome::kDone);
  EXPECT_EQ(Get("red"), "5");
}

TEST_F(CacheTest, APurgeWhileAValueIsLoadedMeetsIt) {
  const std::array<TagMark, 1> mark = {cache_.MarkOf("prices")};
  cache_.Purge("prices");
  EXPECT_EQ(Set("key", {.bytes = "old", .tags = mark}), Outcome::kDone);
  EXPECT_EQ(Get("key"), std::nullopt);
  EXPECT_EQ(Set("key", {.bytes = "x"}, {Presence::kPresent}), Outcome::kRefused);
}

TEST_F(CacheTest, TakesTagsUpToTheMaximum) {
  std::array<TagMark, kTagsMax> marks{};
  for (std::size_t i = 0; i < kTagsMax; ++i) {
    for (std::size_t tag = 0; tag < kTagsMax; ++tag)
      marks[tag] = cache_.MarkOf(fmt::format("tag {}", tag));
    Set("key", {.bytes = std::string(3'000, 'v'), .tags = marks});
    EXPECT_EQ(Get("key"), std::string(3'000, 'v'));
    cache_.Purge(fmt::format("tag {}", i));
    EXPECT_EQ(Get("key"), std::nullopt);
  }
}

// --- statistics

using Row = Cache::Row;

TEST_F(CacheTest, TellsWhatWasAskedForByName) {
  Value value;
  cache_.Set(KeyOf("1", "users"), {.bytes = "x"}, {}, Now(), Wait::kNot);
  for (int i = 0; i < 3; ++i)
    cache_.Get(KeyOf("1", "users"), Now(), Wait::kNot, value);
  cache_.Get(KeyOf("2", "users"), Now(), Wait::kNot, value);
  cache_.Get(KeyOf("3", "prices"), Now(), Wait::kNot, value);
  std::map<std::string, Row> rows;
  for (const Row& row : Figures().rows)
    rows[row.name] = row;
  EXPECT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows["users"].hits, 3U);
  EXPECT_EQ(rows["users"].misses, 1U);
  EXPECT_EQ(rows["users"].sets, 1U);
  EXPECT_EQ(rows["prices"].misses, 1U);
}

TEST_F(CacheTest, CountsNamesBeyondItsRowsTogether) {
  Value value;
  constexpr std::uint64_t kNames = 1'000;
  for (std::uint64_t i = 0; i < kNames; ++i)
    cache_.Get(KeyOf("key", fmt::format("name {}", i)), Now(), Wait::kNot, value);
  const std::string longest(RowName::kBytesMax, 'n');
  for (const auto& name : {std::string(), longest + "n"})
    cache_.Get(KeyOf("key", name), Now(), Wait::kNot, value);
  std::uint64_t misses = 0, others = 0;
  std::set<std::string> names;
  for (const Row& row : Figures().rows) {
    misses += row.misses;
    if (row.name.empty()) others = row.misses;
    EXPECT_TRUE(names.insert(row.name).second);
  }
  EXPECT_EQ(misses, kNames + 2);
  EXPECT_GE(names.size(), kRows - 20) << "nearly all rows are used";
  EXPECT_EQ(others, kNames + 2 - (names.size() - 1));
}

TEST_F(CacheTest, LeavesItsRowsToNamesWhateverKeysBeginWith) {
  std::mt19937_64 random(7);
  const auto ask = [&](const std::string& bytes, const std::string& name) {
    Value value;
    cache_.Get(cache_.KeyOf(bytes, name, Cache::Named::kByABegin), Now(), Wait::kNot, value);
  };
  const auto letters_of = [](const std::string& key) {
    return key.substr(0, key.find_first_of("0123456789"));
  };
  constexpr std::string_view kDigits =
      "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  for (int i = 0; i < 100'000; ++i) {
    const std::string digest = fmt::format("{:016x}", random());
    ask(digest, letters_of(digest));
    std::string token;
    while (token.size() < 22)
      token.push_back(kDigits[random() % kDigits.size()]);
    ask(token, letters_of(token));
    if (i % 10 == 0) ask(fmt::format("user{}", i), "user");
  }
  std::map<std::string, std::uint64_t> misses;
  for (const Row& row : Figures().rows)
    misses[row.name] = row.misses;
  EXPECT_GT(misses["user"], 9'900U);
  EXPECT_LT(misses.size(), kRows / 2)
      << "of one letter there are 52, and some of two of a digest's";
}

TEST_F(CacheTest, HasARowForTheLongestName) {
  Value value;
  const std::string longest(RowName::kBytesMax, 'n');
  cache_.Get(KeyOf("key", longest), Now(), Wait::kNot, value);
  EXPECT_THAT(Figures().rows, ElementsAre(Field(&Row::name, longest)));
}

TEST_F(CacheTest, FiguresAreWhatARecountGives) {
  for (int i = 0; i < 5'000; ++i) {
    Set(fmt::format("cached {}", i), std::string(static_cast<std::size_t>(i % 900), 'c'));
    if (i % 10 == 0) SetKept(fmt::format("kept {}", i), std::string(100, 'k'));
    if (i % 25 == 0) Remove(fmt::format("cached {}", i / 2));
  }
  std::size_t entries = 0, kept = 0, bytes = 0, bytes_kept = 0;
  const auto left_out = cache_.ForEach(Now(), [&](const Entry& entry, std::string_view key) {
    entries += 1;
    bytes += std::size_t{entry.blocks} * kBlockBytes;
    if (entry.queue != Queue::kKept) return;
    EXPECT_TRUE(key.starts_with("kept"));
    kept += 1;
    bytes_kept += std::size_t{entry.blocks} * kBlockBytes;
  });
  EXPECT_EQ(left_out, 0U);
  const auto figures = Figures();
  EXPECT_EQ(figures.entries, entries);
  EXPECT_EQ(figures.entries_kept, kept);
  EXPECT_EQ(figures.bytes_used, bytes);
  EXPECT_EQ(figures.bytes_kept, bytes_kept);
  std::uint64_t evictions = 0, sets = 0;
  for (const Row& row : figures.rows) {
    evictions += row.evictions;
    sets += row.sets;
  }
  EXPECT_EQ(sets, 5'500U);
  EXPECT_GT(evictions, 0U);
}

// --- its memory

constexpr std::size_t kMega = std::size_t{1} << 20;
constexpr std::size_t kGiga = std::size_t{1} << 30;

TEST(CacheMemory, IsOfAnySize) {
  // Of sizes around which the number of shards changes, too. What is not used is not taken.
  for (const std::size_t bytes : {kCacheBytesMin,
                                  3 * kMega,
                                  32 * kMega,
                                  64 * kMega - 1,
                                  256 * kMega,
                                  kGiga + 12'345,
                                  4 * kGiga - 1,
                                  4 * kGiga,
                                  4 * kGiga + 63 * kMega,
                                  8 * kGiga + 100 * kMega}) {
    SCOPED_TRACE(bytes);
    Cache cache = Cache::Create(bytes).value();
    EXPECT_TRUE(cache.IsOf(bytes));
    EXPECT_FALSE(cache.IsOf(bytes * 2));
    const Time now{1h};
    const std::string value(1'000, 'v'), largest(cache.value_bytes_max(), 'l');
    EXPECT_GT(largest.size(), std::min(bytes / 4 / 64, 8 * kMega) / 10 * 9);
    for (const auto& bytes_of : {value, largest}) {
      Value found;
      const Key key = cache.KeyOf("key", "");
      EXPECT_EQ(cache.Set(key, {.bytes = bytes_of}, {}, now, Wait::kNot), Outcome::kDone);
      EXPECT_EQ(cache.Get(key, now, Wait::kNot, found), Answer::kFresh);
      EXPECT_TRUE(found.bytes == bytes_of);
    }
    const auto figures = cache.Count(now, Wait::kForOthers);
    EXPECT_LE(figures.bytes, bytes);
    EXPECT_GT(figures.bytes, bytes / 100 * 98);
    EXPECT_EQ(figures.entries, 1U);
  }
}

TEST(CacheMemory, IsUsedInAllItsShards) {
  constexpr std::size_t kBytes = 40 * kGiga;
  Cache cache = Cache::Create(kBytes).value();
  const Time now{1h};
  for (int i = 0; i < 20'000; ++i) {
    const std::string bytes = std::to_string(i);
    cache.Set(cache.KeyOf(bytes, ""), {.bytes = "x"}, {}, now, Wait::kNot);
  }
  std::set<std::uintptr_t> parts;
  cache.ForEach(now, [&](const Entry& entry, std::string_view) {
    parts.insert(reinterpret_cast<std::uintptr_t>(&entry) / kShardBytesMax);
  });
  EXPECT_GT(parts.size(), 500U);
}

TEST(CacheMemory, IsSeenByAllWhoOpenIt) {
  Cache one = Cache::Create(kCacheBytesMin).value();
  Cache two = Cache::Open(os::Fd(::dup(one.memory().get()))).value();
  const Time now{1h};
  Value value;
  EXPECT_EQ(one.Set(one.KeyOf("key", "n"), {.bytes = "x"}, {}, now, Wait::kNot), Outcome::kDone);
  EXPECT_EQ(two.Get(two.KeyOf("key", "n"), now, Wait::kNot, value), Answer::kFresh);
  EXPECT_EQ(value.bytes, "x");
  EXPECT_EQ(one.value_bytes_max(), two.value_bytes_max());
  EXPECT_EQ(two.Count(now, Wait::kForOthers).rows.size(), 1U);
}

TEST(CacheMemory, IsOpenedOnlyWhereItIsACacheOfThisVersion) {
  const Cache cache = Cache::Create(kCacheBytesMin).value();
  const auto mapped = os::Mapping::Share(cache.memory(), kCacheBytesMin / 2).value();
  auto& head = *reinterpret_cast<CacheHead*>(mapped.data());
  const auto opens = [&] { return Cache::Open(os::Fd(::dup(cache.memory().get()))).ok(); };
  ASSERT_TRUE(opens());
  const struct {
    const char* why;
    std::function<void()> change;
  } cases[] = {
      {"foreign memory", [&] { head.magic ^= 1; }},
      {"another version", [&] { head.version += 1; }},
      {"no shard", [&] { head.shards = 0; }},
      {"three shards", [&] { head.shards = 3; }},
      {"more shards than there is memory for", [&] { head.shards *= 2; }},
      {"far more", [&] { head.shards = 1U << 31; }},
      {"shards too small", [&] { head.shard_bytes = kShardBytesMin - kBlockBytes; }},
      {"shards too large", [&] { head.shard_bytes = kShardBytesMax + kBlockBytes; }},
      {"shards larger than the memory", [&] { head.shard_bytes += kMega; }},
      {"shards that begin anywhere", [&] { head.shard_bytes -= 1; }},
      {"no cell for tags", [&] { head.tag_cells = 0; }},
      {"an odd number of them", [&] { head.tag_cells -= 1; }},
      {"too many of them", [&] { head.tag_cells = 1U << 31; }},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    std::array<std::byte, offsetof(CacheHead, seed)> before{};
    std::memcpy(before.data(), mapped.data(), before.size());
    c.change();
    EXPECT_FALSE(opens());
    std::memcpy(mapped.data(), before.data(), before.size());
  }
  EXPECT_TRUE(opens());
  for (const std::size_t size : {std::size_t{0}, sizeof(CacheHead) - 1, sizeof(CacheHead)}) {
    SCOPED_TRACE(size);
    EXPECT_FALSE(Cache::Open(os::NewSharedMemory("short", size).value()).ok());
  }
}

TEST(CacheMemory, IsReadInItsBoundsWhateverIsScribbledOverItsHead) {
  Cache cache = Cache::Create(kCacheBytesMin).value();
  const auto mapped = os::Mapping::Share(cache.memory(), kCacheBytesMin / 2).value();
  const Time now{1h};
  Value value;
  std::memset(mapped.data(), 0xff, sizeof(CacheHead));
  cache.Purge("tag");
  const std::array<TagMark, 1> tags = {cache.MarkOf("tag")};
  const Key key = cache.KeyOf("key", "name");
  EXPECT_EQ(cache.Set(key, {.bytes = "x", .tags = tags}, {}, now, Wait::kNot), Outcome::kDone);
  EXPECT_EQ(cache.Get(key, now, Wait::kNot, value), Answer::kFresh);
  cache.Count(now, Wait::kForOthers);
  EXPECT_TRUE(cache.CheckInvariants());
}

}  // namespace
}  // namespace onebox::cache
