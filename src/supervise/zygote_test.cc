#include "supervise/zygote.h"

#include <gtest/gtest.h>

#include "os/poll.h"
#include "os/process.h"
#include "os/socket.h"

namespace onebox::supervise {
namespace {

using Kind = ZygoteNews::Kind;

TEST(ZygoteNews, IsReadByKind) {
  const auto ready =
      ParseZygoteNews(R"({"ready":true,"app":"Flask 2.2.2","python":"3.11.2","bytes":63963136})");
  ASSERT_TRUE(ready);
  EXPECT_EQ(ready->kind, Kind::kReady);
  EXPECT_EQ(ready->app, "Flask 2.2.2");
  EXPECT_EQ(ready->python, "3.11.2");
  EXPECT_EQ(ready->bytes, 63963136U);

  const auto unsafe = ParseZygoteNews(R"({"unsafe":"thread 'poller' runs","app":"","python":""})");
  ASSERT_TRUE(unsafe);
  EXPECT_EQ(unsafe->kind, Kind::kUnsafe);
  EXPECT_EQ(unsafe->reason, "thread 'poller' runs");

  const auto forked = ParseZygoteNews(R"({"worker":3,"pid":4711})");
  ASSERT_TRUE(forked);
  EXPECT_EQ(forked->kind, Kind::kForked);
  EXPECT_EQ(forked->worker, 3);
  EXPECT_EQ(forked->pid, 4711);

  const auto failed = ParseZygoteNews(R"({"worker":3,"error":"no memory"})");
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->kind, Kind::kForkFailed);
  EXPECT_EQ(failed->reason, "no memory");

  const auto standby = ParseZygoteNews(R"({"standby":4712})");
  ASSERT_TRUE(standby);
  EXPECT_EQ(standby->kind, Kind::kStandby);
  EXPECT_EQ(standby->pid, 4712);
}

TEST(ZygoteNews, IsNothingWhereItIsNone) {
  for (const char* text : {"",
                           "[]",
                           "{",
                           "{}",
                           R"({"ready":1})",
                           R"({"unsafe":null})",
                           R"({"pid":4711})",
                           R"({"worker":3})",
                           R"({"worker":3,"pid":0})",
                           R"({"worker":-3,"pid":4711})",
                           R"({"worker":3,"pid":99999999999})",
                           R"({"worker":"3","pid":4711})"}) {
    EXPECT_FALSE(ParseZygoteNews(text)) << text;
  }
}

TEST(AskForWorker, SendsTheNumberAndTheOutput) {
  auto pair = os::NewSocketPair(SOCK_SEQPACKET).value();
  auto output = os::NewOutputPipe().value();
  ASSERT_TRUE(AskForWorker(pair.ours, 7, std::nullopt, output.writer).ok());
  const auto message = os::ReceiveMessage(pair.theirs, kZygoteMessageBytesMax);
  ASSERT_TRUE(message.ok() && message.value());
  EXPECT_EQ(message.value()->bytes, R"({"fork":7})");
  EXPECT_EQ(message.value()->descriptors.size(), 1U);
}

}  // namespace
}  // namespace onebox::supervise
