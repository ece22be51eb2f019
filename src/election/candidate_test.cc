#include "election/candidate.h"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <random>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onebox::election {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// A server in memory, of which several boxes have a registry each.
struct Server {
  std::optional<Record> record;
  std::int64_t milliseconds = 1'700'000'000'000;
};

class MemoryRegistry final : public Registry {
 public:
  MemoryRegistry(Server& server, std::string box) : server_(server), box_(std::move(box)) {}

  Result<std::optional<Record>> Read() override {
    return Call<std::optional<Record>>([this] { return server_.record; });
  }
  Result<std::optional<std::int64_t>> Take(const std::optional<Record>& seen) override {
    return Call<std::optional<std::int64_t>>([&]() -> std::optional<std::int64_t> {
      if (server_.record != seen) return std::nullopt;
      const std::int64_t next = seen ? seen->fence + 1 : 0;
      server_.record = {box_, std::max(next, server_.milliseconds), 0};
      return server_.record->fence;
    });
  }
  Result<bool> Renew(std::int64_t fence) override {
    return Call<bool>([&] {
      if (!IsOurs(fence)) return false;
      ++server_.record->beat;
      return true;
    });
  }
  Status Resign(std::int64_t fence) override {
    TRY(Call<bool>([&] {
      if (IsOurs(fence)) server_.record->holder.clear();
      return true;
    }));
    return Done();
  }

  // Before and behind what is done at the server; false: the call ends there with an Error.
  std::function<bool()> on_the_way = [] { return true; };

 private:
  template <typename Answer>
  Result<Answer> Call(const std::function<Answer()>& work) {
    if (!on_the_way()) return Lost();
    Answer answer = work();
    if (!on_the_way()) return Lost();
    return answer;
  }
  static Error Lost() { return {Blame::kSystem, Retry::kYes, 0, "lost"}; }
  bool IsOurs(std::int64_t fence) const {
    return server_.record && server_.record->holder == box_ && server_.record->fence == fence;
  }

  Server& server_;
  const std::string box_;
};

class CandidateTest : public ::testing::Test {
 protected:
  bool Leads(const Candidate& candidate) const {
    return candidate.leadership().Holds(clock_.Now());
  }
  void Pass(Duration time, std::initializer_list<Candidate*> steppers) {
    for (Duration passed{}; passed < time; passed += 1s) {
      clock_.Advance(1s);
      for (Candidate* const candidate : steppers)
        ASSERT_TRUE(candidate->Step().ok());
    }
  }

  FakeClock clock_;
  Server server_;
  MemoryRegistry a_registry_{server_, "a"}, b_registry_{server_, "b"};
  Candidate a_{a_registry_, 8s, clock_}, b_{b_registry_, 8s, clock_};
};

TEST_F(CandidateTest, WaitsWhereNobodyIsKnownToHaveLed) {
  ASSERT_TRUE(a_.Step().ok());
  EXPECT_FALSE(Leads(a_)) << "the server may have lost who did";
  Pass(9s, {&a_});
  EXPECT_FALSE(Leads(a_));
  Pass(1s, {&a_});
  EXPECT_TRUE(Leads(a_));
  EXPECT_EQ(a_.leadership().fence, server_.milliseconds);
}

TEST_F(CandidateTest, LeadsForALeaseFromItsLastRenewal) {
  Pass(11s, {&a_, &b_});
  ASSERT_TRUE(Leads(a_));
  EXPECT_FALSE(Leads(b_));
  EXPECT_EQ(b_.holder(), "a");
  clock_.Advance(8s - 1ms);
  EXPECT_TRUE(Leads(a_)) << "nobody has stepped";
  clock_.Advance(1ms);
  EXPECT_FALSE(Leads(a_));
}

TEST_F(CandidateTest, FollowsOneThatIsSilentForLongerThanItsLease) {
  Pass(11s, {&a_, &b_});
  ASSERT_TRUE(Leads(a_));
  Pass(9s, {&b_});
  EXPECT_FALSE(Leads(b_));
  Pass(2s, {&b_});
  EXPECT_TRUE(Leads(b_));
  EXPECT_GT(b_.leadership().fence, server_.milliseconds);
  ASSERT_TRUE(a_.Step().ok());
  EXPECT_FALSE(Leads(a_));
}

TEST_F(CandidateTest, FollowsOneThatHasResignedAtOnce) {
  Pass(11s, {&a_, &b_});
  ASSERT_TRUE(a_.Resign().ok());
  EXPECT_FALSE(Leads(a_));
  ASSERT_TRUE(b_.Step().ok());
  EXPECT_TRUE(Leads(b_));
}

TEST_F(CandidateTest, BelievesAResignationThatItHasNotWatchedAfterAWhile) {
  Pass(11s, {&a_});
  ASSERT_TRUE(a_.Resign().ok());
  Pass(1s, {&b_});
  EXPECT_FALSE(Leads(b_));
  Pass(10s, {&b_});
  EXPECT_TRUE(Leads(b_));
}

TEST_F(CandidateTest, HandsOnNothingThatItDidNotHaveYet) {
  Pass(11s, {&a_, &b_});
  ASSERT_TRUE(Leads(a_));
  server_.record.reset();
  MemoryRegistry registry(server_, "c");
  Candidate c(registry, 8s, clock_);
  ASSERT_TRUE(c.Step().ok());  // takes it, and waits
  ASSERT_TRUE(b_.Step().ok());
  ASSERT_TRUE(c.Resign().ok());
  ASSERT_TRUE(b_.Step().ok());
  EXPECT_TRUE(Leads(a_));
  EXPECT_FALSE(Leads(b_));
}

