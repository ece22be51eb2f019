#include "front/dispatch.h"

#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace onebox::front {
namespace {

class DispatchTest : public ::testing::Test {
 protected:
  Dispatch::Entered Enter(Ticket& ticket) {
    return dispatch_.Enter(ticket, Dispatch::Position::kBack, worker_);
  }

  std::vector<std::uint32_t> woken_;
  Dispatch dispatch_{{.reactors = 2, .queue_max = 2, .wake = [this](std::uint32_t reactor) {
                        woken_.push_back(reactor);
                      }}};
  Dispatch::Worker worker_;
};

TEST_F(DispatchTest, AWorkerIsUsedOnceAllReactorsKnowIt) {
  Ticket early, late;
  dispatch_.Join(1, 100, {.threads = 1});
  EXPECT_EQ(Enter(early), Dispatch::Entered::kQueued);
  EXPECT_TRUE(woken_.empty());
  dispatch_.Join(1, 100, {.threads = 1});
  EXPECT_EQ(woken_, std::vector<std::uint32_t>{0}) << "who waited was given the place";
  EXPECT_EQ(Enter(late), Dispatch::Entered::kQueued) << "its one thread is taken";
  dispatch_.Cancel(early);
  dispatch_.Cancel(late);
}

TEST_F(DispatchTest, PlacesAreGivenInTheOrderOfArrivalAcrossReactors) {
  dispatch_.Join(1, 100, {.threads = 1});
  const Dispatch::Worker worker = dispatch_.Join(1, 100, {.threads = 1});
  Ticket running, first, second, third;
  first.reactor = 1;
  EXPECT_EQ(Enter(running), Dispatch::Entered::kPlace);
  EXPECT_EQ(Enter(first), Dispatch::Entered::kQueued);
  EXPECT_EQ(Enter(second), Dispatch::Entered::kQueued);
  EXPECT_EQ(Enter(third), Dispatch::Entered::kFull);
  dispatch_.Leave(worker, Time());
  EXPECT_EQ(dispatch_.TakeGrant(0, worker_), nullptr);
  EXPECT_EQ(dispatch_.TakeGrant(1, worker_), &first);
  dispatch_.Leave(worker, Time());
  EXPECT_EQ(dispatch_.TakeGrant(0, worker_), &second);
}

TEST_F(DispatchTest, AStreamThatLostItsWorkerGoesFirst) {
  dispatch_.Join(1, 100, {.threads = 1});
  const Dispatch::Worker worker = dispatch_.Join(1, 100, {.threads = 1});
  Ticket running, waiting, again;
  EXPECT_EQ(Enter(running), Dispatch::Entered::kPlace);
  EXPECT_EQ(Enter(waiting), Dispatch::Entered::kQueued);
  EXPECT_EQ(dispatch_.Enter(again, Dispatch::Position::kFront, worker_),
            Dispatch::Entered::kQueued);
  dispatch_.Leave(worker, Time());
  EXPECT_EQ(dispatch_.TakeGrant(0, worker_), &again);
  dispatch_.Cancel(waiting);
}

TEST_F(DispatchTest, ACancelledGrantGoesToTheNext) {
  dispatch_.Join(1, 100, {.threads = 1});
  const Dispatch::Worker worker = dispatch_.Join(1, 100, {.threads = 1});
  Ticket running, gone, next;
  next.reactor = 1;
  EXPECT_EQ(Enter(running), Dispatch::Entered::kPlace);
  EXPECT_EQ(Enter(gone), Dispatch::Entered::kQueued);
  EXPECT_EQ(Enter(next), Dispatch::Entered::kQueued);
  dispatch_.Leave(worker, Time());
  dispatch_.Cancel(gone);  // its client left before its reactor saw the grant
  EXPECT_EQ(dispatch_.TakeGrant(0, worker_), nullptr);
  EXPECT_EQ(dispatch_.TakeGrant(1, worker_), &next);
}

TEST_F(DispatchTest, WorkSpreadsOverWorkersAndAvoidsTheSuspended) {
  for (const int pid : {100, 200}) {
    dispatch_.Join(1, pid, {.threads = 2});
    dispatch_.Join(1, pid, {.threads = 2});
  }
  Ticket a, b, c;
  Dispatch::Worker first, second;
  dispatch_.Enter(a, Dispatch::Position::kBack, first);
  dispatch_.Enter(b, Dispatch::Position::kBack, second);
  EXPECT_NE(first->pid, second->pid);
  dispatch_.Suspend(first);
  Dispatch::Worker third;
  dispatch_.Enter(c, Dispatch::Position::kBack, third);
  EXPECT_EQ(third->pid, second->pid);
}

// A worker with one thread and four places ahead.
class AheadTest : public testing::Test {
 protected:
  AheadTest() { worker_ = dispatch_.Join(1, 100, {.threads = 1, .ahead_max = 4}); }

