#include "main/tasks_text.h"

#include <gmock/gmock.h>

namespace onebox::main {
namespace {

using nlohmann::json;
using testing::HasSubstr;

TEST(DescribeQueues, HasALineForEachQueue) {
  EXPECT_EQ(
      DescribeQueues(json::parse(R"([
              {"name":"default","paused":false,"held":0,"waiting":12,"due":9,"running":4,"dead":0,
               "oldest":250.0,"done_per_minute":120.04,"rate":null,"concurrency":null},
              {"name":"mail","paused":true,"held":3,"waiting":0,"due":0,"running":0,"dead":2,
               "oldest":0.0,"done_per_minute":3.0,"rate":"10/s","concurrency":4}])")),
      "  queue    waiting  due  oldest  running  dead  done/min  rate  at once\n"
      "  default       12    9  4m 10s        4     0     120.0     -        -\n"
      "  mail           0    0       -        0     2       3.0  10/s        4  paused, 3 held\n");
}

TEST(DescribeWorkers, SaysWhenThereIsNone) {
  EXPECT_THAT(DescribeWorkers(json::array()), HasSubstr("no task worker is there"));
  EXPECT_EQ(DescribeWorkers(json::parse(R"([{"number":1,"pid":4711,"threads":4,"running":2}])")),
            "  worker   pid  threads  running\n"
            "       1  4711        4        2\n");
}

TEST(DescribeRunning, SaysForHowLongAndHowFar) {
  EXPECT_EQ(DescribeRunning(json::parse(R"([{"id":17,"name":"app:send","queue":"mail","worker":2,
                                             "begun":1000.0,"progress":0.4,"cancel_asked":true},
                                            {"id":18,"name":"app:load","queue":"default","worker":1,
                                             "begun":1009.5}])"),
                            1010),
            "  running  name      queue    worker    for  progress\n"
            "       17  app:send  mail          2    10s      40 %  is to end\n"
            "       18  app:load  default       1  500ms         -\n");
}

TEST(DescribeDead, EndsWithTheLastLineOfTheTraceback) {
  EXPECT_EQ(DescribeDead(json::parse(R"([{"id":9,"name":"app:fails","queue":"default","attempts":4,
                                          "ended":700.0,
                                          "traceback":"Traceback:\n  File\nValueError: no\n"}])"),
                         1000),
            "  dead  name       queue    attempts  since  error\n"
            "     9  app:fails  default         4     5m  ValueError: no\n");
}

TEST(DescribeTask, LeavesOutWhatItHasNot) {
  const std::string text = DescribeTask(
      json::parse(R"({"id":9,"state":"dead","name":"app:fails","queue":"default","priority":4,
                      "attempts":4,"deaths":0,"members_left":0,"group":0,"parent":8,"enqueued":940.0,
                      "eta":940.0,"begun":950.0,"ended":951.5,"worker":1,"progress":null,
                      "cancel_asked":false,"traceback":"Traceback:\n  File\nValueError: no\n"})"),
      1000);
  EXPECT_THAT(text, HasSubstr("task 9   dead\n  name      app:fails\n"));
  EXPECT_THAT(text, HasSubstr(", 50s ago\n"));
  EXPECT_THAT(text, HasSubstr("  took      1.5s\n"));
  EXPECT_THAT(text, HasSubstr("  parent    8\n  Traceback:\n    File\n  ValueError: no\n"));
  for (const char* const left_out : {"eta", "deaths", "progress", "callback", "result"}) {
    EXPECT_THAT(text, testing::Not(HasSubstr(left_out)));
  }
}

TEST(DescribeTask, DoesNotTrustWhatItIsGiven) {
  for (const char* const text : {"null", "[]", "5", R"({"id":"x","traceback":7,"begun":"soon"})"}) {
    SCOPED_TRACE(text);
    EXPECT_THAT(DescribeTask(json::parse(text), 1000), HasSubstr("task 0"));
    EXPECT_FALSE(DescribeQueues(json::parse(text)).empty());
    EXPECT_FALSE(DescribeRunning(json::parse(text), 1000).empty());
  }
}

}  // namespace
}  // namespace onebox::main
