#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/testing.h"

namespace onebox::broker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Contains;

json Done(std::string_view result) {
  return {{"op", "done"}, {"result", result}};
}

TEST(Broker, GivesATaskToAWorkerAndItsResultToWhoWaits) {
  TestBroker broker;
  TestClient client(broker);
  const auto id = client.Enqueue({{"payload", "[1]"}, {"keep", 60}});
  EXPECT_EQ(client.StatusOf(id)["state"], "waiting");
  client.Say({{"op", "wait"}, {"n", 99}, {"id", id}, {"seconds", 30}});
  EXPECT_FALSE(client.Hear());
  TestWorker worker(broker, {});
  const auto task = worker.Take();
  ASSERT_TRUE(task);
  EXPECT_EQ((*task)["payload"], "[1]");
  EXPECT_EQ(client.StatusOf(id)["state"], "running");
  EXPECT_EQ(worker.Report(*task, Done("2"))["outcome"], "done");
  const auto answer = client.Hear();
  ASSERT_TRUE(answer);
  EXPECT_EQ((*answer)["n"], 99);
  EXPECT_EQ((*answer)["task"]["result"], "2");
}

TEST(Broker, AnswersEachWhoWaitsWhenHisTimeIsUp) {
  TestBroker broker;
  TestClient client(broker);
  const auto id = client.Enqueue(json::object());
  for (const int n : {1, 2, 3})
    client.Say({{"op", "wait"}, {"n", n}, {"id", id}, {"seconds", n == 3 ? 20 : 10}});
  EXPECT_FALSE(client.Hear());
  broker.Advance(seconds(9));
  EXPECT_FALSE(client.Hear());
  broker.Advance(seconds(2));
  EXPECT_EQ(client.Hear()->at("n"), 1);
  EXPECT_EQ(client.Hear()->at("task")["state"], "waiting");
  EXPECT_FALSE(client.Hear());
  broker.Advance(seconds(10));
  EXPECT_EQ(client.Hear()->at("n"), 3);
}

TEST(Broker, TellsTheSupervisorOnceThatTaskWorkersAreWanted) {
  TestBroker broker;
  TestClient client(broker);
  EXPECT_THAT(broker.Told(), testing::ElementsAre(json{{"broker", "ready"}}));
  for (int i = 0; i < 2; ++i)
    client.Ask({{"op", "declare"}, {"generation", 1}, {"tasks", {"app.f"}}});
  EXPECT_THAT(broker.Told(), testing::ElementsAre(json{{"tasks", true}}));
}

TEST(Broker, EndsATaskAtItsTimeout) {
  TestBroker broker;
  TestClient client(broker);
  TestWorker worker(broker, {});
  const auto id = client.Enqueue({{"timeout", 5}});
  const auto task = worker.Take();
  ASSERT_TRUE(task);
  broker.Advance(seconds(4));
  EXPECT_FALSE(worker.Interrupted(id));
  broker.Advance(seconds(2));
  EXPECT_TRUE(worker.Interrupted(id));
  EXPECT_EQ(worker.client.Hear()->at("cancel")[0][2], "timeout");
  worker.Report(*task, {{"op", "failed"}, {"traceback", "late"}, {"retry_in", nullptr}});
  EXPECT_EQ(client.StatusOf(id)["state"], "dead");
}

TEST(Broker, InterruptsWhatIsCancelledAndEndsItForGood) {
  TestBroker broker;
  TestClient client(broker);
  TestWorker worker(broker, {});
  const auto id = client.Enqueue({{"keep", 60}});
  const auto task = worker.Take();
  EXPECT_EQ(client.Ask({{"op", "cancel"}, {"ids", {id}}})["outcomes"][0], "running");
  EXPECT_TRUE(worker.Interrupted(id));
  // Whatever its worker would like.
  worker.Report(*task, {{"op", "failed"}, {"traceback", "cancelled"}, {"retry_in", 1}});
  EXPECT_EQ(client.StatusOf(id)["state"], "cancelled");
}

TEST(Broker, GivesTheTasksOfADeadWorkerToAnother) {
  TestBroker broker;
  TestClient client(broker);
  const auto id = client.Enqueue({{"keep", 60}});
  {
    TestWorker worker(broker, {});
    ASSERT_TRUE(worker.Take());
  }
  TestWorker other(broker, {.number = 4, .pid = 4712});
  const auto again = other.Take();
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)["id"], id);
  EXPECT_EQ((*again)["deaths"], 1);
}

