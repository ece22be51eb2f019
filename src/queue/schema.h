#pragma once
// The queue's file as a database of ours: checked, made where it is new, brought to this version.

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "queue/database.h"

namespace onebox::queue {

// In the file's header; see docs/internals/queue-file.md.
inline constexpr std::uint32_t kApplicationId = 0x4f4e4251;  // "ONBQ"
inline constexpr std::uint32_t kSchemaVersion = 1;

struct FileSize {
  std::uint64_t bytes_max = 0;  // it grows no larger; from 64 KiB
  // When the log has so many bytes it is copied into the file, and written from its beginning. It
  // keeps its space: on a full disk there is room in it for acknowledgements.
  std::uint64_t log_bytes = 0;
};

// Opens the file, or makes it with mode 0600. A file of another program, of a later version, or one
// that is damaged is an Error that says what to do, and is left as it is. Takes as long as reading
// the whole file does: each page is checked. Nobody else may have the file open.
Result<std::unique_ptr<Database>> OpenQueueFile(const std::string& path, const FileSize& size);

}  // namespace onebox::queue
