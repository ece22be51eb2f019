#include "supervise/app_watch.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "os/file.h"
#include "os/machine.h"
#include "os/poll.h"

namespace onebox::supervise {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using testing::HasSubstr;

TEST(MattersToApp, IsCodeTemplatesAndSettings) {
  const struct {
    std::string_view path;
    bool matters;
  } cases[] = {
      {"app.py", true},
      {"/srv/shop/views/cart.py", true},
      {"speed.cpython-311-x86_64-linux-gnu.so", true},
      {"templates/index.html", true},
      {"templates/mail.jinja2", true},
      {"onebox.toml", true},
      {"settings.yaml", true},
      {"prices.json", true},
      {".env", true},
      {".env.local", true},
      {".flaskenv", true},
      {"shop.env", true},
      {"/srv/shop/views/", true},
      {"app.pyc", false},
      {"app.py~", false},
      {".app.py.swp", false},
      {".#app.py", false},
      {"#app.py#", false},
      {"4913", false},
      {"app.log", false},
      {"shop.db", false},
      {"shop.sqlite3-journal", false},
      {"notes.txt", false},
      {".py", false},
      {".environment", false},
      {"static/site.css", false},
      {"", false},
  };
  for (const auto& one : cases) {
    EXPECT_EQ(MattersToApp(one.path), one.matters) << one.path;
  }
}

TEST(MayHoldApp, IsNoHiddenFolderAndNoneOfOthers) {
  for (const std::string_view path : {"/srv/shop", "/srv/shop/views", "/srv/.hidden/views"}) {
    EXPECT_TRUE(MayHoldApp(path)) << path;
  }
  for (const std::string_view path :
       {"/srv/shop/.git", "/srv/__pycache__", "/srv/node_modules", "/srv/.venv"}) {
    EXPECT_FALSE(MayHoldApp(path)) << path;
  }
}

TEST(Changed, IsDueWhenNothingMoreHasComeForAWhile) {
  FakeClock clock;
  Changed changed;
  EXPECT_EQ(changed.due(), Time::max());
  changed.Add("shop.py", clock.Now());
  EXPECT_EQ(changed.due(), clock.Now() + Changed::kQuiet);
  clock.Advance(milliseconds(80));
  changed.Add("cart.py", clock.Now());
  changed.Add("shop.py", clock.Now());
  EXPECT_EQ(changed.due(), clock.Now() + Changed::kQuiet) << "put off";
  EXPECT_EQ(changed.Take(), "shop.py and 1 other have changed");
  EXPECT_EQ(changed.due(), Time::max());
  changed.Add("cart.py", clock.Now());
  EXPECT_EQ(changed.Take(), "cart.py has changed");
}

TEST(Changed, DoesNotWaitForEver) {
  FakeClock clock;
  const Time began = clock.Now();
  Changed changed;
  int count = 0;
  for (; clock.Now() < changed.due(); clock.Advance(milliseconds(10))) {
    changed.Add(std::to_string(count++), clock.Now());
  }
  EXPECT_EQ(clock.Now(), began + Changed::kWaitMax);
  EXPECT_EQ(changed.Take(), "0 and 99 others have changed");
}

TEST(Changed, CountsSoManyPathsAndNoMore) {
  Changed changed;
  for (std::size_t i = 0; i < 2 * Changed::kPathsMax; ++i) {
    changed.Add(std::to_string(i), Time());
  }
  EXPECT_EQ(changed.Take(), "0 and 999 others have changed");
}

class AppWatchTest : public testing::Test {
 protected:
  AppWatchTest() {
    std::string pattern = (fs::temp_directory_path() / "onebox-app-watch-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    for (const char* folder : {"app/views", "app/.git", "app/venv/lib", "app/static", "etc"}) {
      fs::create_directories(root_ / folder);
    }
    Write("app/venv/pyvenv.cfg");
    log_ = telemetry::Log::Open(clock_, {.role = "test", .path = root_ / "error.log"}).value();
    watch_.emplace(clock_, *log_);
    settings_ = {.on = true,
                 .folder = root_ / "app",
                 .files = {root_ / "etc/onebox.toml", root_ / "app/words.txt"},
                 .ignored = {root_ / "app/static", root_ / "nowhere"}};
  }
  ~AppWatchTest() override { fs::remove_all(root_); }

  void Write(const std::string& name) const { std::ofstream(root_ / name) << "text"; }
  std::string LogText() const { return os::ReadFile(root_ / "error.log", 1 << 20).value(); }