TEST(Broker, TakesTheLastWordsOfADeadWorkerFirst) {
  TestBroker broker;
  TestClient client(broker);
  const auto id = client.Enqueue({{"keep", 60}});
  {
    TestWorker worker(broker, {});
    const auto task = worker.Take();
    json done = Done("2");
    done["id"] = (*task)["id"];
    done["token"] = (*task)["token"];
    worker.client.Say(done);
  }
  broker.Settle();
  EXPECT_EQ(client.StatusOf(id)["state"], "done");
}

TEST(Broker, LetsWhatRunsGoOnWhereItIsKilled) {
  TestBroker broker;
  queue::TaskId id = 0;
  std::optional<json> task;
  {
    TestClient client(broker);
    TestWorker worker(broker, {});
    id = client.Enqueue({{"keep", 60}});
    task = worker.Take();
    ASSERT_TRUE(task);
    broker.Restart(/*fresh=*/false);
  }
  TestWorker worker(broker, {.held = {{id, (*task)["token"]}}});
  EXPECT_EQ(worker.greeting["lost"], json::array());
  broker.Advance(Broker::kLease * 3);  // it is renewed
  TestClient client(broker);
  EXPECT_EQ(client.StatusOf(id)["state"], "running");
  EXPECT_FALSE(worker.Take());  // its one thread is taken
  EXPECT_EQ(worker.Report(*task, Done("2"))["outcome"], "done");
  EXPECT_EQ(client.StatusOf(id)["attempts"], 1);
}

TEST(Broker, BeginsAnewWhatNobodyComesBackWith) {
  TestBroker broker;
  {
    TestClient client(broker);
    TestWorker worker(broker, {});
    client.Enqueue(json::object());
    ASSERT_TRUE(worker.Take());
    broker.Restart(/*fresh=*/false);
  }
  TestWorker other(broker, {.number = 5, .pid = 4713});
  EXPECT_FALSE(other.Take());
  broker.Advance(Broker::kLease + seconds(1));
  broker.Advance(seconds(1));
  ASSERT_TRUE(other.Take());
}

TEST(Broker, IsToldWhoHasDiedWhileItWasAway) {
  for (const bool before : {true, false}) {
    TestBroker broker;
    {
      TestClient client(broker);
      TestWorker worker(broker, {});
      client.Enqueue(json::object());
      ASSERT_TRUE(worker.Take());
      broker.Restart(/*fresh=*/false, before ? std::vector<int>() : std::vector<int>{4711});
    }
    if (!before) broker.Tell({{"ended", 4711}, {"worker", 3}});
    TestWorker other(broker, {.pid = 4713});  // the same number
    const auto again = other.Take();
    ASSERT_TRUE(again);
    EXPECT_EQ((*again)["deaths"], 1);
  }
}

TEST(Broker, TakesBackWhatItsPredecessorHadSentAndNobodyHasBegun) {
  TestBroker broker;
  {
    TestClient client(broker);
    TestWorker worker(broker, {});
    client.Enqueue({{"payload", "p"}});
    ASSERT_TRUE(worker.Take());
    broker.Restart(/*fresh=*/false);
  }
  TestWorker worker(broker, {});  // the same process, which holds nothing
  const auto again = worker.Take();
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)["deaths"], 0);
  EXPECT_EQ((*again)["attempt"], 1);
  EXPECT_EQ((*again)["broker"], worker.greeting["broker"]);
}

TEST(Broker, BeginsAnewWhatOneHadThatIsKilledAsItComesBack) {
  TestBroker broker;
  json held;
  {
    TestClient client(broker);
    TestWorker worker(broker, {});
    client.Enqueue(json::object());
    const auto task = worker.Take();
    ASSERT_TRUE(task);
    held = {(*task)["id"], (*task)["token"]};
    broker.Restart(/*fresh=*/false);
  }
  {
    TestClient dies(broker);
    dies.Say({{"op", "hello"}, {"worker", 3}, {"pid", 4711}, {"held", json::array({held})}});
  }
  broker.Settle();
  TestWorker other(broker, {.number = 5, .pid = 4713});
  broker.Advance(Broker::kLease + seconds(1));
  broker.Advance(seconds(1));
  ASSERT_TRUE(other.Take());
}

