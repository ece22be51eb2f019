#pragma once
// Queues and tasks, as the broker tells of them, for people.

#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace onebox::main {

// "1 task", "2 tasks".
std::string Plural(std::uint64_t count, std::string_view one);

// Each member may be missing, or of another kind. `now` is in unix seconds.
std::string DescribeQueues(const nlohmann::json& queues);
std::string DescribeWorkers(const nlohmann::json& workers);
std::string DescribeRunning(const nlohmann::json& tasks, double now);
std::string DescribeDead(const nlohmann::json& tasks, double now);
std::string DescribeTask(const nlohmann::json& task, double now);

}  // namespace onebox::main
