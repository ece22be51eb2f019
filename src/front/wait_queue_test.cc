#include "front/wait_queue.h"

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace onebox::front {
namespace {

constexpr std::uint32_t kReports = 0;
constexpr std::uint32_t kLogin = 1;
constexpr std::uint32_t kRest = 2;

// Eight places; reports may have a quarter of them, login is served first, reports last.
class WaitQueueTest : public testing::Test {
 protected:
  WaitQueueTest() {
    rules_[kReports].share_max = 25;
    rules_[kReports].priority = Priority::kLow;
    rules_[kReports].queue_max = 20;
    rules_[kLogin].priority = Priority::kHigh;
    Make(100);
  }
  void Make(std::uint32_t address_share_max) {
    queue_ = std::make_unique<WaitQueue>(
        WaitQueue::Options{.routes = {&rules_[0], &rules_[1], &rules_[2]},
                           .queue_max = 60,
                           .address_share_max = address_share_max});
    queue_->SetPlaces(8);
  }
  // A client of number 0 is nobody.
  Ticket& New(std::uint32_t route, std::uint64_t client = 0) {
    tickets_.push_back(std::make_unique<Ticket>());
    tickets_.back()->route = route;
    if (client != 0) tickets_.back()->client = {ClientKey::Kind::kV4, client};
    return *tickets_.back();
  }
  WaitQueue::Joined Wait(std::uint32_t route, std::uint64_t client = 0) {
    return queue_->PushBack(New(route, client), now_);
  }
  // It runs from now on.
  Place Run(std::uint32_t route, std::uint64_t client = 0) {
    Place place;
    queue_->Begin(New(route, client), place);
    return place;
  }
  // Takes `count` of those that wait, and runs them to their end one after the other.
  std::string Served(int count) {
    std::string served;
    for (int i = 0; i < count; ++i) {
      Ticket* const ticket = queue_->TakeNext();
      if (ticket == nullptr) break;
      Place place;
      queue_->Begin(*ticket, place);
      served +=
          names_clients_ ? static_cast<char>('0' + ticket->client.bits) : "rl."[ticket->route];
      queue_->End(place);
    }
    return served;
  }

  RouteRules rules_[3];
  std::unique_ptr<WaitQueue> queue_;
  std::vector<std::unique_ptr<Ticket>> tickets_;
  bool names_clients_ = false;  // Served() names clients, not routes
  Time now_{};
};

TEST_F(WaitQueueTest, ARouteThatIsFullHoldsUpNobodyElse) {
  Run(kReports);
  const Place second = Run(kReports);
  EXPECT_FALSE(WaitQueue::HasRoom(*second.route)) << "a quarter of eight runs";
  for (int i = 0; i < 5; ++i) {
    Wait(kReports);
  }
  Wait(kRest);
  EXPECT_EQ(Served(9), ".");
  EXPECT_EQ(queue_->size(), 5U);
  queue_->End(second);
  EXPECT_EQ(Served(9), "rrrrr");
}

TEST_F(WaitQueueTest, ItsQueueIsBoundedByItself) {
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(Wait(kReports), WaitQueue::Joined::kYes);
  }
  EXPECT_EQ(Wait(kReports), WaitQueue::Joined::kRouteFull);
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(Wait(kRest), WaitQueue::Joined::kYes);
  }
  EXPECT_EQ(Wait(kLogin), WaitQueue::Joined::kFull);
}

TEST_F(WaitQueueTest, AHigherPriorityGoesFirstAndTheOthersNowAndThen) {
  for (int i = 0; i < 4; ++i) {
    Wait(kReports);
  }
  Wait(kRest);
  for (int i = 0; i < 20; ++i) {
    Wait(kLogin);
  }
  EXPECT_EQ(Served(25), "lllllllrlllllllrllllll.rr");
}

TEST_F(WaitQueueTest, RoutesOfOnePriorityAreServedInTheOrderOfArrival) {
  rules_[kReports].priority = rules_[kLogin].priority = Priority::kNormal;
  for (const std::uint32_t route : {kRest, kReports, kReports, kLogin, kRest, kReports}) {
    Wait(route);
  }
  EXPECT_EQ(Served(6), ".rrl.r");
}

TEST_F(WaitQueueTest, WhoLostItsTurnGoesFirstIfItsRouteHasRoom) {
  Wait(kLogin);
  Ticket& again = New(kReports);
  queue_->PushFront(again, now_);
  EXPECT_EQ(Served(1), "r");
  Ticket& once_more = New(kReports);
  queue_->PushFront(once_more, now_);
  Run(kReports);
  Run(kReports);
  EXPECT_EQ(Served(9), "l");
  queue_->Remove(once_more);
  EXPECT_EQ(queue_->size(), 0U);
}

