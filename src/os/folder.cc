#include "os/folder.h"

#include <cerrno>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "os/error.h"

namespace onebox::os {
namespace {

constexpr int kOpenFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

// The kernel says EAGAIN where a rename elsewhere kept it from being sure.
constexpr int kTriesMax = 8;

FileFacts FactsFrom(const struct stat& status) {
  constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size = static_cast<std::uint64_t>(status.st_size),
          .modified_ns = status.st_mtim.tv_sec * kNanosecondsPerSecond + status.st_mtim.tv_nsec,
          .regular = S_ISREG(status.st_mode),
          .folder = S_ISDIR(status.st_mode)};
}

int OpenInside(int folder, const std::string& name) {
  open_how how{};
  how.flags = static_cast<unsigned>(kOpenFlags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  for (int tries = 1;; ++tries) {
    const auto file =
        static_cast<int>(::syscall(SYS_openat2, folder, name.c_str(), &how, sizeof how));
    const bool again = file < 0 && (errno == EAGAIN || errno == EINTR);
    if (!again || tries == kTriesMax) return file;
  }
}

}  // namespace

Result<FileFacts> FactsOf(const Fd& file) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return SystemError("fstat", errno);
  return FactsFrom(status);
}

std::optional<FileFacts> FactsAt(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return FactsFrom(status);
}

Result<Folder> Folder::Open(const std::string& path) {
  Fd folder(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return SystemError(path, errno);
  return Folder(std::move(folder));
}

Result<Fd> Folder::OpenFile(const std::string& name, Links links) const {
  CHECK(!name.starts_with('/'));
  Fd file(links == Links::kInside ? OpenInside(folder_.get(), name)
                                  : ::openat(folder_.get(), name.c_str(), kOpenFlags));
  if (!file.valid()) return SystemError(name, errno);
  return file;
}

}  // namespace onebox::os
