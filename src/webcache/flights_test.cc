#include "webcache/flights.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "webcache/marks.h"

namespace onebox::webcache {
namespace {

using Role = Flights::Role;

TEST(Flights, HaveOneWhoAsksAndOthersWhoWait) {
  Flights flights;
  const auto first = flights.Join("a", 1, 0);
  ASSERT_EQ(first.role, Role::kLead);
  EXPECT_EQ(flights.Join("b", 1, 0).role, Role::kLead);
  const auto second = flights.Join("a", 1, 2);
  EXPECT_EQ(second.role, Role::kWait);
  EXPECT_EQ(second.flight, first.flight);
  EXPECT_EQ(flights.Join("a", 1, 0).role, Role::kWait);
  EXPECT_EQ(flights.Join("a", 1, 2).role, Role::kWait);
  EXPECT_EQ(flights.Lead("a", 1), nullptr);
  // Each reactor is told once.
  EXPECT_EQ(flights.Land(*first.flight, Landed::kNotShared, nullptr),
            (std::vector<std::uint32_t>{2, 0}));
  EXPECT_EQ(second.flight->landed(), Landed::kNotShared);
  EXPECT_EQ(flights.Join("a", 1, 0).role, Role::kLead);
}

TEST(Flights, LetOnlySoManyWait) {
  Flights flights;
  const auto first = flights.Join("a", 1, 0);
  for (std::uint32_t i = 0; i < Flights::kWaitersMax; ++i)
    ASSERT_EQ(flights.Join("a", 1, 0).role, Role::kWait);
  EXPECT_EQ(flights.Join("a", 1, 0).role, Role::kAlone);
}

TEST(Flights, HaveOneLeaderAmongThreads) {
  Flights flights;
  std::atomic<int> leading{0};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 5000; ++round) {
        const auto joined = flights.Join("a", 1, i);
        if (joined.role != Role::kLead) continue;
        if (leading.fetch_add(1) != 0) wrong.fetch_add(1);
        leading.fetch_sub(1);
        flights.Land(*joined.flight, Landed::kNotShared, nullptr);
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(wrong.load(), 0);
}

TEST(Marks, HoldForAWhile) {
  Marks marks{std::chrono::seconds(5)};
  const Time now{std::chrono::hours(1)};
  EXPECT_FALSE(marks.any() || marks.Has(5, now));
  marks.Set(5, now);
  EXPECT_TRUE(marks.Has(5, now));
  EXPECT_FALSE(marks.Has(5 + 4096, now));
  EXPECT_FALSE(marks.Has(5, now + std::chrono::seconds(5)));
}

}  // namespace
}  // namespace onebox::webcache
