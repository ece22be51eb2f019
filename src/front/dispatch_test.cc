#include "front/dispatch.h"

#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace onebox::front {
namespace {

WaitQueue::Options QueueOf(std::uint32_t queue_max) {
  static const RouteRules kRest;
  return {.routes = {&kRest}, .queue_max = queue_max};
}

class DispatchTest : public ::testing::Test {
 protected:
  Dispatch::Entered Enter(Ticket& ticket) {
    return dispatch_.Enter(ticket, Dispatch::Position::kBack, now_, place_);
  }
  Dispatch::Worker Join(std::int32_t pid, std::uint32_t threads) {
    return dispatch_.Join(1, pid, {.threads = threads}, now_);
  }

  std::vector<std::uint32_t> woken_;
  Dispatch dispatch_{{.reactors = 2,
                      .queue = QueueOf(2),
                      .concurrency = {},
                      .wake = [this](std::uint32_t reactor) { woken_.push_back(reactor); }}};
  Place place_;  // the last that was given
  Time now_{};
};

TEST_F(DispatchTest, AWorkerIsUsedOnceAllReactorsKnowIt) {
  Ticket early, late;
  Join(100, 1);
  EXPECT_EQ(Enter(early), Dispatch::Entered::kQueued);
  EXPECT_TRUE(woken_.empty());
  Join(100, 1);
  EXPECT_EQ(woken_, std::vector<std::uint32_t>{0}) << "who waited was given the place";
  EXPECT_EQ(Enter(late), Dispatch::Entered::kQueued) << "its one thread is taken";
  dispatch_.Cancel(early, now_);
  dispatch_.Cancel(late, now_);
}

TEST_F(DispatchTest, PlacesAreGivenInTheOrderOfArrivalAcrossReactors) {
  Join(100, 1);
  Join(100, 1);
  Ticket running, first, second, third;
  first.reactor = 1;
  EXPECT_EQ(Enter(running), Dispatch::Entered::kPlace);
  EXPECT_EQ(Enter(first), Dispatch::Entered::kQueued);
  EXPECT_EQ(Enter(second), Dispatch::Entered::kQueued);
  EXPECT_EQ(Enter(third), Dispatch::Entered::kFull);
  dispatch_.Leave(place_, now_);
  EXPECT_EQ(dispatch_.TakeGrant(0, place_), nullptr);
  EXPECT_EQ(dispatch_.TakeGrant(1, place_), &first);
  dispatch_.Leave(place_, now_);
  EXPECT_EQ(dispatch_.TakeGrant(0, place_), &second);
}

TEST_F(DispatchTest, AStreamThatLostItsWorkerGoesFirst) {
  Join(100, 1);
  Join(100, 1);
  Ticket running, waiting, again;
  EXPECT_EQ(Enter(running), Dispatch::Entered::kPlace);
  EXPECT_EQ(Enter(waiting), Dispatch::Entered::kQueued);
  EXPECT_EQ(dispatch_.Enter(again, Dispatch::Position::kFront, now_, place_),
            Dispatch::Entered::kQueued);
  dispatch_.Leave(place_, now_);
  EXPECT_EQ(dispatch_.TakeGrant(0, place_), &again);
  dispatch_.Cancel(waiting, now_);
}

TEST_F(DispatchTest, ACancelledGrantGoesToTheNext) {
  Join(100, 1);
  Join(100, 1);
  Ticket running, gone, next;
  next.reactor = 1;
  EXPECT_EQ(Enter(running), Dispatch::Entered::kPlace);
  EXPECT_EQ(Enter(gone), Dispatch::Entered::kQueued);
  EXPECT_EQ(Enter(next), Dispatch::Entered::kQueued);
  dispatch_.Leave(place_, now_);
  dispatch_.Cancel(gone, now_);  // its client left before its reactor saw the grant
  EXPECT_EQ(dispatch_.TakeGrant(0, place_), nullptr);
  EXPECT_EQ(dispatch_.TakeGrant(1, place_), &next);
}

TEST_F(DispatchTest, WorkSpreadsOverWorkersAndAvoidsTheSuspended) {
  for (const int pid : {100, 200}) {
    Join(pid, 2);
    Join(pid, 2);
  }
  Ticket a, b, c;
  Place first, second, third;
  dispatch_.Enter(a, Dispatch::Position::kBack, now_, first);
  dispatch_.Enter(b, Dispatch::Position::kBack, now_, second);
  EXPECT_NE(first.worker->pid, second.worker->pid);
  dispatch_.Suspend(first.worker);
  dispatch_.Enter(c, Dispatch::Position::kBack, now_, third);
  EXPECT_EQ(third.worker->pid, second.worker->pid);
}

// A worker with one thread and four places ahead.
class AheadTest : public testing::Test {
 protected:
  AheadTest() { worker_ = dispatch_.Join(1, 100, {.threads = 1, .ahead_max = 4}, now_); }

