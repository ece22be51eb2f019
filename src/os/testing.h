#pragma once
// What tests of several rooms need: a folder, and a process that stands still.

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <sys/wait.h>

#include "base/check.h"
#include "os/process.h"

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

// Returns when every thread of it stands still: a signal is only on its way when kill() has returned.
inline void StopAndWait(const Child& child) {
  child.Signal(SIGSTOP);
  siginfo_t stopped{};
  CHECK(::waitid(P_PID, static_cast<id_t>(child.pid()), &stopped, WSTOPPED | WNOWAIT) == 0);
}

}  // namespace onebox::os