TEST_F(WaitQueueTest, ClientsTakeTurns) {
  Make(50);
  names_clients_ = true;
  for (const int client : {1, 1, 1, 1, 1, 2, 3, 3}) {
    EXPECT_EQ(Wait(kRest, static_cast<std::uint64_t>(client)), WaitQueue::Joined::kYes);
  }
  EXPECT_EQ(Served(8), "12313111");
}

TEST_F(WaitQueueTest, AClientThatRunsItsShareWaitsWhileOthersDo) {
  Make(50);
  names_clients_ = true;
  std::vector<Place> running;
  for (int i = 0; i < 4; ++i) {
    running.push_back(Run(kRest, 1));
  }
  for (const int client : {1, 1, 2, 2, 0}) {
    Wait(kRest, static_cast<std::uint64_t>(client));
  }
  EXPECT_EQ(Served(9), "20211") << "at last there is nobody else";
  Wait(kRest, 1);
  Wait(kRest, 2);
  queue_->End(running.back());
  EXPECT_EQ(Served(2), "12") << "below its share it has its turn";
}

TEST_F(WaitQueueTest, AClientHasItsShareOfTheQueueOverAllRoutes) {
  Make(50);
  int waiting = 0;
  while (Wait(waiting % 2 == 0 ? kRest : kLogin, 7) == WaitQueue::Joined::kYes) {
    ++waiting;
  }
  EXPECT_EQ(waiting, 30);
  EXPECT_EQ(Wait(kRest, 7), WaitQueue::Joined::kClientFull);
  EXPECT_EQ(Wait(kRest, 8), WaitQueue::Joined::kYes);
  EXPECT_EQ(Wait(kRest, 0), WaitQueue::Joined::kYes);
}

TEST_F(WaitQueueTest, EachClientIsForgottenWithItsLastRequest) {
  Make(50);
  for (std::uint64_t client = 1; client < 5 * WaitQueue::kClientsMax; ++client) {
    ASSERT_EQ(Wait(kRest, client), WaitQueue::Joined::kYes);
    ASSERT_EQ(Wait(kLogin, client), WaitQueue::Joined::kYes);
    Served(2);
    ASSERT_EQ(queue_->size(), 0U);
    tickets_.clear();
  }
}

TEST_F(WaitQueueTest, WhereTheTableIsFullOthersAreNotLimited) {
  Make(50);
  std::vector<Place> running;
  for (std::uint64_t client = 1; client <= WaitQueue::kClientsMax; ++client) {
    running.push_back(Run(kRest, client));
  }
  EXPECT_EQ(Run(kRest, 99'999).client, nullptr);
  EXPECT_EQ(Wait(kRest, 99'999), WaitQueue::Joined::kYes);
  EXPECT_EQ(Served(1), ".");
  for (const Place& place : running) {
    queue_->End(place);
  }
  EXPECT_NE(Run(kRest, 99'999).client, nullptr);
}

TEST_F(WaitQueueTest, TheWaitIsReckonedFromThePaceOfTheRoute) {
  Ticket& next = New(kRest);
  EXPECT_EQ(queue_->WaitOf(next, now_), Duration()) << "nothing is known";
  Place running = Run(kRest);
  for (int i = 0; i < 40; ++i) {
    Wait(kRest);
  }
  for (int i = 0; i < 30; ++i) {
    now_ += std::chrono::milliseconds(100);
    queue_->End(running);
    queue_->Begin(*queue_->TakeNext(), running);
    queue_->Paced(running, now_);
  }
  EXPECT_EQ(queue_->WaitOf(next, now_), std::chrono::milliseconds(1100)) << "ten stand before it";
  EXPECT_EQ(queue_->WaitForAll(*running.route, WaitQueue::Of::kRoute, now_),
            std::chrono::seconds(1));
  now_ += std::chrono::seconds(1);
  EXPECT_EQ(queue_->WaitOf(next, now_), std::chrono::seconds(11)) << "nothing has ended since";
}

TEST(ClientKey, IsAnIpv4AddressOrANetworkOfIpv6) {
  const auto of = [](std::string_view text) { return ClientKey::Of(http::ParseAddress(text)); };
  EXPECT_EQ(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
  EXPECT_FALSE(of("2001:db8:1:2::1") == of("2001:db8:1:3::1"));
  EXPECT_FALSE(of("10.0.0.1") == of("10.0.0.2"));
  EXPECT_EQ(of("10.0.0.1"), of("::ffff:10.0.0.1"));
  EXPECT_FALSE(of("0.0.0.1") == of("0:0:0:1::"));
  EXPECT_EQ(ClientKey::Of(std::nullopt), ClientKey());
}

}  // namespace
}  // namespace onebox::front
