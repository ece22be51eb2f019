#pragma once
// Files below a folder, opened so that no name leads out of it.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/result.h"
#include "os/fd.h"

namespace onebox::os {

// What tells one state of a file from another without reading it.
struct FileFacts {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;  // since 1970
  bool regular = false;          // not a folder, a device, a pipe
  bool folder = false;

  bool operator==(const FileFacts&) const = default;
};
Result<FileFacts> FactsOf(const Fd& file);

// Follows links, wherever they lead: compare with the facts of an open file, and trust nothing else.
// Nothing where there is no file, or none that may be seen.
std::optional<FileFacts> FactsAt(const std::string& path);

// Whether a symbolic link may point out of the folder.
enum class Links : std::uint8_t { kInside, kAnywhere };

class Folder {
 public:
  static Result<Folder> Open(const std::string& path);

  // For reading, without waiting (a pipe does not block). `name` is relative: no "/" at its begin and
  // no ".." in it. With kInside the kernel holds every step to the folder, and refuses absolute links
  // too: the Error has EXDEV then.
  Result<Fd> OpenFile(const std::string& name, Links links) const;

 private:
  explicit Folder(Fd folder) : folder_(std::move(folder)) {}

  Fd folder_;
};

}  // namespace onebox::os
