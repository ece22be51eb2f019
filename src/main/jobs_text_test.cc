#include "main/jobs_text.h"

#include <cstdlib>
#include <ctime>

#include <gmock/gmock.h>

namespace onebox::main {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class JobsTextTest : public testing::Test {
 protected:
  JobsTextTest() {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
  }

  const json jobs_ = json::parse(R"([
      {"name":"late","trigger":"cron 0 4 * * *","tz":"Europe/Berlin","next":1500.0,"paused":false,
       "running":0,"last":null,"missed_total":0},
      {"name":"prices","trigger":"every 5 minutes","tz":"","next":1300.0,"paused":false,"running":1,
       "missed_total":3,"last":{"job":"prices","run":7,"firing":940.0,"begun":940.2,"ended":941.7,
       "duration":1.5,"outcome":"failed","count":1}},
      {"name":"off","trigger":"every 1 hour","tz":"","next":3600.0,"paused":true,"running":0,
       "missed_total":0,"last":{"job":"off","run":0,"firing":0.0,"outcome":"missed","count":9}},
      {"name":"once","trigger":"at 1970-01-01 00:00","tz":"","next":null}])");
};

TEST_F(JobsTextTest, SaysWhenEachIsDueAndHowItWentLast) {
  EXPECT_EQ(
      DescribeJobs(jobs_, 1000),
      "  job     when                          next                     in  last          ago  "
      "took\n"
      "  late    cron 0 4 * * * Europe/Berlin  1970-01-01 00:25:00  8m 20s  -               -     "
      "-\n"
      "  prices  every 5 minutes               1970-01-01 00:21:40      5m  failed         1m  1.5s"
      "  runs, 3 missed\n"
      "  off     every 1 hour                  -                         -  missed 9  16m 40s     -"
      "  paused\n"
      "  once    at 1970-01-01 00:00           -                         -  -               -     "
      "-\n");
}

TEST_F(JobsTextTest, TellsWhatComesNextInItsOrder) {
  EXPECT_EQ(DescribeNext(NextJobs(jobs_), 1000),
            "  next                     in  job     when\n"
            "  1970-01-01 00:21:40      5m  prices  every 5 minutes\n"
            "  1970-01-01 00:25:00  8m 20s  late    cron 0 4 * * * Europe/Berlin\n");
}

TEST_F(JobsTextTest, TellsRunsWithWhatTheyDiedOf) {
  EXPECT_EQ(DescribeRuns(json::parse(R"([
                {"job":"prices","run":7,"firing":900.0,"lateness":0.012,"duration":61.0,
                 "outcome":"failed","count":1,"traceback":"Traceback:\nValueError: no","manual":true},
                {"job":"prices","run":0,"firing":300.0,"lateness":null,"duration":null,
                 "outcome":"missed","count":2,"traceback":"","manual":false}])")),
            "  due                  job     outcome   late   took  task\n"
            "  1970-01-01 00:15:00  prices  failed    12ms  1m 1s     7  by hand, ValueError: no\n"
            "  1970-01-01 00:05:00  prices  missed 2     -      -     -\n");
}

TEST_F(JobsTextTest, DoesNotTrustWhatItIsGiven) {
  for (const char* const text : {"null", "[]", "5", R"([{"name":5,"last":7,"next":"x"}])"}) {
    SCOPED_TRACE(text);
    const json given = json::parse(text);
    EXPECT_FALSE(DescribeJobs(given, 1000).empty());
    EXPECT_FALSE(DescribeNext(NextJobs(given), 1000).empty());
    EXPECT_FALSE(DescribeRuns(given).empty());
  }
}

}  // namespace
}  // namespace onebox::main