  // What has changed once it has come to rest; empty where nothing has.
  std::string Due() {
    const int wanted[] = {watch_->fd()};
    while (watch_->fd() >= 0 && !os::WaitReadable(wanted, Duration()).empty()) {
      watch_->Read();
    }
    clock_.Advance(Changed::kWaitMax);
    return watch_->TakeDue().value_or("");
  }

  FakeClock clock_;
  fs::path root_;
  std::unique_ptr<telemetry::Log> log_;
  WatchSettings settings_;
  std::optional<AppWatch> watch_;
};

TEST_F(AppWatchTest, TellsOfWhatMattersAlone) {
  watch_->Follow(settings_);
  const struct {
    const char* path;
    const char* told;
  } cases[] = {
      {"app/shop.py", "shop.py has changed"},
      {"app/views/cart.py", "views/cart.py has changed"},
      {"app/.env", ".env has changed"},
      {"app/words.txt", "words.txt has changed"},
      {"app/other.txt", ""},
      {"app/.git/config.json", ""},
      {"app/venv/lib/site.py", ""},
      {"app/static/page.html", ""},
      {"etc/other.toml", ""},
  };
  for (const auto& one : cases) {
    Write(one.path);
    EXPECT_EQ(Due(), one.told) << one.path;
  }
  Write("etc/onebox.toml");
  EXPECT_EQ(Due(), (root_ / "etc/onebox.toml").string() + " has changed");
  fs::create_directories(root_ / "app/new/venv");
  Write("app/new/x.py");
  EXPECT_EQ(Due(), "new/x.py has changed");
  EXPECT_EQ(LogText(), "");
}

TEST_F(AppWatchTest, TellsNothingWhereItIsOff) {
  watch_->Follow({});
  EXPECT_EQ(watch_->fd(), -1);
  EXPECT_EQ(watch_->next(), Time::max());
  watch_->Follow(settings_);
  EXPECT_GE(watch_->fd(), 0);
  settings_.on = false;
  watch_->Follow(settings_);
  EXPECT_EQ(watch_->fd(), -1);
  EXPECT_EQ(Due(), "");
}

TEST_F(AppWatchTest, SeesThroughALinkToTheAppsFolder) {
  fs::create_directory_symlink(root_ / "app", root_ / "current");
  settings_.folder = root_ / "current";
  settings_.ignored = {root_ / "current/static"};
  watch_->Follow(settings_);
  Write("app/shop.py");
  Write("app/static/page.html");
  EXPECT_EQ(Due(), "shop.py has changed");
}

TEST_F(AppWatchTest, KeepsWhatItHasWhereNothingIsSaidAnew) {
  watch_->Follow(settings_);
  Write("app/shop.py");
  watch_->Follow(settings_);
  EXPECT_EQ(Due(), "shop.py has changed");
  settings_.ignored.push_back(root_ / "app/views");
  watch_->Follow(settings_);
  Write("app/views/cart.py");
  EXPECT_EQ(Due(), "");
}

TEST_F(AppWatchTest, WaitsForAFolderThatIsGone) {
  watch_->Follow(settings_);
  fs::rename(root_ / "app", root_ / "before");
  EXPECT_EQ(Due(), "");
  EXPECT_EQ(Due(), "");
  const std::string log = LogText();
  EXPECT_THAT(log, HasSubstr("No such file or directory; it is waited for"));
  EXPECT_EQ(log.find("waited"), log.rfind("waited")) << "once is enough";
  fs::rename(root_ / "before", root_ / "app");
  EXPECT_EQ(watch_->next(), clock_.Now() + std::chrono::seconds(1));
  EXPECT_EQ(Due(), "");
  EXPECT_EQ(Due(), (root_ / "app").string() + " has changed");
  Write("app/views/cart.py");
  EXPECT_EQ(Due(), "views/cart.py has changed");
}

TEST_F(AppWatchTest, LooksAnewWhereTooMuchHasChanged) {
  watch_->Follow(settings_);
  const int most =
      std::stoi(os::ReadKernelFile("/proc/sys/fs/inotify/max_queued_events", 100).value());
  Write("app/one.log");
  for (int i = 0; i <= most / 4; ++i) {  // four changes
    fs::rename(root_ / "app/one.log", root_ / "app/two.log");
    fs::rename(root_ / "app/two.log", root_ / "app/one.log");
  }
  fs::create_directory(root_ / "app/unseen");
  EXPECT_EQ(Due(), (root_ / "app").string() + " has changed");
  EXPECT_THAT(LogText(), HasSubstr("more has changed at once than the kernel keeps"));
  Write("app/unseen/x.py");
  EXPECT_EQ(Due(), "unseen/x.py has changed");
}

}  // namespace
}  // namespace onebox::supervise