  // The worker runs `count` requests, one every `pace`, while another waits.
  void Run(int count, Duration pace) {
    Ticket ticket;
    ASSERT_EQ(Enter(ticket), Dispatch::Entered::kPlace);
    for (int i = 0; i < count; ++i) {
      Ticket next;
      const Place running = place_;
      const bool queued = Enter(next) == Dispatch::Entered::kQueued;
      now_ += pace;
      dispatch_.Leave(running, now_);
      if (queued) dispatch_.TakeGrant(0, place_);
    }
    dispatch_.Leave(place_, now_);
  }
  int Places() {
    std::vector<std::unique_ptr<Ticket>> tickets;
    do {
      tickets.push_back(std::make_unique<Ticket>());
    } while (Enter(*tickets.back()) == Dispatch::Entered::kPlace);
    dispatch_.Cancel(*tickets.back(), now_);
    const int places = static_cast<int>(tickets.size()) - 1;
    for (int i = 0; i < places; ++i) {
      dispatch_.TakeBack(place_, now_);
    }
    return places;
  }
  Dispatch::Entered Enter(Ticket& ticket) {
    Place given;
    const Dispatch::Entered entered =
        dispatch_.Enter(ticket, Dispatch::Position::kBack, now_, given);
    if (entered == Dispatch::Entered::kPlace) place_ = given;
    return entered;
  }

  std::size_t queued_ = 0;
  std::uint32_t busy_ = 0;
  Dispatch dispatch_{{.reactors = 1,
                      .queue = QueueOf(100),
                      .concurrency = {},
                      .wake = [](std::uint32_t) {},
                      .changed =
                          [this](const Dispatch::Now& now) {
                            queued_ = now.queued;
                            busy_ = now.busy;
                          }}};
  Dispatch::Worker worker_;
  Place place_;  // the last that was given
  Time now_{};
};

TEST_F(AheadTest, ANewWorkerIsGivenNoneAhead) {
  EXPECT_EQ(Places(), 1);
}

TEST_F(AheadTest, AFastOneIsGivenAsManyAsItEndsInTime) {
  Run(200, std::chrono::microseconds(50));
  EXPECT_EQ(Places(), 5);
}

TEST_F(AheadTest, NotMoreThanItEndsInTime) {
  Run(500, std::chrono::microseconds(400));
  EXPECT_EQ(Places(), 3);
}

TEST_F(AheadTest, ASlowOneIsGivenNone) {
  Run(500, std::chrono::microseconds(900));
  EXPECT_EQ(Places(), 1);
}

TEST_F(AheadTest, OneThatLetARequestWaitIsGivenNone) {
  Run(200, std::chrono::microseconds(50));
  Ticket first, second;
  ASSERT_EQ(Enter(first), Dispatch::Entered::kPlace);
  EXPECT_FALSE(dispatch_.IsAhead(worker_));
  ASSERT_EQ(Enter(second), Dispatch::Entered::kPlace);
  EXPECT_TRUE(dispatch_.IsAhead(worker_));
  EXPECT_EQ(busy_, 1U) << "it has one thread";
  EXPECT_EQ(queued_, 1U) << "who waits for it waits";
  dispatch_.TakeBack(place_, now_);
  EXPECT_EQ(Enter(second), Dispatch::Entered::kQueued);
  dispatch_.Cancel(second, now_);
}

// One worker of eight threads, each request 100 ms; `concurrency` as it may be set.
class ConcurrencyTest : public testing::Test {
 protected:
  void Make(ConcurrencySettings concurrency) {
    dispatch_ = std::make_unique<Dispatch>(
        Dispatch::Options{.reactors = 1,
                          .queue = QueueOf(1000),
                          .concurrency = concurrency,
                          .wake = [](std::uint32_t) {},
                          .changed = [this](const Dispatch::Now& now) { shown_ = now; }});
    dispatch_->Join(1, 100, {.threads = 8}, now_);
  }
  Dispatch::Entered Enter() {
    tickets_.push_back(std::make_unique<Ticket>());
    Place place;
    const auto entered = dispatch_->Enter(*tickets_.back(), Dispatch::Position::kBack, now_, place);
    if (entered == Dispatch::Entered::kPlace) running_.push_back(place);
    return entered;
  }
  // What runs ends together, after `time`; what waited runs.
  void EndAll(Duration time) {
    now_ += time;
    for (Place& place : std::exchange(running_, {})) {
      place.answered = now_;
      dispatch_->Leave(place, now_);
    }
    Place granted;
    while (dispatch_->TakeGrant(0, granted) != nullptr) {
      running_.push_back(granted);
    }
  }
  // As many ask as find a place.
  void Turns(int count, Duration time) {
    for (int i = 0; i < count; ++i) {
      while (running_.size() < shown_.limit && Enter() == Dispatch::Entered::kPlace) {
      }
      EndAll(time);
    }
  }