  // The worker runs `count` requests, one every `pace`, while another waits.
  void Run(int count, Duration pace) {
    Ticket ticket;
    Dispatch::Worker given;
    ASSERT_EQ(Enter(ticket), Dispatch::Entered::kPlace);
    for (int i = 0; i < count; ++i) {
      Ticket next;
      dispatch_.Enter(next, Dispatch::Position::kBack, given);
      now_ += pace;
      dispatch_.Leave(worker_, now_);
      dispatch_.TakeGrant(0, given);
    }
    dispatch_.Leave(worker_, now_);
  }
  int Places() {
    std::vector<std::unique_ptr<Ticket>> tickets;
    do {
      tickets.push_back(std::make_unique<Ticket>());
    } while (Enter(*tickets.back()) == Dispatch::Entered::kPlace);
    dispatch_.Cancel(*tickets.back());
    const int places = static_cast<int>(tickets.size()) - 1;
    for (int i = 0; i < places; ++i) {
      dispatch_.TakeBack(worker_);
    }
    return places;
  }
  Dispatch::Entered Enter(Ticket& ticket) {
    Dispatch::Worker given;
    return dispatch_.Enter(ticket, Dispatch::Position::kBack, given);
  }

  std::size_t queued_ = 0;
  std::uint32_t busy_ = 0;
  Dispatch dispatch_{{.reactors = 1,
                      .queue_max = 100,
                      .wake = [](std::uint32_t) {},
                      .changed =
                          [this](std::size_t queued, std::uint32_t busy) {
                            queued_ = queued;
                            busy_ = busy;
                          }}};
  Dispatch::Worker worker_;
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
  dispatch_.TakeBack(worker_);
  EXPECT_EQ(Enter(second), Dispatch::Entered::kQueued);
  dispatch_.Cancel(second);
}

TEST(Dispatch, ReactorsMayCallItAtOnce) {
  constexpr int kRounds = 2000;
  std::size_t queued_now = 99;  // not atomic: Dispatch says it under its lock
  std::uint32_t busy_now = 99;
  Dispatch dispatch({.reactors = 2,
                     .queue_max = 100,
                     .wake = [](std::uint32_t) {},
                     .changed =
                         [&](std::size_t queued, std::uint32_t busy) {
                           queued_now = queued;
                           busy_now = busy;
                         }});
  dispatch.Join(1, 100, {.threads = 1});
  const Dispatch::Worker only = dispatch.Join(1, 100, {.threads = 1});
  const auto reactor = [&](std::uint32_t index) {
    for (int round = 0; round < kRounds; ++round) {
      Ticket ticket;
      ticket.reactor = index;
      Dispatch::Worker worker;
      if (dispatch.Enter(ticket, Dispatch::Position::kBack, worker) == Dispatch::Entered::kQueued) {
        if (round % 3 == 0) {  // its client leaves, before or after the grant
          dispatch.Cancel(ticket);
          continue;
        }
        while (dispatch.TakeGrant(index, worker) == nullptr)
          std::this_thread::yield();
      }
      dispatch.Leave(worker, Time());
    }
  };
  std::thread other(reactor, 1);
  std::thread watcher([&] {
    for (int round = 0; round < kRounds; ++round) {
      dispatch.Suspend(only);
      dispatch.Resume(only);
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
