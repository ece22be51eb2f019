#include "supervise/news.h"

#include <gtest/gtest.h>

namespace onebox::supervise {
namespace {

TEST(ParseNews, ReadsWhatTheFrontSays) {
  EXPECT_EQ(ParseNews(R"({"front":"ready"})")->kind, News::Kind::kReady);
  EXPECT_EQ(ParseNews(R"({"front":"alive"})")->kind, News::Kind::kAlive);
  EXPECT_EQ(ParseNews(R"({"front":"alive","upstreams":[{"server":"http://a"}]})")->upstreams,
            R"([{"server":"http://a"}])");
  EXPECT_EQ(ParseNews(R"({"front":"alive","upstreams":5})")->upstreams, "");
  EXPECT_EQ(ParseNews(R"({"front":"alive","apps":[{"busy":1}]})")->apps, R"([{"busy":1}])");
  EXPECT_EQ(ParseNews(R"({"broker":"ready"})")->kind, News::Kind::kReady);
  EXPECT_EQ(ParseNews(R"({"tasks":true})")->kind, News::Kind::kTasksWanted);

  const auto ready =
      ParseNews(R"({"worker":3,"ready":true,"app":"Flask 2.2.2","python":"3.11.2"})");
  EXPECT_EQ(ready->kind, News::Kind::kWorkerReady);
  EXPECT_EQ(ready->worker, 3);
  EXPECT_EQ(ready->app, "Flask 2.2.2");
  EXPECT_EQ(ready->python, "3.11.2");

  const auto stuck = ParseNews(R"({"worker":1,"stuck":true,"reason":"no answer for 30s"})");
  EXPECT_EQ(stuck->kind, News::Kind::kWorkerStuck);
  EXPECT_EQ(stuck->worker, 1);
  EXPECT_EQ(stuck->reason, "no answer for 30s");
  EXPECT_FALSE(stuck->gil);
  EXPECT_TRUE(ParseNews(R"({"worker":1,"stuck":true,"gil":true,"reason":"no"})")->gil);
}

TEST(ParseNews, ReadsWhatIsToldOfACertificate) {
  EXPECT_EQ(ParseNews(R"({"acme":"ready"})")->kind, News::Kind::kReady);
  const auto told = ParseNews(R"({"certificate":{"name":"game.example","failures":2}})");
  EXPECT_EQ(told->kind, News::Kind::kCertificate);
  EXPECT_EQ(told->name, "game.example");
  EXPECT_EQ(told->told, R"({"failures":2,"name":"game.example"})");
}

TEST(ParseNews, IgnoresEverythingElse) {
  for (const char* text : {"",
                           "{",
                           "[]",
                           "null",
                           "5",
                           R"({"front":"gone"})",
                           R"({"front":1})",
                           R"({"worker":1})",
                           R"({"worker":"1","ready":true})",
                           R"({"worker":1.5,"ready":true})",
                           R"({"worker":1,"ready":"yes"})"}) {
    SCOPED_TRACE(text);
    EXPECT_FALSE(ParseNews(text));
  }
}

TEST(ParseNews, TakesTextOfTheWrongTypeAsMissing) {
  const auto news = ParseNews(R"({"worker":1,"ready":true,"app":5,"python":null})");
  ASSERT_TRUE(news);
  EXPECT_EQ(news->app, "");
  EXPECT_EQ(news->python, "");
}

}  // namespace
}  // namespace onebox::supervise
