#include "os/privileges.h"

#include <csignal>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"
#include "os/poll.h"
#include "os/process.h"
#include "os/socket.h"

namespace onebox::os {
namespace {

using testing::HasSubstr;

TEST(FindUser, KnowsNamesAndNumbers) {
  const auto root = FindUser("root", "");
  ASSERT_TRUE(root.ok()) << root.error().message;
  EXPECT_EQ(root.value().id, 0U);
  EXPECT_EQ(root.value().home, "/root");
  const auto nobody = FindUser("65534", "");
  ASSERT_TRUE(nobody.ok());
  EXPECT_EQ(nobody.value().name, "nobody");
  EXPECT_EQ(nobody.value().groups, std::vector<gid_t>{65534});
  const auto grouped = FindUser("nobody", "daemon");
  ASSERT_TRUE(grouped.ok());
  EXPECT_EQ(grouped.value().group, 1U);
  const auto nameless = FindUser("77777", "88888");
  ASSERT_TRUE(nameless.ok()) << nameless.error().message;
  EXPECT_EQ(nameless.value().id, 77777U);
  EXPECT_EQ(nameless.value().groups, std::vector<gid_t>{88888});
}

TEST(FindUser, RefusesWhatIsNone) {
  EXPECT_THAT(FindUser("not-there", "").error().message, HasSubstr("no user \"not-there\""));
  EXPECT_THAT(FindUser("nobody", "not-there").error().message, HasSubstr("no group"));
  EXPECT_THAT(FindUser("77777", "").error().message, HasSubstr("give a group"));
  EXPECT_FALSE(FindUser("4294967295", "0").ok()) << "nobody at all";
}

// What a child that has been confined sees of itself.
std::string StatusOf(const Confinement& confinement) {
  auto spawned = Spawn({.words = {"cat", "/proc/self/status"},
                        .environment = {{"PATH", "/usr/bin:/bin"}},
                        .confinement = confinement});
  EXPECT_TRUE(spawned.ok()) << spawned.error().message;
  std::string text;
  const int wanted[] = {spawned.value().output.get()};
  while (!WaitReadable(wanted, std::chrono::seconds(20)).empty()) {
    const std::string more = ReadAvailable(spawned.value().output);
    if (more.empty()) break;
    text += more;
  }
  return text;
}

TEST(Confine, ForbidsNewPrivilegesIfAsked) {
  EXPECT_THAT(StatusOf({}), HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(StatusOf({.no_new_privileges = false}), HasSubstr("NoNewPrivs:\t0"));
}

TEST(Confine, SetsTheUmask) {
  EXPECT_THAT(StatusOf({.umask = 0027}), HasSubstr("Umask:\t0027"));
}

TEST(Confine, MakesRootAnotherUserWithoutPrivileges) {
  const Confinement confinement{.user = FindUser("nobody", "daemon").value()};
  if (OurUser() != 0) {  // nobody but root can; then it says so
    const auto spawned = Spawn({.words = {"true"}, .environment = {}, .confinement = confinement});
    ASSERT_FALSE(spawned.ok());
    EXPECT_THAT(spawned.error().message, HasSubstr("becoming the app's user"));
    return;
  }
  const std::string status = StatusOf(confinement);
  for (const char* line : {"Uid:\t65534\t65534\t65534\t65534",
                           "Gid:\t1\t1\t1\t1",
                           "CapInh:\t0000000000000000",
                           "CapPrm:\t0000000000000000",
                           "CapEff:\t0000000000000000",
                           "CapBnd:\t0000000000000000",
                           "CapAmb:\t0000000000000000"}) {
    EXPECT_THAT(status, HasSubstr(line));
  }
}

TEST(MakeFileFor, GivesANewFileAwayAndLeavesWhatIsThere) {
  const std::string path = testing::TempDir() + "privileges_test.log";
  RemoveFile(path);
  User user = FindUser("nobody", "").value();
  if (OurUser() != 0) user = {.id = ::getuid(), .group = ::getgid()};
  ASSERT_TRUE(MakeFileFor(user, path).ok());
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, user.id);
  EXPECT_EQ(status.st_mode & 0777U, 0640U);
  RemoveFile(path);
  const std::string other = path + ".other";
  ASSERT_TRUE(OpenForAppend(other).ok());
  std::filesystem::create_symlink(other, path);
  ASSERT_TRUE(MakeFileFor(user, path).ok());
  ASSERT_EQ(::stat(other.c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, ::getuid()) << "a link does not give away what it names";
  RemoveFile(path);
  RemoveFile(other);
}

}  // namespace
}  // namespace onebox::os