  Dispatch::Now shown_;
  std::unique_ptr<Dispatch> dispatch_;
  std::vector<std::unique_ptr<Ticket>> tickets_;
  std::vector<Place> running_;
  Time now_{};
};

TEST_F(ConcurrencyTest, AFixedNumberRunsAtOnceWhateverThereIs) {
  Make({.kind = ConcurrencySettings::Kind::kFixed, .count = 3});
  EXPECT_EQ(shown_.limit, 3U);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Enter(), Dispatch::Entered::kPlace);
  }
  EXPECT_EQ(Enter(), Dispatch::Entered::kQueued);
  EndAll(std::chrono::milliseconds(1));
  EXPECT_EQ(running_.size(), 1U) << "who waited";
}

TEST_F(ConcurrencyTest, FollowsTheLatencyWhereItIsToo) {
  Make({.kind = ConcurrencySettings::Kind::kAuto, .count = 0});
  EXPECT_EQ(shown_.limit, 8U);
  Turns(100, std::chrono::milliseconds(10));
  EXPECT_EQ(shown_.limit, 8U);
  Turns(100, std::chrono::milliseconds(200));
  EXPECT_LE(shown_.limit, 5U);
  Turns(500, std::chrono::milliseconds(10));
  EXPECT_EQ(shown_.limit, 8U);
}

TEST_F(ConcurrencyTest, WhoCannotBeServedInTimeIsRefusedAtOnce) {
  Make({.kind = ConcurrencySettings::Kind::kAuto, .count = 0});
  int queued = 0;
  for (int i = 0; i < 8 + 32; ++i) {
    queued += Enter() == Dispatch::Entered::kQueued ? 1 : 0;
  }
  EXPECT_EQ(queued, 32) << "nothing is known yet";
  for (int i = 0; i < 3; ++i) {
    EndAll(std::chrono::seconds(4));  // two a second
  }
  Dispatch::Entered last{};
  for (int i = 0; i < 100; ++i) {
    last = Enter();
    if (last == Dispatch::Entered::kHopeless) break;
  }
  EXPECT_EQ(last, Dispatch::Entered::kHopeless);
  const std::size_t waiting = shown_.queued;
  EXPECT_GT(waiting, 15U);
  EXPECT_LT(waiting, 45U) << "15 s at two a second are 30";
  const auto after = dispatch_->RetryAfter(*tickets_.back(), last, now_);
  EXPECT_GE(after, std::chrono::seconds(10));
  EXPECT_LE(after, std::chrono::seconds(20));
  for (const auto& ticket : tickets_) {
    dispatch_->Cancel(*ticket, now_);
  }
}

