#include "supervise/supervisor.h"

#include <csignal>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "os/clock.h"
#include "os/file.h"
#include "os/poll.h"
#include "supervise/status.h"

namespace onebox::supervise {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

void Say(const os::Fd& control, const json& news) {
  ASSERT_TRUE(os::SendDescriptors(control, news.dump(), {}).ok());
}

// Waits for the supervisor's next word; empty where it says nothing for a while.
std::string Hear(const os::Fd& control, Duration timeout = seconds(10)) {
  const int wanted[] = {control.get()};
  if (os::WaitReadable(wanted, timeout).empty()) return {};
  const auto message = os::ReceiveMessage(control, kControlBytesMax);
  return message.ok() && message.value() ? message.value()->bytes : std::string();
}

// What comes within 0.3 s counts as the signal that came before.
constexpr Duration kNotTheSameSignal = milliseconds(400);

void Pause(Duration duration) {
  (void)os::WaitReadable({}, duration);
}

// A whole box: its front is a function of the test in a process of its own, its workers are shell
// scripts. The test runs in the supervisor's process; what the front sees, it tells by files.
class BoxTest : public testing::Test {
 protected:
  BoxTest()
      : folder_(testing::TempDir() + "onebox_" +
                testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::remove_all(folder_);
    EXPECT_TRUE(os::MakeFolders(folder_).ok());
    settings_.version = "0.0.1";
    settings_.state = folder_ + "/state";
    settings_.listen.app = {os::SocketAddress::Parse("127.0.0.1:0").value(),
                            os::SocketAddress::Parse("unix:" + folder_ + "/app.sock").value()};
    settings_.drain_timeout = seconds(5);
    App().python = "/bin/sh";
    App().target = "some:app";
    App().chdir = folder_;
    App().environment = {{"PATH", "/usr/bin:/bin"}, {"FOLDER", folder_}};
    Script("exec sleep 60");
  }
  ~BoxTest() override { std::filesystem::remove_all(folder_); }

  // What `sh SCRIPT worker --attach ...` does.
  void Script(const std::string& text) {
    App().python_side = folder_ + "/worker.sh";
    std::filesystem::remove(App().python_side);
    const auto file = os::OpenForAppend(App().python_side);
    ASSERT_TRUE(file.ok() && os::WriteAll(file.value(), text + "\n").ok());
  }

  int Run(const std::function<int(FrontHeritage)>& front) {
    const os::SystemClock clock;
    const auto log =
        telemetry::Log::Open(clock, {.role = "supervisor", .path = folder_ + "/error.log"});
    EXPECT_TRUE(log.ok());
    settings_.front = front;
    const int status =
        RunBox(settings_,
               {.clock = clock,
                .log = *log.value(),
                .print = [this](std::string_view text) { printed_ += text; },
                .ask_settings = [this] { return os::Asked<Result<BoxSettings>>(settings_); },
                .check_successor = [] { return os::Asked<onebox::Status>(OperatorError("none")); },
                .succeed = [](const os::Fd&) { return OperatorError("none"); },
                .lanes_max = 1,
                .traffic = [] { return Traffic{.requests = 7}; },
                .started = [this](Role) { ++started_; },
                .died = [this](Role) { ++died_; },
                .front_ended = [](std::size_t) {},
                .workers_changed = [](const WorkersNow&) {}});
    EXPECT_FALSE(std::filesystem::exists(ControlPath(settings_.state)));
    EXPECT_FALSE(std::filesystem::exists(folder_ + "/app.sock"));
    return status;
  }

  std::string LogText() const { return os::ReadFile(folder_ + "/error.log", 1 << 20).value(); }
  bool IsThere(const std::string& name) const {
    return std::filesystem::exists(folder_ + "/" + name);
  }
  void WaitFor(const std::string& name) const {
    while (!IsThere(name))
      Pause(milliseconds(20));
  }
  void Leave(const std::string& name) const {
    ASSERT_TRUE(os::OpenForAppend(folder_ + "/" + name).ok());
  }
  json Status() const { return json::parse(AskStatus(settings_.state).value()); }
  // The next status for which `is` holds.
  template <typename Predicate>
  json WaitForStatus(const Predicate& is) const {
    for (int i = 0; i < 200; ++i) {
      const json status = Status();
      if (is(status)) return status;
      Pause(milliseconds(50));
    }
    return Status();
  }

