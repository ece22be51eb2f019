#pragma once
// What /metrics says of tasks and jobs.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>

#include "queue/task.h"
#include "schedule/job.h"

namespace onebox::broker {

// Runs that have ended since the broker began, by the job's name.
using JobEnds = std::map<std::pair<std::string, schedule::RunState>, std::uint64_t>;

// In Prometheus' text format.
std::string TaskMetrics(std::span<const queue::QueueFigures> queues);
std::string JobMetrics(std::span<const schedule::JobStatus> jobs, const JobEnds& ends);

// Their rows for the reference, in Markdown.
std::string MetricsReference();

}  // namespace onebox::broker
