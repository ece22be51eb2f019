#include "sqlite/testing_disk.h"

#include <gtest/gtest.h>

namespace onebox::sqlite {
namespace {

// The tests on this disk prove nothing where it forgets too much or too little.
TEST(TestDisk, KeepsWhatWasSyncedAndOnlyPartOfTheRest) {
  TestDisk disk;
  TestFolder folder;
  auto database = sqlite3_vfs_find(nullptr);
  EXPECT_STREQ(database->zName, "onebox-test");
  sqlite3* file = nullptr;
  ASSERT_EQ(sqlite3_open(folder.file().c_str(), &file), SQLITE_OK);
  const auto run = [&](const char* sql) {
    return sqlite3_exec(file, sql, nullptr, nullptr, nullptr);
  };
  ASSERT_EQ(run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (x)"),
            SQLITE_OK);
  EXPECT_FALSE(disk.Unsynced(folder.file() + "-wal"));
  ASSERT_EQ(run("PRAGMA synchronous = NORMAL; INSERT INTO t VALUES (1)"), SQLITE_OK);
  EXPECT_TRUE(disk.Unsynced(folder.file() + "-wal"));
  int lost = 0;
  std::mt19937_64 random(1);
  for (int i = 0; i < 20; ++i) {
    disk.LosePower(folder.file(), folder.file() + "2", random);
    sqlite3* other = nullptr;
    ASSERT_EQ(sqlite3_open((folder.file() + "2").c_str(), &other), SQLITE_OK);
    int rows = 0;
    const auto count = [](void* to, int, char** columns, char**) {
      *static_cast<int*>(to) = columns[0][0] - '0';
      return 0;
    };
    ASSERT_EQ(sqlite3_exec(other, "SELECT count(*) FROM t", count, &rows, nullptr), SQLITE_OK);
    if (rows == 0) ++lost;
    sqlite3_close(other);
  }
  EXPECT_GT(lost, 0);
  EXPECT_LT(lost, 20);
  disk.Break(TestDisk::At::kWrite, 0, SQLITE_FULL);
  EXPECT_EQ(run("INSERT INTO t VALUES (2)"), SQLITE_FULL);
  disk.Mend();
  EXPECT_EQ(run("INSERT INTO t VALUES (2)"), SQLITE_OK);
  sqlite3_close(file);
}

}  // namespace
}  // namespace onebox::sqlite
