#pragma once
// A folder for a test.

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/check.h"

namespace onebox::os {

// Made with a name that begins with "onebox-NAME-", and removed at the end with all that is in it.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(std::string_view name) {
    std::string pattern =
        (std::filesystem::temp_directory_path() / fmt::format("onebox-{}-XXXXXX", name)).string();
    CHECK(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace onebox::os
