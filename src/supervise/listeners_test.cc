#include "supervise/listeners.h"

#include <filesystem>

#include <gtest/gtest.h>

namespace onebox::supervise {
namespace {

os::SocketAddress At(const std::string& text) {
  return os::SocketAddress::Parse(text).value();
}

class ListenersTest : public testing::Test {
 protected:
  const std::string path_ = testing::TempDir() + "onebox_listeners.sock";
  Listeners listeners_;
};

TEST_F(ListenersTest, OpensEachAddressOnceAndKeepsItsPort) {
  const Addresses first = {{At("127.0.0.1:0"), At("127.0.0.1:0")}, {}};
  ASSERT_TRUE(listeners_.Open(first).ok());
  const auto shown = listeners_.Shown(first);
  ASSERT_EQ(shown.size(), 2U);
  EXPECT_NE(shown[0], shown[1]) << "asked for twice: two of them";
  ASSERT_TRUE(listeners_.Open(first).ok());
  EXPECT_EQ(listeners_.Shown(first), shown);
}

TEST_F(ListenersTest, KeepsWhatIsWantedAndRemovesThePathsOfTheRest) {
  const Addresses both = {{At("127.0.0.1:0"), At("unix:" + path_)}, At("127.0.0.1:0")};
  ASSERT_TRUE(listeners_.Open(both).ok());
  const auto shown = listeners_.Shown(both);
  EXPECT_NE(listeners_.ShownAdmin(both), shown[0]);
  EXPECT_TRUE(std::filesystem::exists(path_));
  const Addresses one = {{At("127.0.0.1:0")}, {}};
  listeners_.Keep(one);
  EXPECT_EQ(listeners_.Shown(one), std::vector(1, shown[0]));
  EXPECT_EQ(listeners_.ShownAdmin(one), "");
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ListenersTest, IsAsItWasWhereOneCannotBeOpened) {
  const Addresses one = {{At("127.0.0.1:0")}, {}};
  ASSERT_TRUE(listeners_.Open(one).ok());
  const std::string taken = listeners_.Shown(one)[0].substr(std::string("http://").size());
  Listeners others;
  const auto opened = others.Open({{At("unix:" + path_), At(taken)}, {}});
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.error().message.find(taken), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ListenersTest, GivesAFrontItsSocketsAndTheAdminsApart) {
  const Addresses all = {{At("127.0.0.1:0"), At("unix:" + path_)}, At("127.0.0.1:0")};
  ASSERT_TRUE(listeners_.Open(all).ok());
  const auto shown = listeners_.Shown(all);
  const std::string admin = listeners_.ShownAdmin(all);
  const auto sockets = listeners_.Take(all);
  ASSERT_EQ(sockets.app.size(), 2U);
  EXPECT_EQ("http://" + os::SocketAddress::Of(sockets.app[0]).value().text(), shown[0]);
  EXPECT_EQ(os::SocketAddress::Of(sockets.app[1]).value().unix_path(), path_);
  EXPECT_EQ("http://" + os::SocketAddress::Of(sockets.admin).value().text(), admin);
  EXPECT_TRUE(std::filesystem::exists(path_)) << "it is the supervisor's to remove";
  std::filesystem::remove(path_);
}

TEST_F(ListenersTest, ServesWhatWasHandedOverAndLeavesItsPath) {
  const Addresses wanted = {{At("unix:" + path_)}, {}};
  os::Fd socket = os::Listen(At("unix:" + path_), {}).value();
  listeners_.Adopt({{.name = "", .address = At("unix:" + path_), .descriptor = socket.Release()}});
  ASSERT_TRUE(listeners_.Open(wanted).ok()) << "it is not bound a second time";
  EXPECT_EQ(listeners_.Shown(wanted), std::vector(1, "unix:" + path_ + " (handed over)"));
  listeners_.Close();
  EXPECT_TRUE(std::filesystem::exists(path_));
  std::filesystem::remove(path_);
}

}  // namespace
}  // namespace onebox::supervise
