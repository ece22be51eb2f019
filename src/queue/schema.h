#pragma once
// The queue's file as a database of ours: its tables, and the numbers that say so.

#include <cstdint>
#include <string>

#include "base/result.h"
#include "sqlite/file.h"

namespace onebox::queue {

// In the file's header; see docs/internals/queue-file.md.
inline constexpr std::uint32_t kApplicationId = 0x4f4e4251;  // "ONBQ"
inline constexpr std::uint32_t kSchemaVersion = 1;

Result<sqlite::File> OpenQueueFile(const std::string& path, const sqlite::FileSize& size);

}  // namespace onebox::queue
