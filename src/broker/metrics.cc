#include "broker/metrics.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>

#include <fmt/format.h>

#include "broker/job_words.h"
#include "telemetry/prometheus.h"

namespace onebox::broker {
namespace {

using queue::QueueFigures;
using schedule::JobStatus;
using telemetry::AppendHeading;
using telemetry::AppendName;

struct Metric {
  std::string_view name, type, help;
  double (*of)(const QueueFigures& queue);
};

// Exact up to 2^53.
template <std::uint64_t QueueFigures::*count>
double CountOf(const QueueFigures& queue) {
  return static_cast<double>(queue.*count);
}

constexpr std::array kMetrics = {
    Metric{"onebox_tasks_waiting",
           "gauge",
           "Tasks that wait: for a worker, or for their time.",
           CountOf<&QueueFigures::waiting>},
    Metric{"onebox_tasks_due",
           "gauge",
           "Tasks that wait and may begin now.",
           CountOf<&QueueFigures::due>},
    Metric{"onebox_tasks_held",
           "gauge",
           "Callbacks that wait for members of their groups.",
           CountOf<&QueueFigures::held>},
    Metric{"onebox_tasks_running",
           "gauge",
           "Tasks that run, or are on their way to a worker.",
           CountOf<&QueueFigures::running>},
    Metric{"onebox_tasks_dead",
           "gauge",
           "Dead letters: tasks without an attempt left.",
           CountOf<&QueueFigures::dead>},
    Metric{"onebox_tasks_oldest_seconds",
           "gauge",
           "For how long the one that is due longest has been due.",
           [](const QueueFigures& queue) {
             return std::chrono::duration<double>(queue.oldest).count();
           }},
    Metric{"onebox_tasks_paused",
           "gauge",
           "1 where the queue is paused.",
           [](const QueueFigures& queue) {
             return queue.paused == QueueFigures::Paused::kYes ? 1.0 : 0.0;
           }},
    Metric{"onebox_tasks_payload_bytes",
           "gauge",
           "Payloads of tasks that have not ended.",
           CountOf<&QueueFigures::bytes>},
    Metric{"onebox_tasks_enqueued_total",
           "counter",
           "Tasks that were enqueued.",
           CountOf<&QueueFigures::enqueued_total>},
    Metric{"onebox_tasks_done_total",
           "counter",
           "Tasks that were done.",
           CountOf<&QueueFigures::done_total>},
    Metric{"onebox_tasks_failed_total",
           "counter",
           "Attempts that failed.",
           CountOf<&QueueFigures::failed_total>},
    Metric{"onebox_tasks_expired_total",
           "counter",
           "Tasks that expired before they began.",
           CountOf<&QueueFigures::expired_total>},
    Metric{"onebox_tasks_cancelled_total",
           "counter",
           "Tasks that were cancelled.",
           CountOf<&QueueFigures::cancelled_total>},
    Metric{"onebox_tasks_dead_total",
           "counter",
           "Tasks that became dead letters.",
           CountOf<&QueueFigures::dead_total>},
};

struct JobMetric {
  std::string_view name, type, help;
  double (*of)(const JobStatus& job);
};
constexpr std::array kJobMetrics = {
    JobMetric{"onebox_jobs_running",
              "gauge",
              "Runs of the job that have begun and not ended.",
              [](const JobStatus& job) { return static_cast<double>(job.running); }},
    JobMetric{"onebox_jobs_paused",
              "gauge",
              "1 where the job is paused.",
              [](const JobStatus& job) { return job.paused ? 1.0 : 0.0; }},
    JobMetric{"onebox_jobs_lateness_seconds",
              "gauge",
              "How long after its time the newest run began; NaN where it has not.",
              [](const JobStatus& job) {
                if (!job.last || !job.last->begun) return std::nan("");
                return std::chrono::duration<double>(*job.last->begun - job.last->firing).count();
              }},
    JobMetric{"onebox_jobs_skipped_total",
              "counter",
              "Firings that were skipped, since the run before had not ended.",
              [](const JobStatus& job) { return static_cast<double>(job.skipped_total); }},
    JobMetric{"onebox_jobs_missed_total",
              "counter",
              "Firings that were missed and not caught up with.",
              [](const JobStatus& job) { return static_cast<double>(job.missed_total); }},
};
constexpr std::string_view kRunsName = "onebox_jobs_runs_total";
constexpr std::string_view kRunsHelp =
    "Runs that have ended: done, failed, timeout, died, cancelled.";

std::string NumberText(double number) {
  return std::isnan(number) ? "NaN" : fmt::format("{}", number);
}

}  // namespace

std::string TaskMetrics(std::span<const QueueFigures> queues) {
  std::string out;
  for (const Metric& metric : kMetrics) {
    AppendHeading(out, {metric.name, metric.type, metric.help});
    for (const QueueFigures& queue : queues) {
      AppendName(out, metric.name, "queue", queue.name);
      out += fmt::format("}} {}\n", NumberText(metric.of(queue)));
    }
  }
  return out;
}

std::string JobMetrics(std::span<const JobStatus> jobs, const JobEnds& ends) {
  std::string out;
  for (const JobMetric& metric : kJobMetrics) {
    AppendHeading(out, {metric.name, metric.type, metric.help});
    for (const JobStatus& job : jobs) {
      AppendName(out, metric.name, "job", job.job->name);
      out += fmt::format("}} {}\n", NumberText(metric.of(job)));
    }
  }
  AppendHeading(out, {kRunsName, "counter", kRunsHelp});
  for (const auto& [run, count] : ends) {
    AppendName(out, kRunsName, "job", run.first);
    out += fmt::format(",outcome=\"{}\"}} {}\n", NameOf(run.second), count);
  }
  return out;
}

std::string MetricsReference() {
  std::string out;
  for (const Metric& metric : kMetrics) {
    out += fmt::format("| `{}{{queue}}` | {} | {} |\n", metric.name, metric.type, metric.help);
  }
  for (const JobMetric& metric : kJobMetrics) {
    out += fmt::format("| `{}{{job}}` | {} | {} |\n", metric.name, metric.type, metric.help);
  }
  return out + fmt::format("| `{}{{job,outcome}}` | counter | {} |\n", kRunsName, kRunsHelp);
}

}  // namespace onebox::broker
