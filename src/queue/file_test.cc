// The file: what is made, what is refused at the start, and what a failing disk leaves.
#include <csignal>
#include <ctime>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "queue/schema.h"
#include "queue/store.h"
#include "queue/testing.h"

namespace onebox::queue {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr std::uint64_t kSmallFile = 256 << 10;

NewTask Task(std::string_view payload) {
  return {.queue = "mail", .name = "app.send", .payload = payload};
}

class FileTest : public testing::Test {
 protected:
  std::unique_ptr<Store> Open() { return Store::Open(folder_.file(), limits_).value(); }
  std::string Refusal() {
    const auto opened = Store::Open(folder_.file(), limits_);
    return opened.ok() ? "opened" : opened.error().message;
  }
  void Sql(const char* sql) {
    sqlite3* file = nullptr;
    ASSERT_EQ(sqlite3_open(folder_.file().c_str(), &file), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(file, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sql;
    sqlite3_close(file);
  }
  static std::optional<Error> Put(Store& store, std::string_view payload) {
    const NewTask task = Task(payload);
    const auto put = store.Enqueue({&task, 1}, At(0));
    if (!put.ok()) return put.error();
    EXPECT_TRUE(put.value()[0].ok());
    return std::nullopt;
  }
  static std::size_t CountIn(Store& store) {
    store.CheckInvariants();
    const auto figures = store.Figures(At(1)).value();
    return figures.empty() ? 0 : figures[0].waiting;
  }

  TestFolder folder_;
  Limits limits_;
};

// --- what is made

TEST_F(FileTest, IsItsOwnersAlone) {
  const mode_t before = ::umask(0);
  {
    const auto store = Open();
    Put(*store, "x");
    for (const char* const end : {"", "-wal", "-shm"}) {
      struct stat status {};
      ASSERT_EQ(::stat((folder_.file() + end).c_str(), &status), 0);
      EXPECT_EQ(status.st_mode & 0777, 0600U) << end;
    }
  }
  ::umask(before);
}

TEST_F(FileTest, SaysWhoseItIs) {
  Open().reset();
  const std::string bytes = BytesOf(folder_.file());
  EXPECT_EQ(bytes.substr(68, 4), "ONBQ");
  EXPECT_EQ(bytes.substr(60, 4), std::string("\0\0\0\1", 4));
}

TEST_F(FileTest, WhatWasBegunAndNotCommittedAtTheFirstStartIsMadeAnew) {
  WriteBytes(folder_.file(), "");
  EXPECT_EQ(CountIn(*Open()), 0U);
}

// --- what is refused

TEST_F(FileTest, HasOneOpener) {
  const auto store = Open();
  EXPECT_THAT(Refusal(), HasSubstr("is in use by another broker"));
  EXPECT_EQ(Put(*store, "x"), std::nullopt);
}

TEST_F(FileTest, OfAnotherProgramIsLeftAlone) {
  Sql("CREATE TABLE notes (text); INSERT INTO notes VALUES ('mine')");
  const std::string before = BytesOf(folder_.file());
  EXPECT_THAT(Refusal(), HasSubstr("another program's database"));
  EXPECT_EQ(BytesOf(folder_.file()), before);
}

TEST_F(FileTest, ThatIsNoDatabaseIsLeftAlone) {
  for (const std::string& bytes :
       {std::string("just a text, and no database"), std::string(8192, 'x')}) {
    WriteBytes(folder_.file(), bytes);
    EXPECT_THAT(Refusal(), HasSubstr("is damaged, or no queue of Onebox"));
    EXPECT_EQ(BytesOf(folder_.file()), bytes);
  }
}

TEST_F(FileTest, OfALaterVersionIsLeftAlone) {
  Open().reset();
  Sql("PRAGMA user_version = 2");
  const std::string before = BytesOf(folder_.file());
  EXPECT_THAT(Refusal(),
              AllOf(HasSubstr("of a later Onebox"), HasSubstr("its version is 2, ours 1")));
  EXPECT_EQ(BytesOf(folder_.file()), before);
}

TEST_F(FileTest, WhoseTablesAnotherProgramHasChangedIsRefused) {
  Open().reset();
  Sql("DROP TABLE payload");
  EXPECT_THAT(Refusal(), HasSubstr("was changed by another program"));
}

TEST_F(FileTest, ThatIsAFolderIsRefused) {
  std::filesystem::create_directory(folder_.file());
  EXPECT_THAT(Refusal(), Not("opened"));
}

// Each page in turn is overwritten: the store says so at the start, whichever it is, or the page was
// none that it uses. Nothing begins anew.
TEST_F(FileTest, ThatIsDamagedIsRefusedAndLeftForItsRescue) {
  {
    const auto store = Open();
    const std::string payload(3000, 'p');
    const std::vector<NewTask> tasks(20, Task(payload));
    ASSERT_TRUE(store->Enqueue(tasks, At(0)).ok());
  }
  const std::string whole = BytesOf(folder_.file());
  std::size_t refused = 0;
  for (std::size_t offset = 0; offset < whole.size(); offset += 4096) {
    SCOPED_TRACE(offset / 4096 + 1);
    std::string damaged = whole;
    damaged.replace(offset, 4096, std::string(4096, '\xa5'));
    WriteBytes(folder_.file(), damaged);
    const std::string refusal = Refusal();
    if (refusal != "opened") {
      EXPECT_THAT(refusal, AllOf(HasSubstr("damaged"), HasSubstr(".recover")));
      EXPECT_EQ(BytesOf(folder_.file()), damaged);
      ++refused;
    }
  }
  EXPECT_GE(refused, whole.size() / 4096 - 2) << "leaves hold payloads; all others have a form";
}

// What quick_check does not see: it compares no index with its table.
TEST_F(FileTest, WhoseIndexNamesATaskThatIsNotThereIsAnErrorAndNoCrash) {
  {
    const auto store = Open();
    ASSERT_EQ(Put(*store, "x"), std::nullopt);
    ASSERT_EQ(store->Lease("mail", {.until = At(9)}, At(1)).value().size(), 1U);
  }
  Sql("CREATE TABLE saved AS SELECT * FROM sqlite_schema WHERE name = 'task_running';"
      "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'task_running'");
  Sql("DELETE FROM payload; DELETE FROM task");
  Sql("PRAGMA writable_schema = ON; INSERT INTO sqlite_schema SELECT * FROM saved");
  Sql("DROP TABLE saved");
  const auto store = Open();
  const auto returned = store->ReturnPassed(10, At(99));
  ASSERT_FALSE(returned.ok());
  EXPECT_THAT(returned.error().message, HasSubstr("a task is named and not there"));
}

TEST_F(FileTest, WhoseIdsWouldBeUsedTwiceIsRefused) {
  {
    const auto store = Open();
    ASSERT_EQ(Put(*store, "x"), std::nullopt);
  }
  Sql("UPDATE reserved SET id = 1");
  EXPECT_THAT(Refusal(), HasSubstr("ids that were given are not reserved"));
}

// --- a disk that fails

TEST_F(FileTest, AFullOneRefusesTasksAndGoesOnWhenThereIsRoom) {
  limits_.file_bytes_max = kSmallFile;
  const auto store = Open();
  const std::string payload(20'000, 'p');
  std::size_t put = 0;
  std::optional<Error> error;
  for (; put < 100 && !(error = Put(*store, payload)); ++put) {
  }
  ASSERT_TRUE(error.has_value());
  EXPECT_GT(put, 3U);
  EXPECT_THAT(error->message, HasSubstr("is full"));
  EXPECT_EQ(error->system_error, ENOSPC);
  EXPECT_EQ(error->retry, Retry::kYes);
  EXPECT_EQ(CountIn(*store), put) << "nothing is half done";

  const auto leased = store->Lease("mail", {.limit = 2, .until = At(9)}, At(1)).value();
  for (const Leased& task : leased) {
    const Acknowledgement done{task.held, "", {}};
    ASSERT_EQ(store->Acknowledge({&done, 1}, At(2)).value()[0].outcome, Outcome::kDone);
  }
  EXPECT_EQ(Put(*store, payload), std::nullopt);
  EXPECT_EQ(CountIn(*store), put - 1);
}

TEST_F(FileTest, ThatIsFullUndoesTheWholeBatch) {
  limits_.file_bytes_max = kSmallFile;
  const auto store = Open();
  const std::string payload(20'000, 'p');
  ASSERT_EQ(Put(*store, payload), std::nullopt);
  const std::vector<NewTask> tasks(30, Task(payload));
  EXPECT_FALSE(store->Enqueue(tasks, At(0)).ok());
  EXPECT_EQ(CountIn(*store), 1U);
}

TEST_F(FileTest, ThatFailsInAGroupUndoesTheWholeGroup) {
  limits_.file_bytes_max = kSmallFile;
  const auto store = Open();
  const std::string payload(20'000, 'p');
  ASSERT_TRUE(store->BeginGroup().ok());
  ASSERT_EQ(Put(*store, "in the group"), std::nullopt);
  const std::vector<NewTask> tasks(30, Task(payload));
  EXPECT_FALSE(store->Enqueue(tasks, At(0)).ok());
  const auto after = Put(*store, "too late");
  ASSERT_TRUE(after.has_value());
  EXPECT_THAT(after->message, HasSubstr("is full"));
  EXPECT_FALSE(store->CommitGroup().ok());
  EXPECT_EQ(CountIn(*store), 0U);
  EXPECT_EQ(Put(*store, "x"), std::nullopt);
}

// Every write and sync of an enqueue, a lease and an end fails once, in each way.
TEST_F(FileTest, OnADiskThatFailsAtAnyMomentHasTheWholeOperationOrNothing) {
  const struct {
    TestDisk::At at;
    int code;
    const char* message;
  } cases[] = {{TestDisk::At::kWrite, SQLITE_FULL, "is full"},
               {TestDisk::At::kWrite, SQLITE_IOERR_WRITE, "writing failed"},
               {TestDisk::At::kSync, SQLITE_IOERR_FSYNC, "waiting for the disk failed"}};
  for (const auto& c : cases) {
    TestDisk disk;
    const TestFolder folder;
    const auto store = Store::Open(folder.file(), {}).value();
    std::uint32_t failed = 0;
    for (std::uint32_t after = 0; after < 40; ++after) {
      SCOPED_TRACE(testing::Message() << c.message << " after " << after);
      const std::size_t waiting = CountIn(*store);
      const std::string payload(10'000, 'p');
      disk.Break(c.at, after, c.code);
      const auto error = Put(*store, payload);
      disk.Mend();
      if (error) {
        ++failed;
        EXPECT_THAT(error->message, HasSubstr(c.message));
        EXPECT_EQ(error->retry, Retry::kYes);
      }
      ASSERT_EQ(CountIn(*store), error ? waiting : waiting + 1);
      ASSERT_EQ(Put(*store, payload), std::nullopt) << "it goes on when the disk is well";

      const auto leased = store->Lease("mail", {.limit = 1, .until = At(9)}, At(1)).value();
      const Acknowledgement done{leased[0].held, "", {}};
      disk.Break(c.at, after, c.code);
      const auto ended = store->Acknowledge({&done, 1}, At(2));
      disk.Mend();
      const auto again = store->Acknowledge({&done, 1}, At(2)).value();
      ASSERT_EQ(again[0].outcome, ended.ok() ? Outcome::kNotHeld : Outcome::kDone);
    }
    EXPECT_GT(failed, 0U);
  }
}

// The kernel's own refusal, in a child: SQLite takes it for an I/O error.
TEST_F(FileTest, ThatMayNotGrowIsAnErrorToo) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const auto store = Open();
    const rlimit limit{200'000, 200'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const std::string payload(20'000, 'p');
    std::size_t put = 0;
    std::optional<Error> error;
    for (; put < 100 && !(error = Put(*store, payload)); ++put) {
    }
    const bool clear = error && error->message.find("writing failed") != std::string::npos;
    ::_exit(clear && CountIn(*store) == put ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(FileTest, ThatAnotherProgramHoldsIsAnErrorAndGoesOnAfterwards) {
  const auto store = Open();
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(folder_.file().c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const auto error = Put(*store, "x");
  ASSERT_TRUE(error.has_value());
  EXPECT_THAT(error->message, HasSubstr("is locked by another program"));
  EXPECT_EQ(error->system_error, EBUSY);
  sqlite3_close(other);
  EXPECT_EQ(Put(*store, "x"), std::nullopt);
}

TEST_F(FileTest, CanBeReadByOthersWhileItIsUsed) {
  const auto store = Open();
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(folder_.file().c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN; SELECT * FROM task", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_EQ(Put(*store, "x"), std::nullopt);
  sqlite3_close(other);
}

// --- what is on the disk when a call returns

TEST_F(FileTest, HasOnTheDiskWhatSomebodyIsTold) {
  const TestDisk disk;
  const auto store = Open();
  const auto synced = [&] { return !disk.Unsynced(folder_.file() + "-wal"); };
  const auto lease = [&] {
    return store->Lease("mail", {.limit = 1, .until = At(9)}, At(1)).value().at(0).held;
  };
  for (int i = 0; i < 6; ++i) {
    ASSERT_EQ(Put(*store, "x"), std::nullopt);
  }
  EXPECT_TRUE(synced()) << "new tasks";
  const Acknowledgement done{lease(), "", {}};
  EXPECT_FALSE(synced()) << "a lease is with the kernel alone, and costs no wait";
  ASSERT_TRUE(store->Acknowledge({&done, 1}, At(2)).ok());
  EXPECT_TRUE(synced()) << "the end of one, and all that was before";
  const Failure failure{lease(), "why", std::nullopt};
  ASSERT_TRUE(store->Fail({&failure, 1}, At(2)).ok());
  EXPECT_TRUE(synced()) << "a dead letter";
  (void)lease();
  ASSERT_TRUE(store->RetryDead({&failure.held.id, 1}, At(3)).ok());
  EXPECT_TRUE(synced()) << "a retry";
  (void)lease();
  ASSERT_TRUE(store->Cancel({&failure.held.id, 1}, At(3)).ok());
  EXPECT_TRUE(synced()) << "a cancel";
  (void)lease();
  ASSERT_EQ(store->Purge("mail", 10, At(3)).value(), 1U);
  EXPECT_TRUE(synced()) << "a purge";
  ASSERT_TRUE(store->BeginGroup().ok());
  ASSERT_TRUE(store->SetPaused("mail", QueueFigures::Paused::kYes).ok());
  ASSERT_TRUE(store->CommitGroup().ok());
  EXPECT_TRUE(synced()) << "a group";
}

}  // namespace
}  // namespace onebox::queue