TEST(Broker, LosesNoWorkerForTheEndOfItsPredecessor) {
  TestBroker broker;
  TestClient client(broker);
  TestWorker worker(broker, {.pid = 4713});
  const auto id = client.Enqueue({{"keep", 60}});
  const auto task = worker.Take();
  ASSERT_TRUE(task);
  broker.Tell({{"ended", 4711}, {"worker", 3}});  // it had the same number
  EXPECT_EQ(client.StatusOf(id)["state"], "running");
  EXPECT_EQ(worker.Report(*task, Done("2"))["outcome"], "done");
}

TEST(Broker, KeepsATaskForItsHolderWhateverOneOfBeforeSays) {
  TestBroker broker;
  TestClient client(broker);
  const auto id = client.Enqueue({{"keep", 60}});
  std::optional<json> before;
  {
    TestWorker worker(broker, {});
    before = worker.Take();
    ASSERT_TRUE(before);
  }
  TestWorker worker(broker, {.number = 4, .pid = 4712});
  const auto task = worker.Take();
  ASSERT_TRUE(task);
  EXPECT_EQ(worker.Report(*before, {{"op", "handed_back"}})["outcome"], "not_held");
  broker.Advance(Broker::kLease / 2);
  broker.Advance(Broker::kLease / 2);
  broker.Advance(Broker::kLease / 2);  // it is renewed all the same
  EXPECT_EQ(client.StatusOf(id)["state"], "running");
  EXPECT_EQ(worker.Report(*task, Done("2"))["outcome"], "done");
}

TEST(Broker, KnowsAtTheBoxsStartThatNobodyRunsAnything) {
  TestBroker broker;
  {
    TestClient client(broker);
    TestWorker worker(broker, {});
    client.Enqueue(json::object());
    ASSERT_TRUE(worker.Take());
    broker.Restart(/*fresh=*/true);
  }
  TestWorker other(broker, {.number = 5, .pid = 4713});
  EXPECT_TRUE(other.Take());
}

TEST(Broker, DrainsInBoundedTime) {
  TestBroker broker({.drain_timeout = seconds(10)});
  TestClient client(broker);
  TestWorker worker(broker, {});
  const auto id = client.Enqueue(json::object());
  ASSERT_TRUE(worker.Take());
  broker.Tell({{"drain", true}});
  client.Enqueue(json::object());
  EXPECT_FALSE(worker.Take());
  broker.Tell({{"finish", true}});
  broker.Settle();
  EXPECT_TRUE(broker.Turn());  // it waits
  broker.Advance(seconds(11));
  EXPECT_TRUE(worker.Interrupted(id));
  broker.Advance(seconds(2));
  EXPECT_FALSE(broker.Turn());
}

TEST(Broker, KeepsToTheRateAndTheConcurrencyOfAQueue) {
  TestBroker broker({.rules = {{"slow", {.rate = Rate{1, seconds(1)}}},
                               {"narrow", {.rate = {}, .concurrency = 1}}}});
  TestClient client(broker);
  TestWorker worker(broker, {.threads = 8});
  for (int i = 0; i < 3; ++i) {
    client.Enqueue({{"queue", "slow"}});
    client.Enqueue({{"queue", "narrow"}});
  }
  std::vector<std::string> queues;
  while (const auto task = worker.Take())
    queues.push_back((*task)["queue"]);
  EXPECT_THAT(queues, testing::UnorderedElementsAre("slow", "narrow"));
  broker.Advance(milliseconds(1100));
  const auto next = worker.Take();
  ASSERT_TRUE(next);
  EXPECT_EQ((*next)["queue"], "slow");
  EXPECT_FALSE(worker.Take());
}

TEST(Broker, FiresAJobOnceAndTellsHowItEnded) {
  TestBroker broker;
  TestClient client(broker);
  TestWorker worker(broker, {});
  const json job = {{"name", "tidy"}, {"every", "10 seconds"}, {"what", "app:tidy"}};
  EXPECT_EQ(client.Ask({{"op", "declare"}, {"generation", 1}, {"jobs", {job}}})["errors"],
            json::array());
  broker.Advance(seconds(10));
  const auto run = worker.Take();
  ASSERT_TRUE(run);
  EXPECT_EQ((*run)["name"], "tidy");
  EXPECT_EQ(json::parse((*run)["payload"].get<std::string>())["what"], "app:tidy");
  worker.Report(*run, Done("null"));
  const json last = client.Ask({{"op", "job_history"}, {"job", "tidy"}})["runs"][0];
  EXPECT_EQ(last["outcome"], "done");
  EXPECT_LT(last["lateness"], 10);
}

