#include "os/file.h"

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/error.h"

namespace onebox::os {
namespace {

// How many bytes there were.
Result<std::size_t> Fill(const Fd& file, std::span<char> buffer, std::uint64_t offset) {
  std::size_t filled = 0;
  while (filled < buffer.size()) {
    const ssize_t got = ::pread(file.get(),
                                buffer.data() + filled,
                                buffer.size() - filled,
                                static_cast<off_t>(offset + filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError("read", errno);
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  return filled;
}

}  // namespace

Result<std::string> ReadFile(const std::string& path, std::size_t bytes_max) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return SystemError(path, errno);
  auto read = ReadAt(file, bytes_max + 1, 0);
  if (!read.ok()) return SystemError(path, read.error().system_error);  // a folder, for one
  std::string bytes = std::move(read).value();
  if (bytes.size() > bytes_max) {
    return OperatorError(fmt::format("{} is larger than {} bytes", path, bytes_max));
  }
  return bytes;
}

Result<Fd> OpenForAppend(const std::string& path) {
  Fd file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
  if (!file.valid()) return SystemError(path, errno);
  return file;
}

Result<Fd> OpenTemporary(const std::string& folder) {
  Fd file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file.valid()) return file;
  if (errno != EOPNOTSUPP && errno != EISDIR) return SystemError(folder, errno);
  std::string path = folder + "/.onebox-XXXXXX";  // a file system without O_TMPFILE
  file.Reset(::mkostemp(path.data(), O_CLOEXEC));
  if (!file.valid()) return SystemError(folder, errno);
  ::unlink(path.c_str());
  return file;
}

Result<Fd> OpenMemory(const char* name) {
  Fd memory(::memfd_create(name, MFD_CLOEXEC));
  if (!memory.valid()) return SystemError("memfd_create", errno);
  return memory;
}

Result<Fd> Reopen(const Fd& file) {
  const std::string path = "/proc/self/fd/" + std::to_string(file.get());
  Fd reopened(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!reopened.valid()) return SystemError("open " + path, errno);
  return reopened;
}

Status WriteAll(const Fd& file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SystemError("write", errno);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return Done();
}

Status WriteAt(const Fd& file, std::string_view bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written =
        ::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SystemError("write", errno);
    if (written == 0) return SystemError("write", ENOSPC);
    bytes.remove_prefix(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return Done();
}

void FreePart(const Fd& file, std::uint64_t offset, std::uint64_t size) {
  (void)::fallocate(file.get(),
                    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    static_cast<off_t>(offset),
                    static_cast<off_t>(size));
}

Result<std::string> ReadAt(const Fd& file, std::size_t size, std::uint64_t offset) {
  struct stat status {};
  if (::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode)) {
    const auto end = static_cast<std::uint64_t>(status.st_size);
    size = end > offset ? std::min<std::size_t>(size, end - offset) : 0;
  }
  std::string bytes(size, '\0');
  bytes.resize(TRY(Fill(file, bytes, offset)));
  return bytes;
}

Status ReadExactly(const Fd& file, std::span<char> buffer, std::uint64_t offset) {
  if (TRY(Fill(file, buffer, offset)) == buffer.size()) return Done();
  return SystemError("the file has become shorter", ENODATA);
}

Status MakeFolders(const std::string& path) {
  std::error_code failure;
  std::filesystem::create_directories(path, failure);
  if (failure) return SystemError(path, failure.value());
  return Done();
}

Status SetMode(const std::string& path, unsigned mode) {
  if (::chmod(path.c_str(), mode) != 0) return SystemError(path, errno);
  return Done();
}

Status MakePrivateFile(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid() || ::fchmod(file.get(), 0600) != 0) return SystemError(path, errno);
  return Done();
}

Result<std::string> RealPath(const std::string& path) {
  char resolved[PATH_MAX];
  if (::realpath(path.c_str(), resolved) == nullptr) return SystemError(path, errno);
  return std::string(resolved);
}

Result<Fd> LockFile(const std::string& path) {
  Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
  if (!file.valid()) return SystemError(path, errno);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return SystemError(path, errno);
  return file;
}

void RemoveFile(const std::string& path) {
  ::unlink(path.c_str());
}

}  // namespace onebox::os
