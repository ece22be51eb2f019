#pragma once
// Folders with a database's file, and copies of it, for tests.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "base/check.h"

namespace onebox::sqlite {

// A folder that is removed at the end.
class TestFolder final {
 public:
  TestFolder() {
    std::string pattern = std::filesystem::temp_directory_path() / "onebox-sqlite-XXXXXX";
    CHECK(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  ~TestFolder() { std::filesystem::remove_all(path_); }

  std::string file() const { return path_ / "box.db"; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline std::string BytesOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void WriteBytes(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// What a crash of the process leaves: the file and its log as they are now.
inline void CopyStore(const std::string& from, const std::string& to) {
  for (const char* const end : {"", "-wal"}) {
    std::filesystem::remove(to + end);
    if (std::filesystem::exists(from + end)) std::filesystem::copy_file(from + end, to + end);
  }
  std::filesystem::remove(to + "-shm");
}

}  // namespace onebox::sqlite