  AppSettings& App() { return settings_.apps.front(); }

  const std::string folder_;
  BoxSettings settings_;
  std::string printed_;
  int started_ = 0;
  int died_ = 0;
};

bool WorkerRuns(const json& status) {
  return status["processes"].size() == 2 && status["processes"][1]["pid"].is_number();
}

int DrainWhenTold(const os::Fd& control) {
  std::string heard;
  do
    heard = Hear(control);  // what came before it may be about workers
  while (!heard.empty() && heard.find("drain") == std::string::npos);
  return heard.empty() ? 9 : 0;
}

TEST_F(BoxTest, ShowsItselfAndDrainsAtASignal) {
  settings_.start_lines = {"machine   one"};
  const int status = Run([this](const FrontHeritage& heritage) {
    EXPECT_EQ(heritage.listeners.size(), 2U);
    EXPECT_EQ(heritage.attach.size(), 1U);
    EXPECT_FALSE(heritage.admin.valid());
    Say(heritage.control, {{"front", "ready"}});
    Say(heritage.control,
        {{"worker", 1}, {"ready", true}, {"app", "Flask 2"}, {"python", "3.11.2"}});
    const json seen = WaitForStatus([](const json& found) { return found["phase"] == "serving"; });
    EXPECT_EQ(seen["processes"].size(), 2U);
    EXPECT_EQ(seen["processes"][0]["role"], "front");
    EXPECT_EQ(seen["processes"][0]["pid"], ::getpid());
    EXPECT_EQ(seen["processes"][1]["state"], "ready");
    EXPECT_EQ(seen["requests"], 7);
    EXPECT_EQ(std::filesystem::status(ControlPath(settings_.state)).permissions(),
              std::filesystem::perms(0600));
    ::kill(::getppid(), SIGHUP);
    EXPECT_THAT(Hear(heritage.control), HasSubstr("reopen"));
    ::kill(::getppid(), SIGTERM);
    return HasFailure() ? 9 : DrainWhenTold(heritage.control);
  });
  EXPECT_EQ(status, 0);
  EXPECT_THAT(printed_,
              testing::MatchesRegex("onebox 0.0.1   http://127.0.0.1:[0-9]+   unix:.*/app.sock\n"
                                    "  machine   one\n"
                                    "  app       some:app, Flask 2, Python 3.11.2\n"
                                    "  ready in [0-9.]+ s\n"));
  EXPECT_THAT(LogText(), Not(HasSubstr("did not drain")));
}

// As who obtains certificates: it tells how often it was asked to renew one.
int TellOfACertificate(const os::Fd& control) {
  int renewals = 0;
  for (std::string heard = "first"; !heard.empty(); heard = Hear(control, seconds(60))) {
    if (heard.find("end") != std::string::npos) return 0;
    if (heard.find("renew") != std::string::npos) ++renewals;
    Say(control, {{"acme", "ready"}});
    Say(control, {{"certificate", {{"name", "game.example"}, {"attempts", renewals}}}});
  }
  return 9;
}

TEST_F(BoxTest, HasOneProcessForCertificatesAsLongAsNamesAreGiven) {
  settings_.acme = TellOfACertificate;
  settings_.acme_print = "game.example";
  const int status = Run([this](const FrontHeritage& heritage) {
    Say(heritage.control, {{"front", "ready"}});
    Say(heritage.control, {{"worker", 1}, {"ready", true}});
    const auto pid_of_it = [](const json& found) -> json {
      for (const json& process : found["processes"]) {
        if (process["role"] == "acme" && process["state"] == "ready") return process["pid"];
      }
      return nullptr;
    };
    const json first = WaitForStatus([&](const json& found) {
      return pid_of_it(found).is_number() && !found["certificates"].empty();
    });
    EXPECT_EQ(first["certificates"][0]["attempts"], 0);
    EXPECT_FALSE(AskRenew(settings_.state, "other.example").ok());
    EXPECT_TRUE(AskRenew(settings_.state, "game.example").ok());
    (void)WaitForStatus(
        [](const json& found) { return found["certificates"][0]["attempts"] == 1; });
    ::kill(pid_of_it(first).get<int>(), SIGKILL);
    const json second = WaitForStatus([&](const json& found) {
      return pid_of_it(found).is_number() && pid_of_it(found) != pid_of_it(first);
    });
    EXPECT_TRUE(pid_of_it(second).is_number()) << "another has its place";
    ::kill(::getppid(), SIGTERM);
    return HasFailure() ? 9 : DrainWhenTold(heritage.control);
  });
  EXPECT_EQ(status, 0);
  EXPECT_THAT(LogText(), HasSubstr("acme ["));
  EXPECT_THAT(LogText(), Not(HasSubstr("did not drain")));
  EXPECT_THAT(LogText(), Not(HasSubstr("has not ended in time")));
}

TEST_F(BoxTest, GivesWorkersTheirOrders) {
  Script("echo \"$@\" > \"$FOLDER/new\"; mv \"$FOLDER/new\" \"$FOLDER/orders\"; exec sleep 60");
  App().threads = 3;
  const int status = Run([this](const FrontHeritage& heritage) {
    Say(heritage.control, {{"front", "ready"}});
    WaitFor("orders");
    ::kill(::getppid(), SIGTERM);
    return DrainWhenTold(heritage.control);
  });
  EXPECT_EQ(status, 0);
  EXPECT_THAT(
      os::ReadFile(folder_ + "/orders", 4096).value(),
      testing::MatchesRegex("worker --workers 1 --generation 1 --target some:app --chdir .* "
                            "--attach @onebox-[0-9a-f]+ --reactors 1 --threads 3 "
                            "--number 1\n"));
}

TEST_F(BoxTest, EndsTheStartWithOneStoryWhereTheAppCannotBeLoaded) {
  App().workers = 3;
  Script("echo 'Traceback: it is broken' >&2; exit 3");
  const int status = Run([](const FrontHeritage& heritage) {
    Say(heritage.control, {{"front", "ready"}});
    Pause(seconds(60));
    return 0;
  });
  EXPECT_EQ(status, 1);
  EXPECT_THAT(printed_,
              HasSubstr("\nTraceback: it is broken\nonebox: some:app could not be loaded"));
  EXPECT_EQ(printed_.find("Traceback"), printed_.rfind("Traceback"));
  EXPECT_EQ(LogText(), "");
}

TEST_F(BoxTest, StartsTheWorkersOfEachAppAndEndsTheStartWhereOneCannotBeLoaded) {
  AppSettings shop = App();
  shop.name = "shop";
  shop.target = "shop:app";
  shop.threads = 2;
  settings_.apps.push_back(shop);
  Script(
      "case $7 in some:app) touch \"$FOLDER/first\"; exec sleep 60;; esac\n"
      "echo \"$@\" > \"$FOLDER/orders\"; while [ ! -e \"$FOLDER/fail\" ]; do sleep 0.02; done\n"
      "echo 'Traceback: no shelves' >&2; exit 3");
  const int status = Run([this](const FrontHeritage& heritage) {
    Say(heritage.control, {{"front", "ready"}});
    WaitFor("first");
    WaitFor("orders");
    Say(heritage.control, {{"worker", 1}, {"ready", true}});
    if (heritage.attach.size() == 2) Leave("fail");
    Pause(seconds(60));
    return 0;
  });
  EXPECT_EQ(status, 1) << "the first app serves, and the box does not start without the other";
  EXPECT_THAT(printed_,
              HasSubstr("Traceback: no shelves\nonebox: shop:app of shop could not be loaded"));
  EXPECT_THAT(
      os::ReadFile(folder_ + "/orders", 4096).value(),
      testing::MatchesRegex("worker --workers 1 --generation 1 --target shop:app --chdir .* "
                            "--attach @onebox-[0-9a-f]+-shop --reactors 1 --threads 2 "
                            "--number 2\n"));
}

// The next message that holds `word`; the text of the file that came with it.
std::string HearFile(const os::Fd& control, std::string_view word) {
  const int wanted[] = {control.get()};
  while (!os::WaitReadable(wanted, seconds(10)).empty()) {
    const auto message = os::ReceiveMessage(control, kControlBytesMax);
    if (!message.ok() || !message.value() || message.value()->bytes.empty()) break;
    if (message.value()->bytes.find(word) == std::string::npos) continue;
    const auto& files = message.value()->descriptors;
    return files.empty() ? message.value()->bytes
                         : os::ReadAt(files.front(), kBrokenBytesMax, 0).value();
  }
  return "nothing came";
}

TEST_F(BoxTest, ShowsTheFrontAnAppThatCannotBeLoadedWhereFilesAreWatched) {
  settings_.watch = {.on = true, .folder = folder_, .files = {}, .ignored = {settings_.state}};
  App().workers = 3;
  Script(
      "if [ -e \"$FOLDER/whole.py\" ]; then exec sleep 60; fi; echo 'Traceback: broken'; exit 3");
  const int status = Run([this](const FrontHeritage& heritage) {
    Say(heritage.control, {{"front", "ready"}});
    EXPECT_EQ(HearFile(heritage.control, "broken"),
              "Traceback: broken\nsome:app could not be loaded");
    const json seen = WaitForStatus([](const json& found) {
      return found["processes"].size() == 1;  // one story, and nothing that starts again
    });
    EXPECT_EQ(seen["phase"], "broken");
    Leave("other.py");
    EXPECT_EQ(HearFile(heritage.control, "broken"),
              "Traceback: broken\nsome:app could not be loaded");
    Leave("whole.py");
    (void)WaitForStatus(WorkerRuns);
    for (const int worker : {1, 2, 3}) {
      Say(heritage.control, {{"worker", worker}, {"ready", true}});
      if (worker == 1) {
        (void)WaitForStatus([](const json& found) { return found["processes"].size() == 4; });
      }
    }
    EXPECT_EQ(HearFile(heritage.control, "whole"), R"({"whole":true})");
    EXPECT_EQ(Status()["phase"], "serving");
    ::kill(::getppid(), SIGTERM);
    return HasFailure() ? 9 : DrainWhenTold(heritage.control);
  });
  EXPECT_EQ(status, 0);
  EXPECT_THAT(LogText(), Not(HasSubstr("did not drain")));
  EXPECT_THAT(printed_, HasSubstr("\nonebox: some:app could not be loaded\n"));
  EXPECT_THAT(LogText(), HasSubstr("watch: other.py has changed"));
  EXPECT_THAT(LogText(), HasSubstr("the reload has failed, the front shows why: "));
}

TEST_F(BoxTest, TellsTheNextFrontToo) {
  settings_.watch = {.on = true, .folder = folder_, .files = {}, .ignored = {settings_.state}};
  Script("seq 20000; exit 3");
  const int status = Run([this](const FrontHeritage& heritage) {
    Say(heritage.control, {{"front", "ready"}});
    const std::string story = HearFile(heritage.control, "broken");
    EXPECT_THAT(story, testing::EndsWith("\n20000\nsome:app could not be loaded"));
    EXPECT_LE(story.size(), kBrokenBytesMax);
    if (!IsThere("second")) {
      Leave("second");
      return 1;
    }
    if (!HasFailure()) Leave("told_twice");
    ::kill(::getppid(), SIGTERM);
    return 0;
  });
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(IsThere("told_twice"));
}

TEST_F(BoxTest, NamesAnInterpreterThatIsNotThere) {
  App().python = "/nowhere/python";
  EXPECT_EQ(Run([](const FrontHeritage&) {
              Pause(seconds(60));
              return 0;
            }),
            1);
  EXPECT_THAT(printed_, HasSubstr("/nowhere/python: No such file"));
}

TEST_F(BoxTest, NamesAnAddressThatIsTaken) {
  const auto taken = os::Listen(os::SocketAddress::Parse("127.0.0.1:0").value(), {});
  const auto address = os::SocketAddress::Of(taken.value()).value();
  settings_.listen.app = {address};
  EXPECT_EQ(Run([](const FrontHeritage&) { return 0; }), 1);
  EXPECT_THAT(printed_, HasSubstr(address.text()));
  EXPECT_EQ(started_, 0);
}

TEST_F(BoxTest, LeavesTheStateFolderToTheBoxThatHasIt) {
  ASSERT_TRUE(os::MakeFolders(settings_.state).ok());
  const auto lock = os::LockFile(settings_.state + "/lock");
  ASSERT_TRUE(lock.ok());
  EXPECT_EQ(Run([](const FrontHeritage&) { return 0; }), 1);
  EXPECT_THAT(printed_, HasSubstr("another onebox runs with the state folder"));
}

TEST_F(BoxTest, ReplacesAWorkerThatDiesAndTellsItsLastWords) {
  Script(
      "if [ -e \"$FOLDER/second\" ]; then exec sleep 60; fi; : > \"$FOLDER/second\"\n"
      "echo farewell; while [ ! -e \"$FOLDER/go\" ]; do sleep 0.02; done; exit 7");
  const int status = Run([this](const FrontHeritage& heritage) {
    Say(heritage.control, {{"front", "ready"}});
    Say(heritage.control, {{"worker", 1}, {"ready", true}});
    Leave("go");
    const json seen = WaitForStatus([](const json& found) {
      return found["processes"][1]["restarts"] == 1 && found["processes"][1]["pid"].is_number();
    });
    EXPECT_EQ(seen["processes"][1]["state"], "booting");
    ::kill(::getppid(), SIGINT);
    return HasFailure() ? 9 : DrainWhenTold(heritage.control);
  });
  EXPECT_EQ(status, 0);
  EXPECT_THAT(LogText(), HasSubstr("exit status 7; it starts again in 0.1 s; its last words:"));
  EXPECT_THAT(LogText(), HasSubstr("| farewell"));
  EXPECT_THAT(LogText(), Not(HasSubstr("did not drain")));
  EXPECT_EQ(started_, 3);
}

TEST_F(BoxTest, KillsAndReplacesAWorkerThatIsStuck) {
  Script("trap '' TERM; : > \"$FOLDER/deaf\"; while :; do sleep 0.05; done");
  const int status = Run([this](const FrontHeritage& heritage) {
    Say(heritage.control, {{"front", "ready"}});
    Say(heritage.control, {{"worker", 1}, {"ready", true}});
    const json before = WaitForStatus(WorkerRuns);
    WaitFor("deaf");
    Say(heritage.control,
        {{"worker", 1}, {"stuck", true}, {"gil", true}, {"reason", "no answer for 30s"}});
    (void)WaitForStatus([&before](const json& found) {
      return WorkerRuns(found) && found["processes"][1]["pid"] != before["processes"][1]["pid"];
    });
    ::kill(::getppid(), SIGTERM);
    const int drained = DrainWhenTold(heritage.control);
    Pause(kNotTheSameSignal);
    ::kill(::getppid(), SIGTERM);  // the worker hears nothing: at once
    return drained;
  });
  EXPECT_EQ(status, 0);
  EXPECT_THAT(LogText(), HasSubstr("is stuck: no answer for 30s; it is ended and replaced"));
  EXPECT_EQ(started_, 3);
  EXPECT_EQ(died_, 1) << "the two that ended at the end were asked to";
}

// A standby that has become a worker, and of which the front speaks before the zygote does. Were it kept
// as a standby too, its death could be taken for that of one, and nobody would replace the worker.
TEST_F(BoxTest, KeepsNoStandbyThatIsAWorkerAlready) {
  App().preload = Preload::kOn;
  Script(
      "echo '{\"ready\":true,\"bytes\":1}' >&3; head -c 1 <&3 > \"$FOLDER/wish\"; "
      "(sleep 60 & echo $! > \"$FOLDER/pid.new\"); mv \"$FOLDER/pid.new\" \"$FOLDER/pid\"; "
      "while [ ! -e \"$FOLDER/go\" ]; do sleep 0.02; done; "
      "printf '{\"standby\":%d}' $(cat \"$FOLDER/pid\") >&3; "
      "printf '{\"worker\":1,\"pid\":%d}' $(cat \"$FOLDER/pid\") >&3; : > \"$FOLDER/said\"; sleep "
      "60");
  const int status = Run([this](const FrontHeritage& heritage) {
    Say(heritage.control, {{"front", "ready"}});
    WaitFor("pid");
    const int pid = std::stoi(os::ReadFile(folder_ + "/pid", 100).value());
    Say(heritage.control, {{"worker", 1}, {"ready", true}, {"pid", pid}});
    const auto has_it = [pid](const json& found) {
      return std::any_of(
          found["processes"].begin(), found["processes"].end(), [pid](const json& one) {
            return one["role"] == "app worker" && one["pid"] == pid;
          });
    };
    EXPECT_TRUE(has_it(WaitForStatus(has_it)));
    Leave("go");
    WaitFor("said");
    const json after = Status();
    EXPECT_TRUE(has_it(after));
    for (const json& one : after["processes"])
      EXPECT_NE(one["role"], "standby");
    ::kill(::getppid(), SIGTERM);
    return HasFailure() ? 9 : DrainWhenTold(heritage.control);
  });
  EXPECT_EQ(status, 0);
}

TEST_F(BoxTest, LetsAWorkerThatIsStuckInOneRequestFinishTheOthers) {
  Script(
      "trap ': > \"$FOLDER/told\"' TERM; : > \"$FOLDER/listens\"; "
      "while [ ! -e \"$FOLDER/done\" ]; do sleep 0.02; done");
  const int status = Run([this](const FrontHeritage& heritage) {
    Say(heritage.control, {{"front", "ready"}});
    Say(heritage.control, {{"worker", 1}, {"ready", true}});
    (void)WaitForStatus(WorkerRuns);
    WaitFor("listens");
    Say(heritage.control, {{"worker", 1}, {"stuck", true}, {"reason", "a thread does not end"}});
    const json both = WaitForStatus([](const json& found) {
      return found["processes"].size() == 3 && found["processes"][2]["pid"].is_number();
    });
    EXPECT_EQ(both["processes"][1]["state"], "ending");
    EXPECT_EQ(both["processes"][2]["state"], "booting") << "its successor does not wait for it";
    EXPECT_THAT(Hear(heritage.control), HasSubstr("retire"));
    WaitFor("told");
    Leave("done");
    (void)WaitForStatus([](const json& found) { return found["processes"].size() == 2; });
    ::kill(::getppid(), SIGTERM);
    return HasFailure() ? 9 : DrainWhenTold(heritage.control);
  });
  EXPECT_EQ(status, 0);
}

TEST_F(BoxTest, ReplacesAFrontThatDiesAndKeepsTheListeners) {
  const int status = Run([this](const FrontHeritage& heritage) {
    const std::string address = os::SocketAddress::Of(heritage.listeners[0]).value().text();
    Say(heritage.control, {{"front", "ready"}});
    Say(heritage.control, {{"worker", 1}, {"ready", true}});
    if (!IsThere("first")) {
      Leave("first");
      (void)WaitForStatus([](const json& found) { return found["phase"] == "serving"; });
      Leave(address);
      ::raise(SIGKILL);
    }
    ::kill(::getppid(), SIGTERM);
    return IsThere(address) ? DrainWhenTold(heritage.control) : 9;
  });
  EXPECT_EQ(status, 0);
  EXPECT_THAT(LogText(), HasSubstr("killed by SIGKILL; it starts again in 0.1 s"));
  EXPECT_THAT(LogText(), Not(HasSubstr("did not drain")));
}

TEST_F(BoxTest, EndsAtOnceAtASecondSignal) {
  const os::SystemClock clock;
  const Time began = clock.Now();
  const int status = Run([](const FrontHeritage& heritage) {
    Say(heritage.control, {{"front", "ready"}});
    Say(heritage.control, {{"worker", 1}, {"ready", true}});
    ::kill(::getppid(), SIGTERM);
    (void)Hear(heritage.control);
    Pause(kNotTheSameSignal);
    ::kill(::getppid(), SIGTERM);
    Pause(seconds(60));
    return 0;
  });
  EXPECT_EQ(status, 0);
  EXPECT_LT(clock.Now() - began, seconds(4));
}

TEST_F(BoxTest, KillsAFrontThatIsOverItsDrainTimeout) {
  settings_.drain_timeout = milliseconds(100);
  const int status = Run([](const FrontHeritage& heritage) {
    Say(heritage.control, {{"front", "ready"}});
    Say(heritage.control, {{"worker", 1}, {"ready", true}});
    ::kill(::getppid(), SIGTERM);
    Pause(seconds(60));
    return 0;
  });
  EXPECT_EQ(status, 0);
  EXPECT_THAT(LogText(), HasSubstr("is over its drain_timeout; it is killed"));
}

}  // namespace
}  // namespace onebox::supervise
