// The watch without its threads: the test looks, interrupts, and moves the time.
#include "worker/deadline_watch.h"

#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "channel/front_end.h"
#include "os/random.h"

namespace onebox::worker {
namespace {

using channel::CancelReason;
using channel::Sent;
using channel::Stuck;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A language whose threads stand where the test says.
class FakeLanguage final : public Interrupter {
 public:
  void Lock() override {
    if (on_lock) on_lock();
  }
  void Unlock() override {}
  std::string StackOf(std::uint64_t place) override {
    if (on_stack) on_stack();
    return fmt::format("stack of {}", place);
  }
  void Raise(std::uint64_t place, CancelReason reason) override {
    told.push_back(fmt::format(
        "raise in {} by {}", place, reason == CancelReason::kDeadline ? "deadline" : "client"));
  }
  std::uint64_t ThreadOf(std::uint64_t place) const override { return place; }
  void Log(std::string_view id, std::string_view /*lines*/) override {
    told.push_back(fmt::format("log {}", id));
  }
  void DumpAll() override { told.emplace_back("dump"); }

  std::vector<std::string> Told() { return std::exchange(told, {}); }

  std::function<void()> on_lock, on_stack;
  std::vector<std::string> told;
};

// One front, one worker, and a watch with a place named 7.
class Watched : public testing::Test {
 protected:
  Watched() { front_ = Attach(); }

  std::unique_ptr<channel::FrontEnd> Attach() {
    const os::Fd listener = os::Listen(os::SocketAddress::Parse("unix:" + name_ + ".0").value(),
                                       {.type = SOCK_SEQPACKET})
                                .value();
    // Greets, and takes the first request.
    std::thread greeting([this] { EXPECT_TRUE(worker_->Next()); });  // and breaks off
    os::ReadySet ready = os::ReadySet::New().value();
    EXPECT_TRUE(ready.Add(listener, 0).ok());
    std::optional<os::Accepted> accepted;
    while (!(accepted = os::Accept(listener).value()))
      ready.Wait(std::nullopt);
    EXPECT_TRUE(ready.Add(accepted->socket, 1).ok());
    std::optional<channel::Hello> hello;
    while (!(hello = channel::FrontEnd::ReceiveHello(accepted->socket).value()))
      ready.Wait(std::nullopt);
    auto front = channel::FrontEnd::Welcome(std::move(accepted->socket), *hello).value();
    EXPECT_EQ(Send(*front, {.path = "/first"}), Sent::kSent);
    front->Flush();
    greeting.join();
    EXPECT_TRUE(front->Next().value());
    front->Release();
    return front;
  }
  Sent Send(channel::FrontEnd& front, const channel::Request& request) {
    std::string head;
    channel::EncodeRequest(head, request);
    return front.Send(0, head, {}, nullptr);
  }
  std::int64_t In(Duration duration) {
    return (clock_.Now() + duration).time_since_epoch().count();
  }
  // A request runs at the place.
  void Run(channel::Request request) {
    request.id = "id";
    ASSERT_EQ(Send(*front_, request), Sent::kSent);
    taken_.emplace(*worker_->TryNext());
    place_.Begin(*taken_);
  }
  void End() {
    place_.End();
    taken_.reset();
    ASSERT_TRUE(front_->Next().value());
    front_->Release();
  }
  // Looks as often as the watch wishes, for as long.
  void LookFor(Duration duration) {
    for (Duration passed{}; passed <= duration; passed += milliseconds(50)) {
      watch_.Look();
      watch_.Interrupt();
      clock_.Advance(milliseconds(50));
    }
  }

