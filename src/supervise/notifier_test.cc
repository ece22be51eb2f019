#include "supervise/notifier.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "os/file.h"
#include "os/socket.h"

namespace onebox::supervise {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(ReadNotifyWish, TakesWhatIsMeantForThisProcess) {
  struct Case {
    os::Variables environment;
    std::string socket;
    Duration watchdog;
    const char* why;
  };
  const Case cases[] = {
      {{}, "", {}, "no service"},
      {{{"NOTIFY_SOCKET", "/run/s"}}, "/run/s", {}, "no watchdog"},
      {{{"NOTIFY_SOCKET", "@s"}, {"WATCHDOG_USEC", "500000"}},
       "@s",
       milliseconds(500),
       "anybody's"},
      {{{"WATCHDOG_USEC", "1000000"}, {"WATCHDOG_PID", "12"}}, "", seconds(1), "ours"},
      {{{"WATCHDOG_USEC", "1000000"}, {"WATCHDOG_PID", "13"}}, "", {}, "another's"},
      {{{"WATCHDOG_USEC", "soon"}}, "", {}, "no number"},
      {{{"WATCHDOG_USEC", "99999999999999999999"}}, "", {}, "too long"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.why);
    const NotifyWish wish = ReadNotifyWish(c.environment, 12);
    EXPECT_EQ(wish.socket, c.socket);
    EXPECT_EQ(wish.watchdog, c.watchdog);
  }
}

class NotifierTest : public testing::Test {
 protected:
  NotifierTest() : name_("@onebox-notifier-test-" + std::to_string(::getpid())) {
    const auto address = os::SocketAddress::Parse("unix:" + name_).value();
    manager_.Reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    EXPECT_EQ(::bind(manager_.get(), address.raw(), address.size()), 0);
    log_ = telemetry::Log::Open(clock_, {.role = "test", .path = log_path_}).value();
    notifier_.emplace(clock_, *log_);
  }
  ~NotifierTest() override { os::RemoveFile(log_path_); }

  std::vector<std::string> Heard() {
    std::vector<std::string> heard;
    for (;;) {
      const auto message = os::ReceiveMessage(manager_, 1000);
      if (!message.ok() || !message.value()) return heard;
      heard.push_back(message.value()->bytes);
    }
  }

  const std::string name_;
  const std::string log_path_ = testing::TempDir() + "notifier_test.log";
  FakeClock clock_;
  os::Fd manager_;
  std::unique_ptr<telemetry::Log> log_;
  std::optional<Notifier> notifier_;
  ServiceNow now_{.phase = "serving",
                  .front_answers = true,
                  .workers_ready = 2,
                  .workers_wanted = 2,
                  .requests = 0,
                  .waiting = 0};
};

TEST_F(NotifierTest, SaysWhatHappens) {
  notifier_->Open({.socket = name_});
  notifier_->Ready();
  notifier_->Reloading();
  notifier_->ReloadFailed();
  notifier_->Stopping("draining");
  notifier_->Stopping("ending");
  EXPECT_THAT(Heard(),
              ElementsAre("READY=1",
                          "RELOADING=1\nMONOTONIC_USEC=3600000000",
                          "READY=1",
                          "STOPPING=1\nSTATUS=draining"));
}

TEST_F(NotifierTest, GivesASignOfLifeInTheMiddleOfThePeriodWhileTheFrontAnswers) {
  notifier_->Open({.socket = name_, .watchdog = seconds(10)});
  notifier_->Tell(now_);
  Heard();
  EXPECT_EQ(notifier_->next(), clock_.Now() + seconds(5));
  clock_.Advance(milliseconds(4999));
  notifier_->Tell(now_);
  EXPECT_THAT(Heard(), IsEmpty());
  clock_.Advance(milliseconds(1));
  notifier_->Tell(now_);
  EXPECT_THAT(Heard(), ElementsAre("WATCHDOG=1"));

  now_.front_answers = false;
  clock_.Advance(seconds(60));
  notifier_->Tell(now_);
  EXPECT_THAT(Heard(), ElementsAre(HasSubstr("the front does not answer")));
  EXPECT_EQ(notifier_->next(), Time::max()) << "it does not ask again and again";

  now_.front_answers = true;
  notifier_->Tell(now_);
  EXPECT_EQ(Heard().front(), "WATCHDOG=1") << "late, so at once";
}

TEST_F(NotifierTest, TellsTheLineWhenItChangesAndNotTooOften) {
  notifier_->Open({.socket = name_});
  notifier_->Tell(now_);
  EXPECT_THAT(Heard(), ElementsAre("STATUS=serving: 2 of 2 workers, 0 requests/s, 0 waiting"));
  clock_.Advance(seconds(4));
  now_.requests = 1000;
  notifier_->Tell(now_);
  EXPECT_THAT(Heard(), IsEmpty()) << "too soon";
  clock_.Advance(seconds(1));
  notifier_->Tell(now_);
  EXPECT_THAT(Heard(), ElementsAre("STATUS=serving: 2 of 2 workers, 200 requests/s, 0 waiting"));
  clock_.Advance(seconds(5));
  now_.requests = 2000;
  notifier_->Tell(now_);
  EXPECT_THAT(Heard(), IsEmpty()) << "the same";
  now_.reloading = true;
  notifier_->Tell(now_);
  EXPECT_THAT(
      Heard(),
      ElementsAre("STATUS=serving, loading anew: 2 of 2 workers, 200 requests/s, 0 waiting"))
      << "at once";
  notifier_->ReloadFailed();
  now_.reloading = false;
  notifier_->Tell(now_);
  EXPECT_THAT(Heard(),
              ElementsAre("READY=1", testing::EndsWith("0 waiting; the last reload has failed")));
}

TEST_F(NotifierTest, SaysNothingWhereNobodyListens) {
  notifier_->Open({});
  EXPECT_FALSE(notifier_->on());
  notifier_->Ready();
  notifier_->Tell(now_);
  EXPECT_EQ(notifier_->next(), Time::max());
}

TEST_F(NotifierTest, ComplainsOnceOfAManagerThatIsGone) {
  notifier_->Open({.socket = name_});
  manager_.Reset();
  notifier_->Ready();
  notifier_->Ready();
  const std::string text = os::ReadFile(log_path_, 10'000).value();
  EXPECT_THAT(text, HasSubstr("the service manager cannot be told"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

}  // namespace
}  // namespace onebox::supervise
