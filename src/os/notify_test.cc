#include "os/notify.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "os/file.h"

namespace onebox::os {
namespace {

// What a service manager has: a datagram socket with that name.
Fd Manager(const std::string& name) {
  const auto address = SocketAddress::Parse("unix:" + name).value();
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::bind(socket.get(), address.raw(), address.size()), 0);
  return socket;
}

TEST(NotifySocket, SendsToAPathAndToAnAbstractName) {
  const std::string path = testing::TempDir() + "notify_test.sock";
  for (const std::string& name : {path, "@onebox-notify-" + std::to_string(::getpid())}) {
    SCOPED_TRACE(name);
    RemoveFile(path);
    const Fd manager = Manager(name);
    const auto socket = NotifySocket::Open(name);
    ASSERT_TRUE(socket.ok()) << socket.error().message;
    ASSERT_TRUE(socket.value().Send("READY=1").ok());
    ASSERT_TRUE(socket.value().Send("STATUS=well\nWATCHDOG=1").ok());
    EXPECT_EQ(ReceiveMessage(manager, 100).value()->bytes, "READY=1");
    EXPECT_EQ(ReceiveMessage(manager, 100).value()->bytes, "STATUS=well\nWATCHDOG=1");
  }
  RemoveFile(path);
}

TEST(NotifySocket, TellsThatNobodyIsThere) {
  const auto socket = NotifySocket::Open("/nowhere/at/all");
  ASSERT_TRUE(socket.ok());
  const Status sent = socket.value().Send("READY=1");
  ASSERT_FALSE(sent.ok());
  EXPECT_EQ(sent.error().message, "notify unix:/nowhere/at/all: No such file or directory");
}

TEST(NotifySocket, RefusesANameThatIsNone) {
  for (const char* name : {"", "relative", "vsock:2:1234"}) {
    SCOPED_TRACE(name);
    EXPECT_FALSE(NotifySocket::Open(name).ok());
  }
}

TEST(NotifySocket, DoesNotWaitForAManagerThatReadsNothing) {
  const std::string name = "@onebox-notify-full-" + std::to_string(::getpid());
  const Fd manager = Manager(name);
  const auto socket = NotifySocket::Open(name);
  ASSERT_TRUE(socket.ok());
  int sent = 0;
  while (sent < 100'000 && socket.value().Send("STATUS=again").ok())
    ++sent;
  EXPECT_LT(sent, 100'000);
}

}  // namespace
}  // namespace onebox::os