TEST_F(CandidateTest, LeadsNoMoreWhenTheServerIsNotHeard) {
  Pass(11s, {&a_});
  const std::int64_t fence = a_.leadership().fence;
  a_registry_.on_the_way = [] { return false; };
  EXPECT_FALSE(a_.Step().ok());
  EXPECT_FALSE(Leads(a_));
  a_registry_.on_the_way = [] { return true; };
  EXPECT_TRUE(a_.Step().ok());
  EXPECT_TRUE(Leads(a_)) << "nobody can have taken it so soon";
  EXPECT_EQ(a_.leadership().fence, fence);
}

TEST_F(CandidateTest, WaitsAgainAfterALongSilenceOfTheServer) {
  Pass(11s, {&a_});
  const std::int64_t fence = a_.leadership().fence;
  clock_.Advance(8s);
  ASSERT_TRUE(a_.Step().ok());
  EXPECT_FALSE(Leads(a_)) << "the server may have come back with an older record";
  Pass(10s, {&a_});
  EXPECT_TRUE(Leads(a_));
  EXPECT_GT(a_.leadership().fence, fence);
}

TEST_F(CandidateTest, LetsTheOldOnesTimePassWhenTheServerHasLostAll) {
  Pass(11s, {&a_, &b_});
  ASSERT_TRUE(Leads(a_));
  server_.record.reset();
  ++server_.milliseconds;
  ASSERT_TRUE(b_.Step().ok());
  EXPECT_TRUE(Leads(a_));
  EXPECT_FALSE(Leads(b_));
  Pass(10s, {&b_});
  EXPECT_FALSE(Leads(a_));
  EXPECT_TRUE(Leads(b_));
}

// Boxes whose clocks run at different speeds, calls that take any time or are lost before or behind what they
// do, boxes that stop for a while anywhere, and a server that loses its record or goes back to an older one.
class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed) {
    for (int i = 0; i < 4; ++i)
      boxes_.push_back(std::make_unique<Box>(*this, i));
  }

  void Run(int steps) {
    for (int i = 0; i < steps; ++i) {
      if (Once(400)) server_.record.reset();
      if (Once(50)) older_ = server_.record;
      if (Once(400)) Restore();
      Turn();
      if (::testing::Test::HasFailure()) return;
    }
  }
  int changes() const { return changes_; }

 private:
  class BoxClock final : public Clock {
   public:
    BoxClock(const Time& world, double rate) : world_(world), rate_(rate) {}
    Time Now() const override {
      const auto passed = static_cast<double>(world_.time_since_epoch().count()) * rate_;
      return Time(Duration(static_cast<Duration::rep>(passed)));
    }
    WallTime WallNow() const override { return {}; }

   private:
    const Time& world_;
    const double rate_;
  };
  struct Box {
    Box(World& world, int number)
        : clock(world.now_, 1 + 0.03 * number), registry(world.server_, std::to_string(number)) {
      registry.on_the_way = [this, &world] { return world.OnTheWay(*this); };
    }
    BoxClock clock;
    MemoryRegistry registry;
    Candidate candidate{registry, 1000ms, clock};
    bool in_a_call = false;
    bool cut_off = false;
  };

  bool Once(int in) { return random_() % static_cast<unsigned>(in) == 0; }

  // Somebody does his step, and time passes; within another's call too.
  void Turn() {
    now_ += Duration(random_() % (Once(10) ? 1'500'000'000 : 150'000'000));
    Look();
    Box& box = *boxes_[random_() % boxes_.size()];
    if (box.in_a_call) return;
    box.in_a_call = true;
    const Status status = Once(60) ? box.candidate.Resign() : box.candidate.Step();
    if (!status.ok()) box.cut_off = false;
    box.in_a_call = false;
    Look();
  }
  bool OnTheWay(const Box& box) {
    while (Once(3))
      Turn();
    server_.milliseconds += 1;
    return !box.cut_off && !Once(30);
  }
  // With the connections of all.
  void Restore() {
    server_.record = older_;
    for (const auto& box : boxes_)
      box->cut_off = true;
  }
  void Look() {
    const Box* leader = nullptr;
    for (const auto& box : boxes_) {
      if (!box->candidate.leadership().Holds(box->clock.Now())) continue;
      ASSERT_EQ(leader, nullptr) << "two lead";
      leader = box.get();
    }
    if (leader == nullptr || leader->candidate.leadership().fence == fence_) return;
    ASSERT_GT(leader->candidate.leadership().fence, fence_);
    fence_ = leader->candidate.leadership().fence;
    ++changes_;
  }

  std::mt19937_64 random_;
  Time now_{std::chrono::hours(1)};
  Server server_;
  std::optional<Record> older_;
  std::vector<std::unique_ptr<Box>> boxes_;
  std::int64_t fence_ = 0;
  int changes_ = 0;
};

std::uint64_t SeedOf(std::uint64_t otherwise) {
  const char* const told = std::getenv("ONEBOX_ELECTION_SEED");  // NOLINT(concurrency-mt-unsafe)
  return told != nullptr ? std::strtoull(told, nullptr, 10) : otherwise;
}

TEST(CandidateWorld, NeverHasTwoLeaders) {
  const std::uint64_t seed = SeedOf(std::random_device()());
  int changes = 0;
  for (std::uint64_t i = 0; i < 100 && !HasFailure(); ++i) {
    SCOPED_TRACE("ONEBOX_ELECTION_SEED=" + std::to_string(seed + i));
    World world(seed + i);
    world.Run(5000);
    changes += world.changes();
  }
  EXPECT_GT(changes, 1000) << "and often enough one";
}

}  // namespace
}  // namespace onebox::election
