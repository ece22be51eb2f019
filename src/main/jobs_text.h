#pragma once
// Jobs and their runs, as the broker tells of them, for people.

#include <string>

#include <nlohmann/json.hpp>

namespace onebox::main {

// Each member may be missing, or of another kind. `now` is in unix seconds.
std::string DescribeJobs(const nlohmann::json& jobs, double now);
// Those that fire again by themselves, the next first.
nlohmann::json NextJobs(const nlohmann::json& jobs);
std::string DescribeNext(const nlohmann::json& jobs, double now);
std::string DescribeRuns(const nlohmann::json& runs);

}  // namespace onebox::main
