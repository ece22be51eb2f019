#include "front/shared_responses.h"

#include <thread>

#include <gtest/gtest.h>

namespace onebox::front {
namespace {

class SharedResponsesTest : public testing::Test {
 protected:
  static std::size_t PurgeOne(SharedResponses& responses) {
    return responses.Purge([](webcache::Store& store) { return store.PurgeUrl("/page"); });
  }

  std::shared_ptr<PurgeCount> count_ = PurgeCount::Create().value();
  SharedResponses before_{{}, 1, count_};
  SharedResponses after_{{}, 2, count_};
};

TEST_F(SharedResponsesTest, AFrontForgetsEverythingWhenAnotherPurges) {
  PurgeOne(before_);
  EXPECT_EQ(after_.store.purges(), 0U);
  after_.CatchUp();
  EXPECT_EQ(after_.store.purges(), 1U);
  after_.CatchUp();
  EXPECT_EQ(after_.store.purges(), 1U) << "once for each purge of another";
}

TEST_F(SharedResponsesTest, ItsOwnPurgesGoNoFurtherThanTheySay) {
  PurgeOne(before_);
  before_.CatchUp();
  EXPECT_EQ(before_.store.purges(), 1U);
}

TEST_F(SharedResponsesTest, AFrontThatComesLaterHasNothingToForget) {
  PurgeOne(before_);
  SharedResponses later({}, 3, count_);
  later.CatchUp();
  EXPECT_EQ(later.store.purges(), 0U);
}

TEST_F(SharedResponsesTest, NoPurgeOfAnotherIsMissedBesideOnesOwn) {
  std::thread other([this] {
    for (int i = 0; i < 10'000; ++i)
      PurgeOne(before_);
  });
  for (int i = 0; i < 10'000; ++i) {
    PurgeOne(after_);
    after_.CatchUp();
  }
  other.join();
  before_.CatchUp();
  after_.CatchUp();
  EXPECT_GT(before_.store.purges() + after_.store.purges(), 20'000U);
  const std::uint64_t purges = after_.store.purges();
  PurgeOne(before_);
  after_.CatchUp();
  EXPECT_EQ(after_.store.purges(), purges + 1);
}

TEST(SharedResponses, AFrontThatIsAloneCountsNothing) {
  SharedResponses alone({}, 1, nullptr);
  alone.Purge([](webcache::Store& store) { return store.PurgeUrl("/page"); });
  alone.CatchUp();
  EXPECT_EQ(alone.store.purges(), 1U);
}

}  // namespace
}  // namespace onebox::front
