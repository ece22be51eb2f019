// The jobs' file: what is refused at the start, what a failing disk leaves, and what is on the disk.
#include <cerrno>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "schedule/jobs_schema.h"
#include "schedule/jobs_testing.h"
#include "sqlite/testing_disk.h"

namespace onebox::schedule {
namespace {

using sqlite::BytesOf;
using sqlite::TestDisk;
using sqlite::WriteBytes;
using testing::AllOf;
using testing::HasSubstr;
using testing::SizeIs;

const WallTime kStart = Utc("2026-01-05 00:00:30");
WallTime At(int minute) {
  return Utc("2026-01-05 00:00") + std::chrono::minutes(minute);
}

void Sql(const std::string& path, const char* sql) {
  sqlite3* file = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &file), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(file, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sql;
  sqlite3_close(file);
}

std::string RefusalOf(const std::string& path) {
  const auto opened = Jobs::Open(path, {});
  return opened.ok() ? "opened" : opened.error().message;
}

// --- what is refused

class JobsFile : public testing::Test {
 protected:
  JobsFile() {
    const auto jobs = Jobs::Open(path_, {}).value();
    std::vector<JobSpec> specs;
    for (int i = 0; i < 40; ++i) {
      specs.push_back(Job("job " + std::to_string(i), "1 minute"));
    }
    CHECK(jobs->Declare(Source::kApp, 1, specs, kStart).ok());
    std::int64_t run = 0;
    std::vector<Jobs::Confirmation> confirmed;
    const auto due = jobs->TakeDue(At(5), 30).value();
    for (const Firing& firing : due) {
      confirmed.push_back({firing.fence, ++run});
    }
    CHECK(jobs->Enqueued(confirmed).ok());
  }

