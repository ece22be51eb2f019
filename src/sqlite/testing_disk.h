#pragma once
// A disk for tests that fails when told to, and that forgets what it was not told to keep.

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <sqlite3.h>

#include "base/check.h"
#include "sqlite/testing.h"

namespace onebox::sqlite {

// While it lives, SQLite's files of this process are on it. They lie in their places as ever; beside
// that it keeps what the real disk would have after the machine has lost its power. One at a time.
class TestDisk final {
 public:
  TestDisk();
  ~TestDisk();
  TestDisk(const TestDisk&) = delete;
  TestDisk& operator=(const TestDisk&) = delete;

  // From the `after`th write or sync on, counted from now, all give `code`, until Mend().
  enum class At : unsigned char { kWrite, kSync };
  void Break(At what, std::uint32_t after, int code);
  void Mend() { code_ = SQLITE_OK; }

  // Whether something was written to the file, and not synced since.
  bool Unsynced(const std::string& path) const;

  // Writes to `to` what is left of the file `from`: all that was synced, and of what was written
  // since, some pieces and not others.
  void LosePower(const std::string& from, const std::string& to, std::mt19937_64& random) const;

 private:
  struct Write {
    std::size_t offset = 0;
    std::string bytes;
    enum class Kind : unsigned char { kBytes, kTruncate } kind = Kind::kBytes;
  };
  struct Content {
    std::string synced;
    std::vector<Write> since;
  };
  struct File;
  struct Calls;  // SQLite's interface to us

  int Failure(At what);
  static void Apply(std::string& bytes, const Write& write);

  std::map<std::string, Content> contents_;
  At what_ = At::kWrite;
  std::uint32_t after_ = 0;
  int code_ = SQLITE_OK;
};

// Its calls are forwarded one by one.

namespace testing_disk {
inline TestDisk* present = nullptr;
inline sqlite3_vfs* real_vfs = nullptr;
}  // namespace testing_disk

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
    if (const int code = testing_disk::present->Failure(At::kWrite); code != SQLITE_OK) return code;
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
    if (const int code = testing_disk::present->Failure(At::kSync); code != SQLITE_OK) return code;
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
    const int code =
        testing_disk::real_vfs->xOpen(testing_disk::real_vfs, name, file->real(), flags, out);
    if (file->real()->pMethods == nullptr) return code;
    file->base.pMethods = &methods;
    if (name != nullptr) {
      Content& content = testing_disk::present->contents_[name];
      content = {BytesOf(name), {}};  // what lies there before is on the disk
      file->content = &content;
    }
    return code;
  }
};

inline TestDisk::TestDisk() {
  static sqlite3_vfs vfs;
  CHECK(testing_disk::present == nullptr);
  testing_disk::present = this;
  if (testing_disk::real_vfs == nullptr) {
    testing_disk::real_vfs = sqlite3_vfs_find(nullptr);
    vfs = *testing_disk::real_vfs;
    vfs.zName = "onebox-test";
    vfs.szOsFile = static_cast<int>(sizeof(File)) + testing_disk::real_vfs->szOsFile;
    vfs.xOpen = Calls::Open;
  }
  sqlite3_vfs_register(&vfs, 1);
}

inline TestDisk::~TestDisk() {
  sqlite3_vfs_register(testing_disk::real_vfs, 1);
  testing_disk::present = nullptr;
}

inline void TestDisk::Break(At what, std::uint32_t after, int code) {
  what_ = what;
  after_ = after;
  code_ = code;
}

inline int TestDisk::Failure(At what) {
  if (code_ == SQLITE_OK || what != what_) return SQLITE_OK;
  if (after_ > 0) {
    --after_;
    return SQLITE_OK;
  }
  return code_;
}

inline bool TestDisk::Unsynced(const std::string& path) const {
  const auto found = contents_.find(path);
  return found != contents_.end() && !found->second.since.empty();
}

inline void TestDisk::Apply(std::string& bytes, const Write& write) {
  if (write.kind == Write::Kind::kTruncate) return bytes.resize(write.offset);
  const std::size_t end = write.offset + write.bytes.size();
  if (bytes.size() < end) bytes.resize(end);
  bytes.replace(write.offset, write.bytes.size(), write.bytes);
}

inline void TestDisk::LosePower(const std::string& from,
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

}  // namespace onebox::sqlite
