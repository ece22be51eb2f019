#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eviction/policies.h"
#include "eviction/sketch.h"
#include "eviction/trace.h"

namespace onebox::eviction {
namespace {

std::unique_ptr<Policy> Lazy(Shelf& shelf, std::uint64_t budget) {
  return NewLazyWTinyLfu(shelf, budget);
}

// Objects 'a' to 'z' of one block each, and a policy that is asked for some of them.
class Asked {
 public:
  Asked(const NewPolicy& make, std::uint64_t budget) : policy_(make(shelf_, budget)) {}

  // A capital for what is found: "abA" where only the third request is a hit.
  std::string operator()(std::string_view keys) {
    std::string found;
    for (const char key : keys) {
      const bool hit = policy_->Ask(static_cast<std::uint32_t>(key - 'a'), now);
      found += hit ? static_cast<char>(key - 'a' + 'A') : key;
    }
    return found;
  }

  void Charge(char key, std::uint32_t charge) { At(key).charge = charge; }
  void Expire(char key, std::uint32_t ttl) { At(key).ttl = ttl; }

  std::uint32_t now = 0;

 private:
  Object& At(char key) { return objects_[static_cast<std::size_t>(key - 'a')]; }

  std::array<Object, 26> objects_{};
  Shelf shelf_{objects_};
  std::unique_ptr<Policy> policy_;
};

TEST(Lru, EvictsWhatWasAskedForLongestAgo) {
  Asked ask(NewLru, 2);
  EXPECT_EQ(ask("abacab"), "abAcAb");
}

TEST(Lru, EvictsAsMuchAsTheNewValueWeighs) {
  Asked ask(NewLru, 4);
  ask.Charge('d', 3);
  EXPECT_EQ(ask("abcdcb"), "abcdCb");  // a and b went for d
  ask.Charge('z', 5);
  EXPECT_EQ(ask("zz"), "zz");  // never fits
}

TEST(Sieve, KeepsWhatWasTouchedWhereItStands) {
  Asked ask(NewSieve, 3);
  // a is spared once and the hand stands at c, which goes next; a does not become young by it.
  EXPECT_EQ(ask("abcad"), "abcAd");  // b went
  EXPECT_EQ(ask("e"), "e");          // c went
  EXPECT_EQ(ask("ade"), "ADE");
}

TEST(S3Fifo, LetsOneHitWondersThroughTheSmallQueueOnly) {
  Asked ask(NewS3Fifo, 10);  // one of them small
  EXPECT_EQ(ask("aaabbb"), "aAAbBB");
  // c to j fill the cache; what follows passes through, and the two with hits have become main.
  EXPECT_EQ(ask("cdefghijklmnopq"), "cdefghijklmnopq");
  EXPECT_EQ(ask("ab"), "AB");
}

TEST(S3Fifo, TakesWhatTheGhostRemembersIntoMain) {
  Asked ask(NewS3Fifo, 10);
  EXPECT_EQ(ask("abcdefghijk"), "abcdefghijk");  // a went for k, and is remembered
  EXPECT_EQ(ask("a"), "a");
  EXPECT_EQ(ask("lmnopqrst"), "lmnopqrst");
  EXPECT_EQ(ask("a"), "A");
}

TEST(S3Fifo, WantsTwoHitsInTheSmallQueue) {
  Asked ask(NewS3Fifo, 10);
  EXPECT_EQ(ask("aabbb"), "aAbBB");
  EXPECT_EQ(ask("cdefghijk"), "cdefghijk");
  EXPECT_EQ(ask("ba"), "Ba");
}

TEST(WTinyLfu, AdmitsOnlyWhatIsAskedForMoreOften) {
  Asked ask(NewWTinyLfu, 4);  // a window of one
  EXPECT_EQ(ask("aabbccd"), "aAbBcCd");
  EXPECT_EQ(ask("ef"), "ef");  // they pass through the window
  EXPECT_EQ(ask("abc"), "ABC");
  EXPECT_EQ(ask("eeeeex"), "eEEEEx");  // more often than the oldest on probation: a
  EXPECT_EQ(ask("ebca"), "EBCa");
}

TEST(LazyWTinyLfu, AdmitsOnlyWhatIsAskedForMoreOften) {
  Asked ask(Lazy, 4);
  EXPECT_EQ(ask("aabbccd"), "aAbBcCd");
  EXPECT_EQ(ask("ef"), "ef");
  EXPECT_EQ(ask("abc"), "ABC");
}

TEST(LazyWTinyLfu, AdmitsWhatWasTouchedInTheWindow) {
  Asked ask(Lazy, 4);
  EXPECT_EQ(ask("abcdd"), "abcdD");
  EXPECT_EQ(ask("e"), "e");  // d leaves the window and takes the place of a
  EXPECT_EQ(ask("dbc"), "DBC");
  EXPECT_EQ(ask("a"), "a");
}

TEST(LazyWTinyLfu, RemembersHowOftenTheEvictedWereAskedFor) {
  Asked ask(Lazy, 4);
  EXPECT_EQ(ask("abcd"), "abcd");
  // x loses its first contest, but is known when it comes again: the second one it wins, untouched.
  EXPECT_EQ(ask("xyxyxy"), "xyxyXY");
}

TEST(AllPolicies, MakeAnExpiredValueAnewInItsPlace) {
  for (const NewPolicy& make : {NewPolicy(NewLru),
                                NewPolicy(NewSieve),
                                NewPolicy(NewS3Fifo),
                                NewPolicy(NewWTinyLfu),
                                NewPolicy(Lazy)}) {
    Asked ask(make, 20);
    ask.Expire('a', 60);
    EXPECT_EQ(ask("aab"), "aAb");
    ask.now = 59;
    EXPECT_EQ(ask("a"), "A");
    ask.now = 60;
    EXPECT_EQ(ask("aab"), "aAB");
    ask.now = 120;
    EXPECT_EQ(ask("a"), "a");
  }
}

TEST(Sketch, CountsToFifteenAndForgetsByHalves) {
  for (const auto layout : {Sketch::Layout::kRows, Sketch::Layout::kLines}) {
    Sketch sketch(4096, layout);
    EXPECT_EQ(sketch.Estimate(1), 0);
    for (int i = 0; i < 20; ++i)
      sketch.Increment(1);
    EXPECT_EQ(sketch.Estimate(1), 15);
    sketch.Raise(2, 6);
    sketch.Raise(2, 3);
    EXPECT_EQ(sketch.Estimate(2), 6);
    sketch.Halve();
    EXPECT_EQ(sketch.Estimate(1), 7);
    EXPECT_EQ(sketch.Estimate(2), 3);
  }
}

TEST(Sketch, NeverSaysTooLittle) {
  for (const auto layout : {Sketch::Layout::kRows, Sketch::Layout::kLines}) {
    Sketch sketch(100, layout);  // far too small
    for (std::uint32_t key = 0; key < 300; ++key)
      for (std::uint32_t i = 0; i < key % 7; ++i)
        sketch.Increment(key);
    for (std::uint32_t key = 0; key < 300; ++key)
      EXPECT_GE(sketch.Estimate(key), static_cast<int>(key % 7));
  }
}

TEST(Zipf, DrawsRanksInProportion) {
  const Zipf zipf(1000, 1);
  Random random(1);
  std::vector<int> drawn(1000);
  for (int i = 0; i < 100'000; ++i)
    ++drawn[zipf.Draw(random)];
  EXPECT_NEAR(drawn[0], 100'000 / 7.4855, 500);  // the sum of 1/1 to 1/1000
  EXPECT_NEAR(drawn[1], drawn[0] / 2.0, 500);
  EXPECT_NEAR(drawn[9], drawn[0] / 10.0, 200);
}

TEST(Trace, IsTheSameEachTime) {
  const Trace first = GameTrace(100, 1000), second = GameTrace(100, 1000);
  ASSERT_EQ(first.requests.size(), second.requests.size());
  for (std::size_t i = 0; i < first.requests.size(); ++i) {
    EXPECT_EQ(first.requests[i].key, second.requests[i].key);
    EXPECT_EQ(first.requests[i].now, second.requests[i].now);
  }
}

TEST(Trace, HasTheFootprintOfWhatIsAskedFor) {
  Trace trace{"", {{2, 0}, {3, 0}, {5, 0}}, {{0, 0}, {2, 0}, {0, 0}}};
  EXPECT_EQ(trace.Footprint(), 7u);
}

TEST(Trace, OfAScanHasKeysThatAreAskedForOnce) {
  const Trace trace = ScanTrace(100, 20'000, 100, Sizes::kEqual);
  std::vector<int> asked(trace.objects.size());
  for (const Request& request : trace.requests)
    ++asked[request.key];
  ASSERT_GT(asked.size(), 1000u);
  EXPECT_THAT(std::vector(asked.begin() + 100, asked.end()), testing::Each(1));
}

// What the choice rests on, on traces that take a moment: ./do hitrates has the long ones.
TEST(LazyWTinyLfu, IsAsGoodAsTheBetterReference) {
  const Trace traces[] = {ZipfTrace(10'000, 0.9, 100'000, Sizes::kEqual),
                          ZipfTrace(10'000, 0.9, 100'000, Sizes::kMixed),
                          ScanTrace(10'000, 100'000, 2000, Sizes::kMixed),
                          GameTrace(4000, 100'000)};
  for (const Trace& trace : traces) {
    SCOPED_TRACE(trace.name);
    const std::uint64_t budget = trace.Footprint() / 10;
    const double better =
        std::max(HitRate(trace, budget, NewS3Fifo), HitRate(trace, budget, NewWTinyLfu));
    EXPECT_GT(HitRate(trace, budget, Lazy), better - 0.01);
    EXPECT_GT(HitRate(trace, budget, Lazy), HitRate(trace, budget, NewLru) + 0.02);
    EXPECT_GT(HitRate(trace, budget, Lazy, 4), better - 0.01);
  }
}

}  // namespace
}  // namespace onebox::eviction