TEST(Broker, PublishesEachSecondWhatItCounts) {
  TestBroker broker;
  TestClient client(broker);
  TestWorker worker(broker, {.threads = 4});
  client.Enqueue(json::object());
  worker.Report(worker.Take().value(), Done("2"));
  const json job = {{"name", "pay"}, {"every", "1 hour"}, {"what", "app:pay"}};
  client.Ask({{"op", "declare"}, {"generation", 1}, {"jobs", {job}}});
  for (int i = 0; i < 2; ++i) {
    client.Ask({{"op", "job_run"}, {"job", "pay"}});
    worker.Report(worker.Take().value(), Done("null"));
  }
  broker.Advance(seconds(1));
  using testing::HasSubstr;
  EXPECT_THAT(broker.metrics(), HasSubstr("onebox_tasks_done_total{queue=\"default\"} 1\n"));
  EXPECT_THAT(broker.metrics(),
              HasSubstr("onebox_jobs_runs_total{job=\"pay\",outcome=\"done\"} 2\n"));
}

TEST(Broker, KeepsAJobThatOneWorkerHasMadeUntilItIsRemovedOrAnotherGenerationComes) {
  TestBroker broker;
  const auto job = [](const char* name) {
    return json{{"name", name}, {"every", "1 hour"}, {"what", "app:work"}};
  };
  const auto names = [&broker] {
    std::vector<std::string> found;
    const json answer = TestClient(broker).Ask({{"op", "jobs"}});
    for (const json& one : answer["jobs"])
      found.push_back(one["name"]);
    return found;
  };
  const auto declare = [&broker](int generation,
                                 const std::vector<json>& jobs,
                                 const std::vector<std::string>& removed) {
    TestClient(broker).Ask(
        {{"op", "declare"}, {"generation", generation}, {"jobs", jobs}, {"removed", removed}});
  };
  declare(1, {job("a"), job("made")}, {});
  declare(1, {job("a")}, {});
  EXPECT_THAT(names(), testing::ElementsAre("a", "made"));
  broker.Restart(/*fresh=*/false);
  declare(1, {job("a")}, {});
  EXPECT_THAT(names(), testing::ElementsAre("a", "made"));
  declare(1, {job("a")}, {"made"});
  EXPECT_THAT(names(), testing::ElementsAre("a"));
  declare(2, {job("b")}, {});
  EXPECT_THAT(names(), testing::ElementsAre("b"));
  declare(1, {job("a")}, {});  // a worker of before
  EXPECT_THAT(names(), testing::ElementsAre("b"));
}

TEST(Broker, FiresAJobAgainWhoseRunWasCancelledBeforeItBegan) {
  for (const bool purge : {true, false}) {
    TestBroker broker;
    TestClient client(broker);
    const json job = {{"name", "pay"}, {"every", "1 hour"}, {"what", "app:pay"}};
    client.Ask({{"op", "declare"}, {"generation", 1}, {"jobs", json::array({job})}});
    const json id = client.Ask({{"op", "job_run"}, {"job", "pay"}})["id"];
    EXPECT_TRUE(client.Ask({{"op", "job_run"}, {"job", "pay"}}).contains("error"));  // it overlaps
    if (purge) {
      EXPECT_EQ(client.Ask({{"op", "purge"}, {"queue", kJobsQueue}})["purged"], 1);
    } else {
      EXPECT_EQ(client.Ask({{"op", "cancel"}, {"ids", json::array({id})}})["outcomes"][0], "done");
    }
    EXPECT_EQ(client.Ask({{"op", "job_history"}})["runs"][0]["outcome"], "cancelled");
    EXPECT_TRUE(client.Ask({{"op", "job_run"}, {"job", "pay"}}).contains("id"));
  }
}

