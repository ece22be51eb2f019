#pragma once
// Jobs as the broker's socket has them: JSON. docs/internals/broker.md lists every member.

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "schedule/job.h"

namespace onebox::broker {

using nlohmann::json;

// An Error says what is wrong in it.
Result<schedule::JobSpec> ReadJob(const json& value);

std::string_view NameOf(schedule::RunState state);

json Show(const schedule::JobStatus& status);
json Show(const schedule::JobRun& run);
// What a task worker is given as the task's payload.
std::string PayloadOf(const schedule::Firing& firing, std::int64_t fence);

}  // namespace onebox::broker
