#include "supervise/pool.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onebox::supervise {
namespace {

using std::chrono::seconds;

constexpr Life kWaiting = Life::kWaiting, kBooting = Life::kBooting, kReady = Life::kReady,
               kEnding = Life::kEnding;
constexpr bool kStays = false, kLeaves = true, kDrains = true;

Time At(int second) {
  return Time(seconds(second));
}

TEST(Balance, MovesOneStepAtATime) {
  struct Case {
    std::string why;
    std::vector<Member> members;
    PoolSize size;
    unsigned start = 0;
    std::vector<int> end{};
  };
  const std::vector<Case> cases = {
      {"an empty pool starts all", {}, {3, 0}, 3},
      {"what boots counts", {{1, kBooting, kStays}, {2, kReady, kStays}}, {2, 1}},
      {"what waits for its next start counts", {{1, kWaiting, kStays}}, {1, 1}},
      {"one that leaves gets a successor first",
       {{1, kReady, kLeaves}, {2, kReady, kStays}},
       {2, 1},
       1},
      {"and serves until that is ready",
       {{1, kReady, kLeaves}, {2, kReady, kStays}, {3, kBooting, kStays}},
       {2, 1}},
      {"then it ends",
       {{1, kReady, kLeaves}, {2, kReady, kStays}, {3, kReady, kStays}},
       {2, 1},
       0,
       {1}},
      {"the oldest first",
       {{1, kReady, kLeaves, At(2)}, {2, kReady, kLeaves, At(1)}, {3, kReady, kStays, At(3)}},
       {2, 2},
       1,
       {2}},
      {"all at once where memory allows it",
       {{1, kReady, kLeaves}, {2, kReady, kLeaves}},
       {2, 2},
       2},
      {"as many as memory allows", {{1, kReady, kLeaves}, {2, kReady, kLeaves}}, {2, 1}, 1},
      {"what still ends takes room",
       {{1, kEnding, kLeaves}, {2, kReady, kLeaves}, {3, kReady, kStays}},
       {2, 1}},
      {"without room the old one goes first",
       {{1, kReady, kLeaves, At(1)}, {2, kReady, kLeaves, At(2)}},
       {2, 0},
       0,
       {1}},
      {"and the next one only when its successor serves",
       {{1, kEnding, kLeaves}, {2, kReady, kLeaves}},
       {2, 0}},
      {"without room, the old one gone", {{2, kReady, kLeaves}}, {2, 0}, 1},
      {"without room, the successor boots", {{2, kReady, kLeaves}, {3, kBooting, kStays}}, {2, 0}},
      {"beside those of a front that drains all come where memory allows it",
       {{1, kReady, kLeaves, At(1), kDrains},
        {2, kReady, kLeaves, At(2), kDrains},
        {3, kReady, kStays}},
       {2, 2},
       1},
      {"without room one of them goes first",
       {{1, kReady, kLeaves, At(1), kDrains},
        {2, kReady, kLeaves, At(2), kDrains},
        {3, kReady, kStays}},
       {2, 0},
       0,
       {1}},
      {"and the last stays as long as its front",
       {{2, kReady, kLeaves, At(2), kDrains}, {3, kReady, kStays}},
       {2, 0}},
      {"one that leaves before it has served is not waited for",
       {{1, kBooting, kLeaves}, {2, kWaiting, kLeaves}},
       {1, 2},
       1,
       {1, 2}},
      {"fewer wanted: the youngest that serves goes",
       {{1, kReady, kStays, At(1)}, {2, kReady, kStays, At(2)}},
       {1, 1},
       0,
       {2}},
      {"fewer wanted: what does not serve yet goes before",
       {{1, kReady, kStays, At(1)}, {2, kBooting, kStays, At(0)}, {3, kWaiting, kStays, At(0)}},
       {1, 1},
       0,
       {3, 2}},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.why);
    const Moves moves = Balance(one.members, one.size);
    EXPECT_EQ(moves.start, one.start);
    EXPECT_EQ(moves.end, one.end);
    EXPECT_EQ(moves.no_room, one.size.spare_max == 0 && !one.end.empty());
  }
}

// Whatever leaves and whatever memory allows, a pool that takes the moves comes to rest with
// successors alone, and is short of one only where there was no room.
TEST(Balance, ReplacesAllWithoutBeingShort) {
  std::minstd_rand random(1);  // NOLINT(cert-msc51-cpp): the same moves in every run
  for (unsigned wanted = 1; wanted <= 4; ++wanted) {
    for (unsigned spare = 0; spare <= 4; ++spare) {
      SCOPED_TRACE(testing::Message() << wanted << " wanted, " << spare << " spare");
      std::vector<Member> members;
      int last = 0;
      for (unsigned i = 0; i < wanted; ++i)
        members.push_back({++last, kReady, kLeaves, At(last)});
      for (int turn = 0; turn < 300; ++turn) {
        const Moves moves = Balance(members, {wanted, spare});
        for (Member& member : members) {
          if (std::find(moves.end.begin(), moves.end.end(), member.number) != moves.end.end()) {
            member.life = kEnding;
          }
        }
        for (unsigned i = 0; i < moves.start; ++i)
          members.push_back({++last, kBooting, kStays, At(last)});
        const auto serving = std::count_if(
            members.begin(), members.end(), [](const Member& one) { return one.life == kReady; });
        EXPECT_GE(serving, wanted - (spare == 0 ? 1 : 0));
        EXPECT_LE(members.size(), wanted + spare);
        // Then one of those that boot or end may get there, or none.
        if (members.empty() || random() % 4 == 0) continue;
        const auto it = members.begin() + static_cast<std::ptrdiff_t>(random() % members.size());
        if (it->life == kEnding) {
          members.erase(it);
        } else if (it->life == kBooting) {
          it->life = kReady;
        }
      }
      EXPECT_EQ(members.size(), wanted);
      for (const Member& member : members)
        EXPECT_TRUE(!member.leaves && member.life == kReady);
    }
  }
}

}  // namespace
}  // namespace onebox::supervise
