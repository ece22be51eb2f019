// What the rooms above rely on: addresses, listening, descriptors in messages, temporary files.
#include <gtest/gtest.h>

#include "os/file.h"
#include "os/mapping.h"
#include "os/socket.h"

namespace onebox::os {
namespace {

TEST(SocketAddress, ReadsAndWritesEachForm) {
  for (const char* text : {"127.0.0.1:8000", "[::1]:80", "unix:/tmp/x.sock", "unix:@name"}) {
    SCOPED_TRACE(text);
    EXPECT_EQ(SocketAddress::Parse(text).value().text(), text);
  }
  EXPECT_EQ(SocketAddress::Parse(":80").value().text(), "0.0.0.0:80");
}

TEST(SocketAddress, RefusesWhatIsNone) {
  for (const char* text :
       {"", "127.0.0.1", "127.0.0.1:", "1.2.3.4:99999", "::1:80", "unix:", "x:1"}) {
    SCOPED_TRACE(text);
    EXPECT_FALSE(SocketAddress::Parse(text).ok());
  }
}

TEST(Listen, GivesAPortAndAcceptsOnlyWhoIsThere) {
  const auto any = SocketAddress::Parse("127.0.0.1:0").value();
  const Fd listener = Listen(any, {.defer_accept = false}).value();
  EXPECT_FALSE(Accept(listener).value().has_value());
  const auto address = SocketAddress::Of(listener).value();
  EXPECT_NE(address.port(), 0);
  const Fd client = Connect(address, SOCK_STREAM).value();
  const auto accepted = Accept(listener).value();
  ASSERT_TRUE(accepted.has_value());
  EXPECT_EQ(accepted->peer.ip_text(), "127.0.0.1");
  EXPECT_FALSE(Listen(address, {}).ok()) << "the port is taken";
}

TEST(Descriptors, ArriveBesideTheirMessage) {
  const Pair pair = NewSocketPair(SOCK_SEQPACKET).value();
  EXPECT_FALSE(ReceiveMessage(pair.theirs, 64).value().has_value());
  const Fd memory = NewSharedMemory("test", 4096).value();
  const int number = memory.get();
  ASSERT_TRUE(SendDescriptors(pair.ours, "hello", {&number, 1}).ok());
  auto message = ReceiveMessage(pair.theirs, 64).value();
  ASSERT_TRUE(message.has_value());
  EXPECT_EQ(message->bytes, "hello");
  ASSERT_EQ(message->descriptors.size(), 1U);
  EXPECT_TRUE(Mapping::Share(message->descriptors[0], 4096).ok());
  EXPECT_FALSE(Mapping::Share(message->descriptors[0], 8192).ok()) << "longer than the memory";
}

TEST(OpenTemporary, HoldsWhatIsWrittenAndLeavesNoName) {
  const Fd file = OpenTemporary(::testing::TempDir()).value();
  ASSERT_TRUE(WriteAt(file, "world", 5).ok());
  ASSERT_TRUE(WriteAt(file, "hello", 0).ok());
  EXPECT_EQ(ReadAt(file, 100, 0).value(), "helloworld");
  EXPECT_EQ(ReadAt(file, 100, 8).value(), "ld");
  EXPECT_EQ(ReadAt(file, 100, 80).value(), "");
  std::string buffer(5, ' ');
  ASSERT_TRUE(ReadExactly(file, buffer, 5).ok());
  EXPECT_EQ(buffer, "world");
  EXPECT_FALSE(ReadExactly(file, buffer, 6).ok());
}

TEST(LockFile, IsHeldByOne) {
  const std::string path = ::testing::TempDir() + "/onebox_lock_test";
  const Fd first = LockFile(path).value();
  EXPECT_FALSE(LockFile(path).ok());
  RemoveFile(path);
}

}  // namespace
}  // namespace onebox::os
