#include "os/file_watch.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "os/file.h"
#include "os/machine.h"
#include "os/poll.h"

namespace onebox::os {
namespace {

namespace fs = std::filesystem;
using Depth = FileWatch::Depth;
using testing::Contains;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

class FileWatchTest : public testing::Test {
 protected:
  FileWatchTest() {
    std::string pattern = (fs::temp_directory_path() / "onebox-watch-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    fs::create_directories(root_ / "app/deep");
    Write("app/old.py");
    watch_.emplace(FileWatch::Open([](const std::string& folder) {
                     return fs::path(folder).filename() != "left_out";
                   }).value());
    EXPECT_TRUE(watch_->Add(root_ / "app", Depth::kTree).ok());
  }
  ~FileWatchTest() override { fs::remove_all(root_); }

  void Write(const std::string& name) const { std::ofstream(root_ / name) << "text"; }

  // All that is told until `mark`, which is written now, comes: names below the root.
  std::set<std::string> Told(const std::string& mark = "app/mark") {
    Write(mark);
    std::set<std::string> told;
    while (told.count(mark) == 0) {
      const int wanted[] = {watch_->fd().get()};
      if (WaitReadable(wanted, std::chrono::seconds(10)).empty()) {
        ADD_FAILURE() << "nothing more is told";
        return told;
      }
      const FileWatch::Changes changes = watch_->Take();
      lost_ = lost_ || changes.lost;
      if (!changes.watched_all.ok()) problem_ = changes.watched_all.error();
      for (const std::string& path : changes.paths) {
        told.insert(path.substr(root_.string().size() + 1));
      }
    }
    told.erase(mark);
    return told;
  }

  fs::path root_;
  std::optional<FileWatch> watch_;
  bool lost_ = false;
  Error problem_;
};

TEST_F(FileWatchTest, TellsWhatHasChanged) {
  const struct {
    const char* why;
    std::function<void()> change;
    std::set<std::string> told;
  } cases[] = {
      {"nothing", [] {}, {}},
      {"a new file", [this] { Write("app/new.py"); }, {"app/new.py"}},
      {"one that was there", [this] { Write("app/old.py"); }, {"app/old.py"}},
      {"deep below", [this] { Write("app/deep/x.py"); }, {"app/deep/x.py"}},
      {"an editor's rename over the file",
       [this] {
         Write("app/old.tmp");
         fs::rename(root_ / "app/old.tmp", root_ / "app/old.py");
       },
       {"app/old.tmp", "app/old.py"}},
      {"a file that comes from elsewhere",
       [this] {
         Write("elsewhere.py");
         fs::rename(root_ / "elsewhere.py", root_ / "app/here.py");
       },
       {"app/here.py"}},
      {"a link", [this] { fs::create_symlink("old.py", root_ / "app/link.py"); }, {"app/link.py"}},
      {"a second name",
       [this] { fs::create_hard_link(root_ / "app/old.py", root_ / "app/second.py"); },
       {"app/second.py"}},
      {"a file that goes", [this] { fs::remove(root_ / "app/old.py"); }, {"app/old.py"}},
      {"what is beside the tree", [this] { Write("beside.py"); }, {}},
      {"what is read alone", [this] { (void)ReadFile(root_ / "app/deep/x.py", 10); }, {}},
      {"a file that is not there yet when it is looked for",
       [this] { fs::create_directory(root_ / "app/empty"); },
       {}},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.why);
    one.change();
    EXPECT_EQ(Told(), one.told);
  }
}

TEST_F(FileWatchTest, WatchesFoldersThatCome) {
  fs::create_directories(root_ / "app/a/b/c");
  Write("app/a/b/c/x.py");
  EXPECT_THAT(Told(), Contains("app/a/b/c/x.py")) << "whether it came before the watch or after it";
  Write("app/a/b/y.py");
  EXPECT_THAT(Told(), UnorderedElementsAre("app/a/b/y.py"));
  fs::create_directories(root_ / "whole/below");
  Write("whole/below/z.py");
  fs::rename(root_ / "whole", root_ / "app/whole");
  EXPECT_THAT(Told(), UnorderedElementsAre("app/whole/below/z.py")) << "it brings what is in it";
}

TEST_F(FileWatchTest, FollowsFoldersThatAreRenamed) {
  fs::rename(root_ / "app/deep", root_ / "app/deeper");
  EXPECT_THAT(Told(), UnorderedElementsAre("app/deep/"));
  Write("app/deeper/x.py");
  EXPECT_THAT(Told(), UnorderedElementsAre("app/deeper/x.py")) << "by its name of now";
  fs::rename(root_ / "app/deeper", root_ / "away");
  EXPECT_THAT(Told(), UnorderedElementsAre("app/deeper/"));
  Write("away/y.py");
  EXPECT_THAT(Told(), IsEmpty()) << "what has left the tree";
  fs::rename(root_ / "away", root_ / "app/deep");
  EXPECT_THAT(Told(), UnorderedElementsAre("app/deep/x.py", "app/deep/y.py"));
  Write("app/deep/y.py");
  EXPECT_THAT(Told(), UnorderedElementsAre("app/deep/y.py"));
}

TEST_F(FileWatchTest, ForgetsFoldersThatAreRemoved) {
  Write("app/deep/x.py");
  (void)Told();
  const std::size_t before = watch_->folders();
  fs::remove_all(root_ / "app/deep");
  EXPECT_THAT(Told(), UnorderedElementsAre("app/deep/x.py"));
  EXPECT_EQ(watch_->folders(), before - 1);
  fs::create_directory(root_ / "app/deep");
  Write("app/deep/x.py");
  EXPECT_THAT(Told(), Contains("app/deep/x.py"));
}

TEST_F(FileWatchTest, LeavesOutWhatIsNotToBeEntered) {
  fs::create_directories(root_ / "app/left_out/below");
  EXPECT_THAT(Told(), IsEmpty());
  Write("app/left_out/x.py");
  Write("app/left_out/below/x.py");
  EXPECT_THAT(Told(), IsEmpty());
  fs::rename(root_ / "app/deep", root_ / "app/deep2");
  (void)Told();
  fs::rename(root_ / "app/left_out", root_ / "app/deep");
  EXPECT_THAT(Told(), Contains("app/deep/x.py")) << "under another name it is entered";
  EXPECT_THAT(Told(), Not(Contains("app/left_out/")));
}

TEST_F(FileWatchTest, DoesNotFollowLinksToFolders) {
  fs::create_directory(root_ / "elsewhere");
  fs::create_directory_symlink(root_ / "elsewhere", root_ / "app/link");
  fs::create_directory_symlink(root_ / "app", root_ / "app/deep/round");
  EXPECT_THAT(Told(), UnorderedElementsAre("app/link", "app/deep/round"));
  Write("elsewhere/x.py");
  EXPECT_THAT(Told(), IsEmpty());
}

TEST_F(FileWatchTest, WatchesOneFolderWithoutWhatIsBelow) {
  fs::create_directories(root_ / "etc/below");
  ASSERT_TRUE(watch_->Add(root_ / "etc", Depth::kFolder).ok());
  Write("etc/below/x.toml");
  fs::create_directory(root_ / "etc/new");
  Write("etc/new/x.toml");
  Write("etc/onebox.toml");
  EXPECT_THAT(Told(), UnorderedElementsAre("etc/onebox.toml"));
  ASSERT_TRUE(watch_->Add(root_ / "app", Depth::kFolder).ok());
  Write("app/deep/x.py");
  EXPECT_THAT(Told(), UnorderedElementsAre("app/deep/x.py")) << "a tree stays one";
}

TEST_F(FileWatchTest, KnowsWhetherItHoldsTheFolder) {
  ASSERT_TRUE(watch_->Add(root_, Depth::kFolder).ok());  // the marks come from here
  EXPECT_TRUE(watch_->Holds(root_ / "app"));
  fs::rename(root_ / "app", root_ / "before");
  EXPECT_THAT(Told("mark"), IsEmpty()) << "its parent is watched for itself";
  EXPECT_FALSE(watch_->Holds(root_ / "app"));
  EXPECT_EQ(watch_->folders(), 1U);
  const Status missing = watch_->Add(root_ / "app", Depth::kTree);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().system_error, ENOENT);
  fs::rename(root_ / "before", root_ / "app");
  ASSERT_TRUE(watch_->Add(root_ / "app", Depth::kTree).ok());
  Write("app/deep/x.py");
  EXPECT_THAT(Told("mark"), UnorderedElementsAre("app/deep/x.py"));
  fs::remove_all(root_ / "app");
  (void)Told("mark");
  EXPECT_FALSE(watch_->Holds(root_ / "app"));
}

TEST_F(FileWatchTest, SaysWhenMoreHasHappenedThanTheKernelKeeps) {
  const auto kept = ReadKernelFile("/proc/sys/fs/inotify/max_queued_events", 100);
  ASSERT_TRUE(kept.ok());
  const int count = std::stoi(kept.value());
  for (int i = 0; i <= count / 4; ++i) {  // four changes
    fs::rename(root_ / "app/old.py", root_ / "app/new.py");
    fs::rename(root_ / "app/new.py", root_ / "app/old.py");
  }
  const int wanted[] = {watch_->fd().get()};
  while (!lost_ && !WaitReadable(wanted, Duration()).empty()) {
    const FileWatch::Changes changes = watch_->Take();
    lost_ = changes.lost;
    EXPECT_LE(changes.paths.size(), 4096U) << "a part at a time";
  }
  EXPECT_TRUE(lost_);
}

TEST_F(FileWatchTest, HasAMostOfFolders) {
  constexpr std::size_t kMost = 4;
  watch_.emplace(FileWatch::Open([](const std::string&) { return true; }, kMost).value());
  ASSERT_TRUE(watch_->Add(root_ / "app", Depth::kTree).ok());
  for (const char* name : {"app/a", "app/b", "app/c"}) {
    fs::create_directory(root_ / name);
  }
  EXPECT_THAT(Told(), IsEmpty());
  EXPECT_EQ(watch_->folders(), kMost);
  EXPECT_EQ(problem_.system_error, ENOSPC);
  EXPECT_THAT(problem_.message,
              testing::HasSubstr("/app/c is not watched: 4 folders are, which is the most"));
}

TEST(FileWatch, SaysWhichLimitAllowsNoMore) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto opened = FileWatch::Open([](const std::string&) { return true; });
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(opened.ok());
  EXPECT_THAT(opened.error().message, testing::HasSubstr("fs.inotify.max_user_instances"));
}

}  // namespace
}  // namespace onebox::os
