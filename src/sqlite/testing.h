#pragma once
// Folders with a database's file, and copies of it, for tests.

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "os/testing.h"

namespace onebox::sqlite {

class TestFolder final {
 public:
  std::string file() const { return folder_.path() + "/box.db"; }
  std::filesystem::path path() const { return folder_.path(); }

 private:
  os::TemporaryFolder folder_{"sqlite"};
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
