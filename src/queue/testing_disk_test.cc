// The disk of the tests. It is no part of the room, and its calls are forwarded one by one.
#include "queue/testing_disk.h"

#include <cstring>

#include <gtest/gtest.h>

#include "base/check.h"
#include "queue/testing.h"

namespace onebox::queue {

namespace {
TestDisk* present = nullptr;
sqlite3_vfs* real_vfs = nullptr;
}  // namespace

struct TestDisk::File {
  sqlite3_file base;
  Content* content;  // null: a file whose fate nobody asks for
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

struct TestDisk::Calls {
  static File* Of(sqlite3_file* file) { return reinterpret_cast<File*>(file); }
  static const sqlite3_io_methods* RealOf(sqlite3_file* file) { return Of(file)->real()->pMethods; }

  static int Close(sqlite3_file* f) { return RealOf(f)->xClose(Of(f)->real()); }
  static int Read(sqlite3_file* f, void* to, int size, sqlite3_int64 offset) {
    return RealOf(f)->xRead(Of(f)->real(), to, size, offset);
  }
  static int DoWrite(sqlite3_file* f, const void* from, int size, sqlite3_int64 offset) {
    if (const int code = present->Failure(At::kWrite); code != SQLITE_OK) return code;
    if (Content* const content = Of(f)->content) {
      content->since.push_back(
          {static_cast<std::size_t>(offset),
           std::string(static_cast<const char*>(from), static_cast<std::size_t>(size))});
    }
    return RealOf(f)->xWrite(Of(f)->real(), from, size, offset);
  }
  static int Truncate(sqlite3_file* f, sqlite3_int64 size) {
    if (Content* const content = Of(f)->content) {
      content->since.push_back({static_cast<std::size_t>(size), "", Write::Kind::kTruncate});
    }
    return RealOf(f)->xTruncate(Of(f)->real(), size);
  }
  static int Sync(sqlite3_file* f, int) {  // no test needs the real disk to have it
    if (const int code = present->Failure(At::kSync); code != SQLITE_OK) return code;
    if (Content* const content = Of(f)->content) {
      for (const Write& write : content->since) {
        Apply(content->synced, write);
      }
      content->since.clear();
    }
    return SQLITE_OK;
  }
  static int FileSize(sqlite3_file* f, sqlite3_int64* size) {
    return RealOf(f)->xFileSize(Of(f)->real(), size);
  }
  static int Lock(sqlite3_file* f, int lock) { return RealOf(f)->xLock(Of(f)->real(), lock); }
  static int Unlock(sqlite3_file* f, int lock) { return RealOf(f)->xUnlock(Of(f)->real(), lock); }
  static int CheckReservedLock(sqlite3_file* f, int* out) {
    return RealOf(f)->xCheckReservedLock(Of(f)->real(), out);
  }
  static int FileControl(sqlite3_file* f, int what, void* argument) {
    return RealOf(f)->xFileControl(Of(f)->real(), what, argument);
  }
  static int SectorSize(sqlite3_file* f) { return RealOf(f)->xSectorSize(Of(f)->real()); }
  static int DeviceCharacteristics(sqlite3_file* f) {
    return RealOf(f)->xDeviceCharacteristics(Of(f)->real());
  }
  static int ShmMap(sqlite3_file* f, int page, int size, int extend, void volatile** to) {
    return RealOf(f)->xShmMap(Of(f)->real(), page, size, extend, to);
  }
  static int ShmLock(sqlite3_file* f, int offset, int count, int flags) {
    return RealOf(f)->xShmLock(Of(f)->real(), offset, count, flags);
  }
  static void ShmBarrier(sqlite3_file* f) { RealOf(f)->xShmBarrier(Of(f)->real()); }
  static int ShmUnmap(sqlite3_file* f, int remove) {
    return RealOf(f)->xShmUnmap(Of(f)->real(), remove);
  }

  static int Open(sqlite3_vfs*, const char* name, sqlite3_file* f, int flags, int* out) {
    static const sqlite3_io_methods methods = {2,
                                               Close,
                                               Read,
                                               DoWrite,
                                               Truncate,
                                               Sync,
                                               FileSize,
                                               Lock,
                                               Unlock,
                                               CheckReservedLock,
                                               FileControl,
                                               SectorSize,
                                               DeviceCharacteristics,
                                               ShmMap,
                                               ShmLock,
                                               ShmBarrier,
                                               ShmUnmap,
                                               nullptr,
                                               nullptr};
    File* const file = new (f) File{};
    const int code = real_vfs->xOpen(real_vfs, name, file->real(), flags, out);
    if (file->real()->pMethods == nullptr) return code;
    file->base.pMethods = &methods;
    if (name != nullptr) {
      Content& content = present->contents_[name];
      content = {BytesOf(name), {}};  // what lies there before is on the disk
      file->content = &content;
    }
    return code;
  }
};

TestDisk::TestDisk() {
  static sqlite3_vfs vfs;
  CHECK(present == nullptr);
  present = this;
  if (real_vfs == nullptr) {
    real_vfs = sqlite3_vfs_find(nullptr);
    vfs = *real_vfs;
    vfs.zName = "onebox-test";
    vfs.szOsFile = static_cast<int>(sizeof(File)) + real_vfs->szOsFile;
    vfs.xOpen = Calls::Open;
  }
  sqlite3_vfs_register(&vfs, 1);
}

TestDisk::~TestDisk() {
  sqlite3_vfs_register(real_vfs, 1);
  present = nullptr;
}

void TestDisk::Break(At what, std::uint32_t after, int code) {
  what_ = what;
  after_ = after;
  code_ = code;
}

int TestDisk::Failure(At what) {
  if (code_ == SQLITE_OK || what != what_) return SQLITE_OK;
  if (after_ > 0) {
    --after_;
    return SQLITE_OK;
  }
  return code_;
}

bool TestDisk::Unsynced(const std::string& path) const {
  const auto found = contents_.find(path);
  return found != contents_.end() && !found->second.since.empty();
}

void TestDisk::Apply(std::string& bytes, const Write& write) {
  if (write.kind == Write::Kind::kTruncate) return bytes.resize(write.offset);
  const std::size_t end = write.offset + write.bytes.size();
  if (bytes.size() < end) bytes.resize(end);
  bytes.replace(write.offset, write.bytes.size(), write.bytes);
}

void TestDisk::LosePower(const std::string& from,
                         const std::string& to,
                         std::mt19937_64& random) const {
  for (const char* const end : {"", "-wal"}) {
    std::filesystem::remove(to + end);
    const auto found = contents_.find(from + end);
    if (found == contents_.end()) continue;
    std::string bytes = found->second.synced;
    for (const Write& write : found->second.since) {
      if (random() % 2 == 0) Apply(bytes, write);
    }
    WriteBytes(to + end, bytes);
  }
  std::filesystem::remove(to + "-shm");
}

namespace {

// The tests below this disk prove nothing where it forgets too much or too little.
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
}  // namespace onebox::queue
