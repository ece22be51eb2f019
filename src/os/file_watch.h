#pragma once
// Which files below a folder have changed, as the kernel tells it.

#include <cstddef>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "os/fd.h"

namespace onebox::os {

// Watches folders: what is in them, and with kTree what is below them too, also in folders that come
// later. Links to folders are not followed. What other machines change on a network file system is not
// seen: their kernel knows it, not ours.
class FileWatch {
 public:
  static constexpr std::size_t kFoldersMax = 10'000;

  // Whether a folder below a tree's is watched, and what is below it; asked for each that is found.
  using Enters = std::function<bool(const std::string& folder)>;
  enum class Depth : unsigned char { kFolder, kTree };

  struct Changes {
    // Written, made, renamed or removed. A folder that was renamed ends with "/"; one that has come
    // brings the files that are in it.
    std::vector<std::string> paths;
    bool lost = false;  // there were more than the kernel keeps: anything may have changed
    Status watched_all = Done();  // or why a folder that has come is not watched
  };

  static Result<FileWatch> Open(Enters enters, std::size_t folders_max = kFoldersMax);

  const Fd& fd() const { return fd_; }  // readable when there are changes
  void Close() { fd_.Reset(); }

  // From now on. Where it fails in the middle, what was added stays.
  Status Add(const std::string& folder, Depth depth);
  // Whether it is watched now: it may have been renamed or removed since.
  bool Holds(const std::string& folder) const;
  std::size_t folders() const { return folders_.size(); }

  // Some of those that wait, in their order: ask again while fd() is readable.
  Changes Take();

 private:
  struct Folder {
    std::string path;
    Depth depth = Depth::kFolder;
  };

  FileWatch(Fd fd, Enters enters, std::size_t folders_max)
      : fd_(std::move(fd)), enters_(std::move(enters)), folders_max_(folders_max) {}

  Status AddOne(const std::string& folder, Depth depth);
  Status AddTree(const std::string& folder, std::vector<std::string>& files);
  bool Drop(const std::string& folder);
  void TakeOne(int number, unsigned mask, const char* name, Changes& changes);

  Fd fd_;
  Enters enters_;
  std::size_t folders_max_;
  std::unordered_map<int, Folder> folders_;  // by the kernel's number
};

}  // namespace onebox::os