TEST(Broker, TellsAJobThatItsWorkersKeepDyingOf) {
  TestBroker broker;
  TestClient client(broker);
  const json job = {{"name", "pay"}, {"every", "1 hour"}, {"what", "app:pay"}, {"retries", 9}};
  client.Ask({{"op", "declare"}, {"generation", 1}, {"jobs", json::array({job})}});
  client.Ask({{"op", "job_run"}, {"job", "pay"}});
  int begun = 0;
  for (std::uint32_t number = 3; number < 10; ++number) {
    TestWorker worker(broker, {.number = number, .pid = 4700 + static_cast<std::int32_t>(number)});
    if (!worker.Take()) break;
    ++begun;
  }
  EXPECT_EQ(begun, 3);
  EXPECT_NE(client.Ask({{"op", "job_history"}})["runs"][0]["outcome"], "running");
}

TEST(Broker, DoesNotBeginAJobAgainWhoseWorkerDied) {
  TestBroker broker;
  TestClient client(broker);
  const json job = {{"name", "pay"}, {"every", "1 hour"}, {"what", "app:pay"}};
  client.Ask({{"op", "declare"}, {"generation", 1}, {"jobs", {job}}});
  {
    TestWorker worker(broker, {});
    EXPECT_TRUE(client.Ask({{"op", "job_run"}, {"job", "pay"}}).contains("id"));
    ASSERT_TRUE(worker.Take());
  }
  TestWorker other(broker, {.number = 4, .pid = 4712});
  EXPECT_FALSE(other.Take());
  EXPECT_EQ(client.Ask({{"op", "job_history"}, {"job", "pay"}})["runs"][0]["outcome"], "died");
}

TEST(Broker, TellsWhatIsWrongInAQuestion) {
  TestBroker broker;
  TestClient client(broker);
  EXPECT_EQ(client.Ask({{"op", "dance"}})["error"], "\"dance\" is no operation");
  const json refused = client.Ask(
      {{"op", "enqueue"}, {"tasks", {{{"name", ""}}, {{"name", "f"}, {"priority", 12}}}}});
  EXPECT_TRUE(refused["tasks"][0].contains("error"));
  EXPECT_EQ(refused["tasks"][1]["error"], "\"priority\" is to be a number from 0 to 9");
  const json bad = {{"name", "x"}, {"every", "blue moon"}, {"what", "app:x"}};
  const json errors = client.Ask({{"op", "declare"}, {"generation", 1}, {"jobs", {bad}}})["errors"];
  EXPECT_EQ(errors[0]["job"], "x");
}

TEST(Broker, RefusesTasksWhereTheFileCannotGrowAndTakesThemAgain) {
  TestBroker broker({.limits = {.file_bytes_max = 256 << 10}});
  TestClient client(broker);
  const std::string payload(20'000, 'x');
  json answer;
  for (int i = 0; i < 40 && !answer.contains("error"); ++i) {
    answer = client.Ask(
        {{"op", "enqueue"}, {"tasks", {{{"name", "f"}, {"queue", "big"}, {"payload", payload}}}}});
    if (answer.contains("tasks") && answer["tasks"][0].contains("error"))
      answer = answer["tasks"][0];
  }
  ASSERT_TRUE(answer.contains("error"));
  EXPECT_EQ(answer["retry"], true);
  EXPECT_GT(client.Ask({{"op", "purge"}, {"queue", "big"}})["purged"], 0);
  broker.Advance(seconds(2));
  EXPECT_GT(client.Enqueue(json::object()), 0);
}

TEST(Broker, GivesUpAClientThatDoesNotKeepToTheForm) {
  for (const std::string_view bytes :
       {std::string_view("\xff\xff\xff\xff", 4), std::string_view("\x02\0\0\0[]", 6)}) {
    TestBroker broker;
    TestClient client(broker);
    client.Send(bytes);
    EXPECT_FALSE(client.Hear());
    EXPECT_TRUE(client.closed());
  }
}

TEST(Broker, UnderstandsAMessageWhereverItIsCut) {
  TestBroker broker;
  std::string bytes;
  AppendMessage(bytes, {{"op", "queues"}, {"n", 7}});
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    TestClient client(broker);
    client.Send(std::string_view(bytes).substr(0, cut));
    EXPECT_FALSE(client.Hear());
    client.Send(std::string_view(bytes).substr(cut));
    const auto answer = client.Hear();
    ASSERT_TRUE(answer);
    EXPECT_EQ((*answer)["n"], 7);
  }
}

}  // namespace
}  // namespace onebox::broker
