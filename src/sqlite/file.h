#pragma once
// A file of ours as a database: locked, checked, made where it is new, brought to this version.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "os/fd.h"
#include "sqlite/database.h"

namespace onebox::sqlite {

// What a kind of file holds, and how it is known.
struct Form {
  std::string_view content{};  // what people call it: "queue"
  std::uint32_t application_id = 0;
  // Step i takes a file of version i to version i + 1. Steps are appended, never changed.
  std::span<const char* const> steps{};
};

struct FileSize {
  std::uint64_t bytes_max = 0;  // it grows no larger; from 64 KiB
  // When the log has so many bytes it is copied into the file, and written from its beginning. It
  // keeps its space: on a full disk there is room in it for acknowledgements.
  std::uint64_t log_bytes = 0;
};

struct File {
  os::Fd lock;  // held as long as the file is used
  std::unique_ptr<Database> database;
};

// Opens the file, or makes it with mode 0600, and locks it by PATH.lock: a second opener is refused. A
// file of another program, of a later version, or one that is damaged is an Error that says what to
// do, and is left as it is. Takes as long as reading the whole file does: each page is checked.
Result<File> OpenFile(const std::string& path, const Form& form, const FileSize& size);

}  // namespace onebox::sqlite
