#include "supervise/status.h"

#include <gtest/gtest.h>

namespace onebox::supervise {
namespace {

TEST(DescribeStatus, ShowsEachProcessAndTheTraffic) {
  const std::string text = DescribeStatus(R"({"version":"0.1.0","uptime":61.5,"phase":"serving",
    "listen":["http://127.0.0.1:8000"],"target":"app:app","chdir":"/srv",
    "workers":{"total":2,"ready":1,"threads":4,"units":"threads","busy":3,"concurrency":3,
     "reason":"as set"},
    "requests":10,"errors":1,"queue":2,"connections":5,
    "processes":[{"role":"front","number":0,"pid":41,"state":"ready","uptime":60.0,"restarts":0},
                 {"role":"zygote","number":0,"pid":42,"state":"ready","uptime":60.0},
                 {"role":"app worker","number":1,"pid":43,"state":"ready","uptime":60.0,
                  "memory":94371840,"leaves_because":"a reload"},
                 {"role":"app worker","number":2,"pid":null,"state":"waiting","uptime":0,
                  "restarts":7}]})");
  EXPECT_EQ(text,
            "onebox 0.1.0   up 61s   serving\n"
            "  listens   http://127.0.0.1:8000\n"
            "  app       app:app in /srv\n"
            "  workers   1 of 2 ready, 4 threads each, 3 busy of at most 3 (as set)\n"
            "  requests  10, 1 errors; 2 in the queue, 5 connections\n"
            "\n"
            "  process             pid  state            up     memory\n"
            "  front                41  ready            1m          -  \n"
            "  zygote               42  ready            1m          -  \n"
            "  app worker 1         43  ready            1m     90 MiB  leaves: a reload\n"
            "  app worker 2          -  waiting           -          -  restarted 7x\n");
}

TEST(DescribeStatus, ShowsEachOfSeveralApps) {
  const std::string text = DescribeStatus(R"({"target":"game:app","apps":[
    {"name":"main","target":"game:app","workers":2,"ready":2,"busy":1,"queue":0,"requests":70,"reason":"as set"},
    {"name":"shop","target":"shop:app","workers":1,"ready":0,"busy":0,"queue":3,"requests":5,"reason":"as set"}],
    "processes":[{"role":"app worker","number":12,"app":"shop","pid":43,"state":"booting","uptime":1.0}]})");
  EXPECT_NE(
      text.find(
          "  app       main: game:app, 2 of 2 workers ready, 1 busy, 0 in the queue, 70 requests "
          "(as set)\n"
          "  app       shop: shop:app, 0 of 1 workers ready, 0 busy, 3 in the queue, 5 requests "
          "(as set)\n"),
      text.npos)
      << text;
  EXPECT_NE(text.find("  process                    pid  state "), text.npos) << text;
  EXPECT_NE(text.find("  app worker 12 of shop       43  booting "), text.npos) << text;
}

TEST(DescribeStatus, SaysWhyAnswersWereNotKept) {
  const std::string text = DescribeStatus(R"({"response_cache":{"answers":3,"bytes":4096,
    "results":{"hit":10,"cookie":2},"not_stored":{"set_cookie":5}}})");
  EXPECT_NE(text.find("  kept      3 answers, 4 KiB: cookie 2, hit 10\n"
                      "  not kept  set_cookie 5\n"),
            std::string::npos)
      << text;
}

TEST(DescribeStatus, ShowsTheServersThatAnswerInTheAppsPlace) {
  const std::string text = DescribeStatus(R"({"target":"","upstreams":[
    {"upstream":"shop","server":"http://10.0.0.2:8000","state":"paused","outstanding":1,
     "answers":200,"failures":3,"wait_us":950}]})");
  EXPECT_EQ(text.find("  app "), text.npos) << text;
  EXPECT_NE(text.find("  shop         http://10.0.0.2:8000             paused       1        200"
                      "         3     950 us\n"),
            text.npos)
      << text;
}

TEST(DescribeStatus, DoesNotTrustWhatItIsGiven) {
  for (const char* text : {"",
                           "null",
                           "[]",
                           R"({"listen":5,"processes":[5,{"pid":"x"}],"response_cache":[1]})",
                           R"({"response_cache":{"results":5,"not_stored":{"a":"b"}}})"}) {
    SCOPED_TRACE(text);
    EXPECT_NE(DescribeStatus(text).find("onebox"), std::string::npos);
  }
}

TEST(AskStatus, SaysThatNoBoxIsThere) {
  const auto status = AskStatus("/nowhere");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "no onebox runs with the state folder /nowhere");
}

}  // namespace
}  // namespace onebox::supervise
