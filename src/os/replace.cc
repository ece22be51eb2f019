#include "os/replace.h"

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

#include "os/error.h"
#include "os/fd.h"
#include "os/file.h"

namespace onebox::os {
namespace {

// A name in a folder outlives a power failure when the folder was synced.
Status SyncFolder(const std::string& path) {
  const Fd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid() || ::fsync(folder.get()) != 0) return SystemError(path, errno);
  return Done();
}

std::string ParentOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

}  // namespace

Status ReplaceFile(const std::string& path, std::string_view bytes) {
  const std::string made = path + ".new";
  ::unlink(made.c_str());  // of a writer that was killed; its mode may be any
  const Fd file(::open(made.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return SystemError(made, errno);
  TRY(WriteAll(file, bytes));
  if (::fsync(file.get()) != 0) return SystemError(made, errno);
  if (::rename(made.c_str(), path.c_str()) != 0) return SystemError(path, errno);
  return SyncFolder(ParentOf(path));
}

Status ReplaceFolder(const std::string& path, const std::string& made) {
  TRY(SyncFolder(made));
  int failed = ::renameat2(AT_FDCWD, made.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE);
  if (failed != 0 && errno == ENOENT) failed = ::rename(made.c_str(), path.c_str());
  if (failed != 0) return SystemError(path, errno);
  return SyncFolder(ParentOf(path));
}

}  // namespace onebox::os
