#pragma once
// A disk for tests that fails when told to, and that forgets what it was not told to keep.

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <sqlite3.h>

namespace onebox::queue {

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

}  // namespace onebox::queue