  sqlite::TestFolder folder_;
  std::string path_ = folder_.path() / "jobs.db";
};

TEST_F(JobsFile, SaysWhoseItIs) {
  const std::string bytes = BytesOf(path_);
  EXPECT_EQ(bytes.substr(68, 4), "ONBJ");
  EXPECT_EQ(bytes.substr(60, 4), std::string("\0\0\0\1", 4));
}

TEST_F(JobsFile, HasOneOpener) {
  const auto jobs = Jobs::Open(path_, {}).value();
  EXPECT_THAT(RefusalOf(path_), HasSubstr("is in use by another broker"));
}

TEST_F(JobsFile, OfAnotherKindIsLeftAlone) {
  Sql(path_, "PRAGMA application_id = 1");
  const std::string before = BytesOf(path_);
  EXPECT_THAT(RefusalOf(path_),
              HasSubstr("another program's database, not a list of jobs of Onebox"));
  EXPECT_EQ(BytesOf(path_), before);
}

TEST_F(JobsFile, ThatIsDamagedIsRefusedAndLeftForItsRescue) {
  const std::string whole = BytesOf(path_);
  std::size_t refused = 0;
  for (std::size_t offset = 0; offset < whole.size(); offset += 4096) {
    SCOPED_TRACE(offset / 4096 + 1);
    std::string damaged = whole;
    damaged.replace(offset, 4096, std::string(4096, '\xa5'));
    WriteBytes(path_, damaged);
    const std::string refusal = RefusalOf(path_);
    if (refusal == "opened") continue;  // a page that is free
    EXPECT_THAT(refusal,
                AllOf(HasSubstr("damaged"),
                      HasSubstr(".recover"),
                      HasSubstr("begin with an empty list of jobs")));
    EXPECT_EQ(BytesOf(path_), damaged);
    ++refused;
  }
  EXPECT_GE(refused, whole.size() / 4096 - 2);
}

TEST_F(JobsFile, ThatContradictsItselfIsRefused) {
  const std::string whole = BytesOf(path_);
  for (const char* const sql : {"UPDATE job SET overlap = 9 WHERE id = 3",
                                "UPDATE job SET trigger_kind = 9 WHERE id = 3",
                                "UPDATE job SET name = '' WHERE id = 3",
                                "UPDATE run SET job = 99 WHERE id = 3",
                                "DELETE FROM fence",
                                "INSERT INTO pending VALUES (99, 1, 0, 0)",
                                "INSERT INTO pending VALUES (1, 99, 0, 0)"}) {
    SCOPED_TRACE(sql);
    WriteBytes(path_, whole);
    Sql(path_, sql);
    EXPECT_THAT(RefusalOf(path_), HasSubstr("is damaged, or no list of jobs of Onebox"));
  }
}

// As after an upgrade of the time zone database.
TEST_F(JobsFile, WithATriggerThatCannotBeReadAnyMoreIsOpenedAndSaysSo) {
  Sql(path_, "UPDATE job SET zone = 'Europe/Atlantis' WHERE name = 'job 7'");
  const auto jobs = Jobs::Open(path_, {}).value();
  const auto list = jobs->List("job 6", 1).value();
  EXPECT_EQ(list[0].job->name, "job 7");
  EXPECT_THAT(list[0].error, HasSubstr("Europe/Atlantis"));
  EXPECT_EQ(list[0].next, std::nullopt);
  EXPECT_THAT(jobs->TakeDue(At(5), 100).value(), SizeIs(10)) << "all others fire";
}

// --- a disk that fails

// Each write and sync of each step fails once. The step gives an Error and has done nothing, here or in
// the file, and can be done again.
TEST(JobsDisk, ThatFailsAtAnyMomentHasTheWholeStepOrNothing) {
  const struct {
    TestDisk::At at;
    int code;
  } cases[] = {{TestDisk::At::kWrite, SQLITE_FULL}, {TestDisk::At::kSync, SQLITE_IOERR_FSYNC}};
  for (const auto& c : cases) {
    TestDisk disk;
    TestBox box;
    std::uint32_t failed = 0;
    const auto until_it_works = [&](const auto& step) {
      for (std::uint32_t after = 0; after < 3; ++after) {
        const auto before = box.History();
        const auto status = box.StatusOf("a");
        disk.Break(c.at, after, c.code);
        const bool ok = step();
        disk.Mend();
        if (ok) return;
        ++failed;
        EXPECT_EQ(box.History(), before);
        EXPECT_EQ(box.StatusOf("a").next, status.next);
        EXPECT_EQ(box.StatusOf("a").pending, status.pending);
      }
      ASSERT_TRUE(step());
    };
    box.Declare({Job("a", "1 minute", Overlap::kQueue)}, kStart);
    for (int minute = 1; minute < 6; ++minute) {
      std::vector<Firing> due;
      until_it_works([&] {
        auto taken = box.jobs().TakeDue(At(minute), 10);
        if (taken.ok()) due = std::move(taken).value();
        return taken.ok();
      });
      ASSERT_THAT(due, SizeIs(1));
      const Jobs::Confirmation confirmed{due[0].fence, minute};
      until_it_works([&] { return box.jobs().Enqueued({&confirmed, 1}).ok(); });
      until_it_works([&] { return box.jobs().Begun(minute, 1, At(minute)).ok(); });
      until_it_works(
          [&] { return box.jobs().Ended(minute, RunState::kDone, "", At(minute)).ok(); });
    }
    EXPECT_GT(failed, 5U);
    const auto before = box.History();
    EXPECT_THAT(before, SizeIs(5));
    box.Reopen();
    EXPECT_EQ(box.History(), before);
  }
}

// --- what is on the disk when a call returns

TEST(JobsDisk, HasWhatIsGivenOutAndWhatIsConfirmed) {
  const TestDisk disk;
  TestBox box;
  const auto synced = [&] { return !disk.Unsynced(box.path() + "-wal"); };
  box.Declare({Job("a", "1 minute")}, kStart);
  EXPECT_TRUE(synced()) << "a declaration";
  const auto due = box.Take(At(1));
  EXPECT_TRUE(synced()) << "a firing that is given out";
  const RunId run = box.Enqueue(due)[0];
  EXPECT_TRUE(synced()) << "a firing that is in the queue";
  ASSERT_TRUE(box.jobs().Begun(run, 1, At(1)).ok());
  EXPECT_FALSE(synced()) << "a begin, which waits for nothing";
  (void)box.jobs().RunNow("a", At(1)).ok();
  (void)box.Take(At(2));
  EXPECT_FALSE(synced()) << "a firing that is skipped";
  ASSERT_TRUE(box.jobs().Pause("a", At(2)).ok());
  EXPECT_TRUE(synced()) << "a pause, and all that was before";
  box.End(run, At(2));
  ASSERT_TRUE(box.jobs().Resume("a", At(2)).ok());
  EXPECT_TRUE(synced()) << "a job that is resumed";
  ASSERT_TRUE(box.jobs().RunNow("a", At(2)).ok());
  EXPECT_TRUE(synced()) << "a run by hand";
}

// --- what the statements cost

std::string PlanOf(sqlite3* file, const std::string& sql) {
  std::string plan;
  const auto add = [](void* to, int, char** columns, char**) {
    *static_cast<std::string*>(to) += std::string(columns[3]) + '\n';
    return 0;
  };
  EXPECT_EQ(sqlite3_exec(file, ("EXPLAIN QUERY PLAN " + sql).c_str(), add, &plan, nullptr),
            SQLITE_OK)
      << sql << sqlite3_errmsg(file);
  return plan;
}

TEST_F(JobsFile, IsReadByAKeyOrAnIndexInOrder) {
  sqlite3* file = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &file), SQLITE_OK);
  std::vector<std::string> scans;
  const auto texts = Statements::Texts();
  for (const std::string& sql : texts) {
    const std::string plan = PlanOf(file, sql);
    EXPECT_THAT(plan, testing::Not(HasSubstr("TEMP B-TREE"))) << sql;
    if (plan.find("SCAN") != std::string::npos) scans.push_back(plan);
  }
  // At the start; a table of one row; all jobs' history from its end.
  EXPECT_THAT(scans,
              testing::ElementsAre("SCAN job\n",
                                   "SCAN pending\n",
                                   "SCAN run USING INDEX run_unended\n",
                                   "SCAN run USING COVERING INDEX run_of_job\n",
                                   "SCAN fence\n",
                                   "SCAN fence\n",
                                   "SCAN run\n"));
  sqlite3_close(file);
}

}  // namespace
}  // namespace onebox::schedule
