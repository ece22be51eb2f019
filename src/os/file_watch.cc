#include "os/file_watch.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "os/error.h"

namespace onebox::os {
namespace {

namespace fs = std::filesystem;

// A write counts when its file is closed, so that nobody reads half of it.
constexpr unsigned kWanted = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                             IN_MOVE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK;
constexpr std::size_t kReadBytes = 64 << 10;

// Somebody has renamed or removed it, or put something else in its place.
bool IsGone(const Error& error) {
  return error.system_error == ENOENT || error.system_error == ENOTDIR;
}

std::string Below(const std::string& folder, std::string_view name) {
  return fmt::format("{}{}{}", folder, folder.ends_with('/') ? "" : "/", name);
}

// Files into `files`, folders into `folders`; of a folder that cannot be read nothing.
void List(const std::string& folder,
          std::vector<std::string>& files,
          std::vector<std::string>& folders) {
  std::error_code failed;
  fs::directory_iterator entry(folder, failed);
  for (; !failed && entry != fs::directory_iterator(); entry.increment(failed)) {
    std::error_code ignored;
    const bool is_folder = entry->symlink_status(ignored).type() == fs::file_type::directory;
    (is_folder ? folders : files).push_back(entry->path().string());
  }
}

}  // namespace

Result<FileWatch> FileWatch::Open(Enters enters, std::size_t folders_max) {
  Fd fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (fd.valid()) return FileWatch(std::move(fd), std::move(enters), folders_max);
  const int number = errno;
  Error error = SystemError("inotify_init1", number);
  if (number == EMFILE) {
    error.message += "; the sysctl fs.inotify.max_user_instances, or ulimit -n, allows no more";
  }
  return error;
}

Status FileWatch::AddOne(const std::string& folder, Depth depth) {
  if (folders_.size() >= folders_max_ && !Holds(folder)) {
    return Error{.system_error = ENOSPC,
                 .message = fmt::format(
                     "{} is not watched: {} folders are, which is the most", folder, folders_max_)};
  }
  const int number = ::inotify_add_watch(fd_.get(), folder.c_str(), kWanted);
  if (number < 0) {
    const int why = errno;
    Error error = SystemError(folder, why);
    if (why == ENOSPC) {
      error.message = fmt::format(
          "{} is not watched: after {} folders the sysctl fs.inotify.max_user_watches allows no "
          "more",
          folder,
          folders_.size());
    }
    return error;
  }
  Folder& added = folders_[number];
  added.path = folder;
  if (depth == Depth::kTree) added.depth = depth;
  return Done();
}

// First the watch and then the look, so that nothing comes between them unseen.
Status FileWatch::AddTree(const std::string& folder, std::vector<std::string>& files) {
  std::vector<std::string> left = {folder};
  while (!left.empty()) {
    const std::string path = std::move(left.back());
    left.pop_back();
    if (const Status added = AddOne(path, Depth::kTree); !added.ok()) {
      const bool passed_over = path != folder && added.error().system_error != ENOSPC;
      if (passed_over) continue;  // it is gone already, or not ours to read
      return added.error();
    }
    std::vector<std::string> folders;
    List(path, files, folders);
    std::erase_if(folders, [this](const std::string& found) { return !enters_(found); });
    left.insert(left.end(), folders.begin(), folders.end());
  }
  return Done();
}

Status FileWatch::Add(const std::string& folder, Depth depth) {
  std::vector<std::string> ignored;
  return depth == Depth::kTree ? AddTree(folder, ignored) : AddOne(folder, depth);
}

bool FileWatch::Holds(const std::string& folder) const {
  for (const auto& [number, watched] : folders_) {
    if (watched.path == folder) return true;
  }
  return false;
}

// With all below it; false where it was not watched.
bool FileWatch::Drop(const std::string& folder) {
  const std::string prefix = Below(folder, "");
  const std::size_t dropped = std::erase_if(folders_, [&](const auto& one) {
    const bool below = one.second.path == folder || one.second.path.starts_with(prefix);
    if (below) ::inotify_rm_watch(fd_.get(), one.first);
    return below;
  });
  return dropped > 0;
}

FileWatch::Changes FileWatch::Take() {
  Changes changes;
  alignas(inotify_event) std::array<char, kReadBytes> buffer;  // NOLINT(*-member-init): read into
  const ssize_t size = ::read(fd_.get(), buffer.data(), buffer.size());
  std::size_t at = 0;
  while (size > 0 && at < static_cast<std::size_t>(size)) {
    inotify_event event{};
    std::memcpy(&event, buffer.data() + at, sizeof event);
    TakeOne(event.wd, event.mask, event.len == 0 ? "" : buffer.data() + at + sizeof event, changes);
    at += sizeof event + event.len;
  }
  return changes;
}

void FileWatch::TakeOne(int number, unsigned mask, const char* name, Changes& changes) {
  if ((mask & IN_Q_OVERFLOW) != 0) {
    changes.lost = true;
    return;
  }
  const auto found = folders_.find(number);
  if (found == folders_.end()) return;  // of one that was dropped a moment ago
  if ((mask & IN_IGNORED) != 0) {       // removed, or unmounted
    folders_.erase(found);
    return;
  }
  const Folder folder = found->second;
  if ((mask & IN_MOVE_SELF) != 0) {  // where its parent is watched, that has told before
    Drop(folder.path);
    return;
  }
  const std::string path = Below(folder.path, name);
  if ((mask & IN_ISDIR) == 0) {
    changes.paths.push_back(path);
    return;
  }
  if (folder.depth == Depth::kFolder) return;
  if ((mask & IN_MOVED_FROM) != 0 && Drop(path)) changes.paths.push_back(path + "/");
  if ((mask & (IN_CREATE | IN_MOVED_TO)) == 0 || !enters_(path)) return;
  const Status added = AddTree(path, changes.paths);
  if (!added.ok() && !IsGone(added.error())) changes.watched_all = added;
}

}  // namespace onebox::os