  const std::string name_ = fmt::format("@onebox-test-{:016x}", os::Random64());
  FakeClock clock_;
  std::unique_ptr<Worker> worker_ = Worker::New({name_, 1, 7, 2}, clock_).value();
  FakeLanguage language_;
  DeadlineWatch watch_{*worker_, language_, clock_};
  Place& place_ = watch_.NewPlace(7);
  std::optional<TakenRequest> taken_;
  std::unique_ptr<channel::FrontEnd> front_;
};

TEST_F(Watched, ARequestThatEndsInTimeIsLeftAlone) {
  Run({.deadline = In(milliseconds(10))});
  clock_.Advance(milliseconds(20));  // it is the front that says when it is late
  EXPECT_FALSE(watch_.Look());
  EXPECT_FALSE(place_.Close());
  End();
  EXPECT_FALSE(watch_.Look());
  watch_.Interrupt();
  EXPECT_THAT(language_.Told(), IsEmpty());
}

TEST_F(Watched, ALateOneIsLoggedAndInterruptedOnce) {
  Run({});
  front_->Cancel(0, CancelReason::kDeadline);
  LookFor(milliseconds(500));
  EXPECT_THAT(language_.Told(), ElementsAre("log id", "raise in 7 by deadline"));
  EXPECT_TRUE(place_.Close());
  End();
  EXPECT_FALSE(watch_.Look());
  EXPECT_EQ(front_->stuck(), Stuck::kNo);
}

TEST_F(Watched, WhatWasCancelledBeforeItBeganIsSeen) {
  ASSERT_EQ(Send(*front_, {.id = "id"}), Sent::kSent);
  taken_.emplace(*worker_->TryNext());
  front_->Cancel(0, CancelReason::kDeadline);
  worker_->WaitForCancel(std::nullopt);
  EXPECT_FALSE(watch_.Look());
  place_.Begin(*taken_);
  worker_->WaitForCancel(std::nullopt);  // or this test never ends
  EXPECT_TRUE(watch_.Look());
  place_.Close();
  End();
}

TEST_F(Watched, WhenAClientLeavesDependsOnTheRequest) {
  const struct {
    const char* why;
    channel::Request request;
    CancelReason reason;
    std::vector<std::string> told;
  } cases[] = {
      {"it may end",
       {.cancel_disconnected = true},
       CancelReason::kClientLeft,
       {"raise in 7 by client"}},
      {"in the middle of the answer too",
       {.cancel_disconnected = true},
       CancelReason::kAnswering,
       {"raise in 7 by client"}},
      {"it has no deadline", {}, CancelReason::kClientLeft, {}},
      {"its deadline is far",
       {.deadline = In(milliseconds(10'000))},
       CancelReason::kClientLeft,
       {}},
      {"its deadline comes",
       {.deadline = In(milliseconds(100))},
       CancelReason::kClientLeft,
       {"raise in 7 by deadline"}},
      {"an answer has no deadline",
       {.deadline = In(milliseconds(-1))},
       CancelReason::kAnswering,
       {}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    Run(c.request);
    front_->Cancel(0, c.reason);
    LookFor(milliseconds(400));
    auto told = language_.Told();
    std::erase(told, "log id");
    EXPECT_EQ(told, c.told);
    place_.Close();
    End();
  }
}

TEST_F(Watched, NothingIsRaisedInWhatFollows) {
  Run({});
  front_->Cancel(0, CancelReason::kDeadline);
  watch_.Look();
  EXPECT_FALSE(place_.Close());
  End();
  Run({});
  watch_.Interrupt();
  EXPECT_THAT(language_.Told(), IsEmpty()) << "the errand was another's";
  EXPECT_FALSE(place_.Close());
  End();
}

TEST_F(Watched, NothingIsRaisedInWhatHasComeWhileItsStackWasMade) {
  Run({});
  front_->Cancel(0, CancelReason::kDeadline);
  watch_.Look();
  language_.on_stack = [this] {
    language_.on_stack = {};
    EXPECT_FALSE(place_.Close());
    End();
    Run({});
  };
  watch_.Interrupt();
  EXPECT_THAT(language_.Told(), IsEmpty());
  place_.Close();
  End();
}

TEST_F(Watched, AClosedPlaceIsLoggedAndNothingIsRaised) {
  Run({});
  EXPECT_FALSE(place_.Close());
  front_->Cancel(0, CancelReason::kDeadline);
  LookFor(milliseconds(100));
  EXPECT_THAT(language_.Told(), ElementsAre("log id"));
  End();
}

TEST_F(Watched, WhatDoesNotEndIsReportedAfterTheGrace) {
  Run({});
  front_->Cancel(0, CancelReason::kDeadline);
  LookFor(DeadlineWatch::kGrace - milliseconds(100));
  EXPECT_EQ(front_->stuck(), Stuck::kNo);
  EXPECT_FALSE(front_->draining());
  LookFor(milliseconds(300));
  EXPECT_EQ(front_->stuck(), Stuck::kThread);
  EXPECT_TRUE(front_->draining());
  EXPECT_THAT(language_.Told(), ElementsAre("log id", "raise in 7 by deadline", "log id"));
  EXPECT_FALSE(watch_.Look()) << "it is said once";
  place_.Close();
  End();
}

TEST_F(Watched, ALockThatIsNotToBeHadIsReportedAfterTheGrace) {
  Run({});
  front_->Cancel(0, CancelReason::kDeadline);
  watch_.Look();
  language_.on_lock = [this] {  // the other thread looks meanwhile
    language_.on_lock = {};
    const auto look_for = [this](Duration duration) {
      for (Duration passed{}; passed <= duration; passed += milliseconds(50)) {
        watch_.Look();
        clock_.Advance(milliseconds(50));
      }
    };
    look_for(DeadlineWatch::kGrace - milliseconds(250));
    EXPECT_EQ(front_->stuck(), Stuck::kNo);
    clock_.Advance(std::chrono::hours(1));  // it was stopped, and has missed one look
    watch_.Look();
    EXPECT_EQ(front_->stuck(), Stuck::kNo);
    look_for(milliseconds(400));
    EXPECT_EQ(front_->stuck(), Stuck::kProcess);
    EXPECT_THAT(language_.Told(), ElementsAre("log id", "dump"));
  };
  watch_.Interrupt();
  EXPECT_TRUE(front_->draining());
  place_.Close();
  End();
}

TEST_F(Watched, ALockThatOthersHaveInTurnIsWaitedFor) {
  Run({});
  front_->Cancel(0, CancelReason::kDeadline);
  watch_.Look();
  language_.on_lock = [this] {  // others are quicker each time
    language_.on_lock = {};
    Place& other = watch_.NewPlace(8);
    for (Duration passed{}; passed <= 3 * DeadlineWatch::kGrace; passed += milliseconds(50)) {
      other.Begin(*taken_);
      other.End();
      watch_.Look();
      clock_.Advance(milliseconds(50));
    }
    EXPECT_EQ(front_->stuck(), Stuck::kNo);
  };
  watch_.Interrupt();
  EXPECT_THAT(language_.Told(), ElementsAre("log id", "raise in 7 by deadline"));
  place_.Close();
  End();
}

}  // namespace
}  // namespace onebox::worker
