#include "database/outbox_thread.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "database/testing.h"

namespace onebox::database {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""min;
using testing::Eventually;
using testing::kAmple;
using testing::MariaDbServer;

// What the broker does: a queue that knows its dedupe keys, and a loop that waits for the wakeup.
class Broker {
 public:
  // Serves what is offered until `enough` says so; false after kAmple.
  bool Serve(OutboxThread& outbox, const std::function<bool()>& enough) {
    return Eventually([&] {
      os::WaitReadable(outbox.wakeup(), 1ms);
      while (auto batch = outbox.TakeBatch())
        outbox.Answer(batch->number, Enqueue(batch->rows));
      return enough();
    });
  }

  std::set<std::string> full;      // tasks for which there is no room now
  std::vector<std::string> tasks;  // in the order in which they came
  std::size_t deduped = 0;

 private:
  OutboxAnswer Enqueue(const std::vector<OutboxRow>& rows) {
    OutboxAnswer answer;
    for (const OutboxRow& row : rows) {
      if (row.task.find("\"bad\"") != std::string::npos) {
        answer.refused.push_back({row.id, "it has no name"});
      } else if (full.count(row.task) == 0) {
        if (keys_.insert(row.dedupe_key).second) {
          tasks.push_back(row.task);
        } else {
          ++deduped;
        }
        answer.done.push_back(row.id);
      }
    }
    return answer;  // all is on the disk
  }

