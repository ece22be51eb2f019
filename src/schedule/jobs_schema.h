#pragma once
// The jobs' file as a database of ours: its tables, and the numbers that say so.

#include <cstdint>
#include <string>

#include "base/result.h"
#include "sqlite/file.h"

namespace onebox::schedule {

// In the file's header; see docs/internals/jobs-file.md.
inline constexpr std::uint32_t kApplicationId = 0x4f4e424a;  // "ONBJ"
inline constexpr std::uint32_t kSchemaVersion = 1;

Result<sqlite::File> OpenJobsFile(const std::string& path, const sqlite::FileSize& size);

}  // namespace onebox::schedule