TEST(Dispatch, SaysWhenToComeAgainFromWhatWaitsAndThePace) {
  Dispatch dispatch(
      {.reactors = 1, .queue = QueueOf(20), .concurrency = {}, .wake = [](std::uint32_t) {}});
  Time now{};
  dispatch.Join(1, 100, {.threads = 1}, now);
  std::vector<std::unique_ptr<Ticket>> tickets;
  Place place;
  const auto enter = [&] {
    tickets.push_back(std::make_unique<Ticket>());
    Place given;
    const auto entered = dispatch.Enter(*tickets.back(), Dispatch::Position::kBack, now, given);
    if (entered == Dispatch::Entered::kPlace) place = given;
    return entered;
  };
  const auto after = [&] {
    Ticket ticket;
    return dispatch.RetryAfter(ticket, Dispatch::Entered::kFull, now).count();
  };
  EXPECT_EQ(after(), 1) << "nobody waits";
  while (enter() != Dispatch::Entered::kFull) {
  }
  EXPECT_EQ(after(), 1) << "nothing is known";
  for (int i = 0; i < 10; ++i) {
    now += std::chrono::milliseconds(700);
    dispatch.Leave(place, now);
    dispatch.TakeGrant(0, place);
  }
  EXPECT_EQ(after(), 7) << "10 x 0.7 s";
  now += std::chrono::seconds(3);
  EXPECT_EQ(after(), 30) << "nothing has ended for 3 s";
  now += std::chrono::seconds(30);
  EXPECT_EQ(after(), Dispatch::kRetryAfterMax.count());
  for (const auto& ticket : tickets) {
    dispatch.Cancel(*ticket, now);
  }
}

TEST(Dispatch, ReactorsMayCallItAtOnce) {
  constexpr int kRounds = 2000;
  std::size_t queued_now = 99;  // not atomic: Dispatch says it under its lock
  std::uint32_t busy_now = 99;
  const RouteRules rest;
  RouteRules low;
  low.priority = Priority::kLow;
  Dispatch dispatch({.reactors = 2,
                     .queue = {.routes = {&rest, &low}, .queue_max = 100, .address_share_max = 50},
                     .concurrency = {.kind = ConcurrencySettings::Kind::kAuto, .count = 0},
                     .wake = [](std::uint32_t) {},
                     .changed =
                         [&](const Dispatch::Now& now) {
                           queued_now = now.queued;
                           busy_now = now.busy;
                         }});
  dispatch.Join(1, 100, {.threads = 1}, Time());
  const Dispatch::Worker only = dispatch.Join(1, 100, {.threads = 1}, Time());
  const auto reactor = [&](std::uint32_t index) {
    for (int round = 0; round < kRounds; ++round) {
      Ticket ticket;
      ticket.reactor = index;
      ticket.route = round % 2 == 0 ? 0 : 1;
      ticket.client = {ClientKey::Kind::kV4, static_cast<std::uint64_t>(round % 5)};
      Place place;
      if (dispatch.Enter(ticket, Dispatch::Position::kBack, Time(), place) ==
          Dispatch::Entered::kQueued) {
        if (round % 3 == 0) {  // its client leaves, before or after the grant
          dispatch.Cancel(ticket, Time());
          continue;
        }
        while (dispatch.TakeGrant(index, place) == nullptr)
          std::this_thread::yield();
      }
      dispatch.Leave(place, Time());
    }
  };
  std::thread other(reactor, 1);
  std::thread watcher([&] {
    for (int round = 0; round < kRounds; ++round) {
      dispatch.Suspend(only);
      dispatch.Resume(only, Time());
    }
  });
  reactor(0);
  other.join();
  watcher.join();
  EXPECT_EQ(busy_now, 0U);
  EXPECT_EQ(queued_now, 0U);
}

}  // namespace
}  // namespace onebox::front