  std::set<std::string> keys_;
};

class OutboxThreadTest : public ::testing::Test {
 protected:
  OutboxThread::Options OptionsFor(const MariaDbServer& server) {
    OutboxThread::Options options;
    options.address = server.address();
    options.interval = 2ms;
    options.timeout = kAmple;
    options.pause = {.min = 1ms, .max = 20ms};
    options.note = [this](std::string_view line) {
      const std::lock_guard lock(mutex_);
      lines_.emplace_back(line);
    };
    return options;
  }
  static bool Reaches(const OutboxThread& outbox, OutboxThread::State state) {
    return Eventually([&] { return outbox.look().state == state; });
  }
  std::vector<std::string> lines() {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  static void Write(const MariaDbServer& server, std::string_view task) {
    server.Connect().Do("INSERT INTO onebox_outbox (task) VALUES (?)", {task}).value();
  }
  static bool IsEmpty(const MariaDbServer& server) {
    return server.Ask("SELECT COUNT(*) FROM onebox_outbox") == "0";
  }

  os::SystemClock clock_;
  Broker broker_;

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

TEST_F(OutboxThreadTest, BringsEachTaskOnceInItsOrder) {
  const MariaDbServer server;
  OutboxThread::Options options = OptionsFor(server);
  options.limits.rows_max = 7;
  OutboxThread outbox(options, clock_);
  ASSERT_TRUE(Reaches(outbox, OutboxThread::State::kUp));
  std::vector<std::string> written;
  for (int i = 0; i < 50; ++i) {
    written.push_back(std::to_string(i));
    Write(server, written.back());
  }
  EXPECT_TRUE(broker_.Serve(outbox, [&] { return outbox.look().done_total == 50; }));
  EXPECT_EQ(broker_.tasks, written);
  EXPECT_EQ(broker_.deduped, 0U);
  EXPECT_TRUE(IsEmpty(server));
}

TEST_F(OutboxThreadTest, SetsAsideOnceWhatTheBrokerRefuses) {
  const MariaDbServer server;
  {
    OutboxThread outbox(OptionsFor(server), clock_);
    ASSERT_TRUE(Reaches(outbox, OutboxThread::State::kUp));
    Write(server, "\"bad\"");
    Write(server, "1");
    EXPECT_TRUE(broker_.Serve(outbox, [&] { return outbox.look().done_total == 1; }));
    ASSERT_TRUE(broker_.Serve(outbox, [&] { return outbox.look().refused_total == 1; }));
    Write(server, "2");
    EXPECT_TRUE(broker_.Serve(outbox, [&] { return outbox.look().done_total == 2; }));
    EXPECT_EQ(outbox.look().set_aside, 1U);
    EXPECT_EQ(outbox.look().refused_total, 1U);
  }
  EXPECT_EQ(server.Ask("SELECT error FROM onebox_outbox"), "it has no name");
  EXPECT_THAT(lines(),
              ElementsAre(HasSubstr("is read"),
                          "row 1 of the outbox is no task, and is set aside: it has no name"));
  OutboxThread next(OptionsFor(server), clock_);
  ASSERT_TRUE(Reaches(next, OutboxThread::State::kUp));
  EXPECT_EQ(next.look().set_aside, 1U);
}

TEST_F(OutboxThreadTest, LetsWhatWaitsForAFullQueueHoldUpNoOther) {
  const MariaDbServer server;
  OutboxThread::Options options = OptionsFor(server);
  options.limits.rows_max = 2;
  OutboxThread outbox(options, clock_);
  ASSERT_TRUE(Reaches(outbox, OutboxThread::State::kUp));
  broker_.full = {"1", "2", "3"};
  for (const char* task : {"1", "2", "3", "4", "5"})
    Write(server, task);
  EXPECT_TRUE(broker_.Serve(outbox, [&] { return outbox.look().done_total == 2; }));
  EXPECT_THAT(broker_.tasks, ElementsAre("4", "5"));
  EXPECT_GE(outbox.look().later_total, 3U);
  broker_.full.clear();
  EXPECT_TRUE(broker_.Serve(outbox, [&] { return outbox.look().done_total == 5; }));
  EXPECT_TRUE(IsEmpty(server));
}

TEST_F(OutboxThreadTest, ComesBackWithADatabaseThatWasKilled) {
  MariaDbServer server(MariaDbServer::Life::kComesBack);
  OutboxThread outbox(OptionsFor(server), clock_);
  ASSERT_TRUE(Reaches(outbox, OutboxThread::State::kUp));
  Write(server, "1");
  EXPECT_TRUE(broker_.Serve(outbox, [&] { return outbox.look().done_total == 1; }));
  server.Kill();
  ASSERT_TRUE(Reaches(outbox, OutboxThread::State::kDown));
  EXPECT_THAT(outbox.look().last_error, HasSubstr("unix_socket="));
  EXPECT_EQ(outbox.look().losses_total, 1U);
  server.Start();
  Write(server, "2");
  EXPECT_TRUE(broker_.Serve(outbox, [&] { return outbox.look().done_total == 2; }));
  EXPECT_THAT(broker_.tasks, ElementsAre("1", "2"));
  EXPECT_THAT(lines(),
              ElementsAre(HasSubstr("is read"), HasSubstr("cannot be read"), HasSubstr("is read")));
}

TEST_F(OutboxThreadTest, BringsAgainUnderItsKeyWhatWasNotFinished) {
  const MariaDbServer server;
  OutboxThread outbox(OptionsFor(server), clock_);
  ASSERT_TRUE(Reaches(outbox, OutboxThread::State::kUp));
  Write(server, "1");
  // It is on the broker's disk, and then the connection is lost with the transaction.
  std::optional<OutboxThread::Batch> batch;
  ASSERT_TRUE(Eventually([&] { return (batch = outbox.TakeBatch()).has_value(); }));
  server.KillConnections();
  ASSERT_EQ(batch->rows.size(), 1U);
  outbox.Answer(batch->number, {.done = {batch->rows[0].id}, .refused = {}});
  ASSERT_TRUE(Eventually([&] { return outbox.look().losses_total == 1; }));
  std::optional<OutboxThread::Batch> again;
  ASSERT_TRUE(Eventually([&] { return (again = outbox.TakeBatch()).has_value(); }));
  EXPECT_EQ(again->rows.at(0).dedupe_key, batch->rows[0].dedupe_key);
  outbox.Answer(again->number, {.done = {again->rows[0].id}, .refused = {}});
  EXPECT_TRUE(Eventually([&] { return IsEmpty(server); }));
}

TEST_F(OutboxThreadTest, LetsGoOfWhatIsNotAnsweredInTime) {
  const MariaDbServer server;
  OutboxThread::Options options = OptionsFor(server);
  options.answer_timeout = 50ms;
  OutboxThread outbox(options, clock_);
  ASSERT_TRUE(Reaches(outbox, OutboxThread::State::kUp));
  Write(server, "1");
  std::optional<OutboxThread::Batch> batch;
  ASSERT_TRUE(Eventually([&] { return (batch = outbox.TakeBatch()).has_value(); }));
  ASSERT_TRUE(Eventually([&] { return outbox.look().let_go_total == 1; }));
  outbox.Answer(batch->number, {.done = {1}, .refused = {}});  // too late
  EXPECT_TRUE(broker_.Serve(outbox, [&] { return outbox.look().done_total == 1; }));
  EXPECT_THAT(broker_.tasks, ElementsAre("1"));
}

TEST_F(OutboxThreadTest, IsDownWhileTheDatabaseIsStoppedAndEndsAtOnce) {
  MariaDbServer server;
  OutboxThread::Options options = OptionsFor(server);
  options.timeout = 500ms;
  {
    OutboxThread outbox(options, clock_);
    ASSERT_TRUE(Reaches(outbox, OutboxThread::State::kUp));
    server.Stop();
    ASSERT_TRUE(Reaches(outbox, OutboxThread::State::kDown));
    EXPECT_THAT(outbox.look().last_error, HasSubstr("did not answer in time"));
    server.Continue();
    ASSERT_TRUE(Reaches(outbox, OutboxThread::State::kUp));
  }
  options.timeout = 10min;
  OutboxThread outbox(options, clock_);
  ASSERT_TRUE(Reaches(outbox, OutboxThread::State::kUp));
  server.Stop();
}

TEST_F(OutboxThreadTest, SaysOnceWhatGoesWrongAgainAndAgain) {
  const MariaDbServer server;
  server.Do({kCreateOutbox,
             "CREATE TRIGGER never BEFORE DELETE ON onebox_outbox FOR EACH ROW "
             "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'nothing may be removed'"});
  Write(server, "1");
  OutboxThread outbox(OptionsFor(server), clock_);
  EXPECT_TRUE(broker_.Serve(outbox, [&] { return broker_.deduped > 3; }));
  EXPECT_EQ(outbox.look().state, OutboxThread::State::kDown);
  EXPECT_THAT(lines(), ElementsAre(HasSubstr("nothing may be removed")));
  EXPECT_THAT(broker_.tasks, ElementsAre("1"));
}

TEST_F(OutboxThreadTest, EndsWithABatchThatNobodyAnswers) {
  const MariaDbServer server;
  {
    OutboxThread outbox(OptionsFor(server), clock_);
    ASSERT_TRUE(Reaches(outbox, OutboxThread::State::kUp));
    Write(server, "1");
    ASSERT_TRUE(Eventually([&] { return outbox.TakeBatch().has_value(); }));
  }
  EXPECT_FALSE(IsEmpty(server));
}

// Two boxes, and an app that writes in transactions that end late or not at all.
TEST_F(OutboxThreadTest, SharesAnOutboxAmongBoxes) {
  const MariaDbServer server;
  OutboxThread::Options options = OptionsFor(server);
  options.limits.rows_max = 3;
  OutboxThread first(options, clock_), second(options, clock_);
  ASSERT_TRUE(Reaches(first, OutboxThread::State::kUp));
  ASSERT_TRUE(Reaches(second, OutboxThread::State::kUp));
  std::thread app([&] {
    Connection one = server.Connect(), other = server.Connect();
    for (int i = 0; i < 100; ++i) {
      one.Do("BEGIN").value();
      other.Do("BEGIN").value();
      one.Do("INSERT INTO onebox_outbox (task) VALUES (?)", {2 * i}).value();
      other.Do("INSERT INTO onebox_outbox (task) VALUES (?)", {2 * i + 1}).value();
      other.Do("COMMIT").value();
      one.Do(i % 4 == 0 ? "ROLLBACK" : "COMMIT").value();
    }
  });
  Broker another;
  EXPECT_TRUE(broker_.Serve(first, [&] {
    another.Serve(second, [] { return true; });
    return first.look().done_total + second.look().done_total == 175;
  }));
  app.join();
  std::vector<std::string> all = broker_.tasks;
  all.insert(all.end(), another.tasks.begin(), another.tasks.end());
  const std::set<std::string> different(all.begin(), all.end());
  EXPECT_EQ(all.size(), 175U);
  EXPECT_EQ(different.size(), 175U);
  EXPECT_TRUE(IsEmpty(server));
}

}  // namespace
}  // namespace onebox::database
