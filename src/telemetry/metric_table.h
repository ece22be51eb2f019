#pragma once
// The metrics: one row for each, with its name, labels and help.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/clock.h"

namespace onebox::telemetry {

enum class Counter : std::uint8_t {
  kConnectionsAccepted,
  kBytesReceived,
  kBytesSent,
  kRequestsRerun,
  kRequestsAbandoned,
  kRequestsInterrupted,
  kStaticHits,
  kStaticMisses,
  kResponsesCompressed,
  kAnswersEvicted,
  kWorkersStarted,
  kWorkersDied,
  kWorkersStuck,
  kFrontsDied,
  kAccessLogLinesLost,
  kErrorLogLinesLost,
  kHttp2Connections,
  kHttp2Breaches,
};
inline constexpr std::size_t kCounters = 18;

enum class Gauge : std::uint8_t {
  kConnections,
  kBufferBytes,
  kQueueLength,
  kWorkersStarting,
  kWorkersReady,
  kThreadsBusy,
  kThreads,
  kStartTime,  // Unix seconds
  kConcurrencyLimit,
  kKeptAnswers,
  kKeptBytes,
};
inline constexpr std::size_t kGauges = 11;

enum class Histogram : std::uint8_t { kQueueWait, kRun, kTotal };
inline constexpr std::size_t kHistograms = 3;

// Counters that differ in one label. The names of refusals belong to another room: the exposition
// is given them.
enum class Family : std::uint8_t {
  kAnswers,
  kAnswerClasses,
  kSteps,
  kLimits,
  kRefusals,
  kCached,
  kNotStored,
  kHandshakes
};
inline constexpr std::size_t kFamilies = 8;

// What became of a handshake of TLS. The failures from kNotTls to kBroken have the order of tls::Failure.
enum class Handshake : std::uint8_t {
  kFull,
  kResumed,
  kNotTls,
  kVersion,
  kNothingShared,
  kNoProtocol,
  kPeerCertificate,
  kRefusedByPeer,
  kBroken,
  kLeft,
  kTooSlow,
};
inline constexpr std::array<std::string_view, 11> kHandshakeNames = {"full",
                                                                     "resumed",
                                                                     "not_tls",
                                                                     "version",
                                                                     "nothing_shared",
                                                                     "no_protocol",
                                                                     "client_certificate",
                                                                     "refused_by_client",
                                                                     "broken",
                                                                     "left",
                                                                     "too_slow"};

// Where in its life a request ended.
enum class Step : std::uint8_t { kAccept, kReadHead, kRoute, kReadBody, kWait, kRun, kWrite };
inline constexpr std::array<std::string_view, 7> kStepNames =
    {"accept", "read_head", "route", "read_body", "wait", "run", "write"};

// The limit that somebody met.
enum class Limit : std::uint8_t {
  kRequestLine,
  kHeadBytes,
  kFields,
  kBodyBytes,
  kRequestsPerConnection,
  kConnections,
  kConnectionsPerAddress,
  kIdleTimeout,
  kHeadTimeout,
  kBodyTimeout,
  kBodyRate,
  kWriteTimeout,
  kWriteRate,
  kBufferBytes,
  kSpool,  // the folder of unlinked files took no more
  kDescriptors,
  kQueue,
  kQueueTimeout,
  kRequestTimeout,
  kDrainTimeout,
  kRouteQueue,
  kAddressShare,
  kHopeless,
  kRate,
  kAtOnce,
  kRateKeys,  // a client was forgotten for another
  kDenied,
  kProxyHeader,
  kHandshakeTimeout,
  // In the order of http2::Flood.
  kHttp2Resets,
  kHttp2Settings,
  kHttp2Pings,
  kHttp2EmptyFrames,
  kHttp2Continuations,
  kHttp2Priorities,
  kHttp2WindowUpdates,
  kHttp2Errors,
  kHttp2Streams,
};
inline constexpr std::array<std::string_view, 38> kLimitNames = {
    "request_line_bytes_max",
    "head_bytes_max",
    "fields_max",
    "body_bytes_max",
    "requests_per_connection_max",
    "connections_max",
    "connections_per_address_max",
    "idle_timeout",
    "head_timeout",
    "body_timeout",
    "body_rate_min",
    "write_timeout",
    "write_rate_min",
    "buffer_bytes_max",
    "spool",
    "descriptors",
    "queue_max",
    "queue_timeout",
    "request_timeout",
    "drain_timeout",
    "route_queue_max",
    "address_share",
    "hopeless",
    "rate",
    "at_once",
    "limit_keys_max",
    "denied",
    "proxy_header",
    "handshake_timeout",
    "http2_resets",
    "http2_settings",
    "http2_pings",
    "http2_empty_frames",
    "http2_continuations",
    "http2_priorities",
    "http2_window_updates",
    "http2_errors",
    "http2_streams_max",
};

// What the response cache did with a request; a refresh has none.
enum class Cached : std::uint8_t {
  kHit,
  kStale,      // given while, or before, the app was asked again
  kStoodIn,    // given because the app failed
  kRenewed,    // the app said that it is right still
  kRefreshed,  // the app gave a new one, behind a client's back
  kMiss,
  kWaited,  // for the answer to somebody else's request
  kPass,    // not shared lately, or it had waited too long
  kCookie,
  kAuthorization,
  kMethod,
  kSpelling,
  kOnlyIfCached,
};
inline constexpr std::array<std::string_view, 13> kCachedNames = {"hit",
                                                                  "stale",
                                                                  "stale_if_error",
                                                                  "revalidated",
                                                                  "refreshed",
                                                                  "miss",
                                                                  "collapsed",
                                                                  "pass",
                                                                  "cookie",
                                                                  "authorization",
                                                                  "method",
                                                                  "spelling",
                                                                  "only_if_cached"};

// Why an answer was not kept: the names of http::NotStored, which the front holds them to.
inline constexpr std::array<std::string_view, 15> kNotStoredNames = {"stored",
                                                                     "method",
                                                                     "cookie",
                                                                     "request_no_store",
                                                                     "status",
                                                                     "no_store",
                                                                     "private",
                                                                     "set_cookie",
                                                                     "vary_any",
                                                                     "vary_cookie",
                                                                     "authorization",
                                                                     "no_lifetime",
                                                                     "too_large",
                                                                     "broken_off",
                                                                     "purged"};

inline constexpr std::size_t kAnswerStatuses = 500;  // 100 to 599
inline constexpr std::size_t kRefusalsMax = 96;
inline constexpr std::array<std::string_view, 5> kAnswerClassNames = {"1xx",
                                                                      "2xx",
                                                                      "3xx",
                                                                      "4xx",
                                                                      "5xx"};

// The upper bounds of a histogram's buckets, inclusive; a last bucket takes what is longer.
inline constexpr std::array<Duration, 18> kBucketBounds = {
    std::chrono::microseconds(100),
    std::chrono::microseconds(250),
    std::chrono::microseconds(500),
    std::chrono::milliseconds(1),
    std::chrono::microseconds(2500),
    std::chrono::milliseconds(5),
    std::chrono::milliseconds(10),
    std::chrono::milliseconds(25),
    std::chrono::milliseconds(50),
    std::chrono::milliseconds(100),
    std::chrono::milliseconds(250),
    std::chrono::milliseconds(500),
    std::chrono::seconds(1),
    std::chrono::milliseconds(2500),
    std::chrono::seconds(5),
    std::chrono::seconds(10),
    std::chrono::seconds(30),
    std::chrono::seconds(60),
};
inline constexpr std::size_t kBuckets = kBucketBounds.size() + 1;

// One row of the table: a metric, or the part of one that has a fixed label. `index` is the enum
// value of its type; parts of one metric stand together and share name and help.
enum class MetricType : std::uint8_t { kCounter, kGauge, kHistogram, kFamily };
struct MetricRow {
  MetricType type;
  std::size_t index;
  std::string_view name;
  std::string_view label;  // empty: none
  std::string_view value;  // of the label; empty in a family, whose members have one each
  std::string_view help;
};

namespace rows {

constexpr MetricRow Of(Counter counter, std::string_view name, std::string_view help) {
  return {MetricType::kCounter, static_cast<std::size_t>(counter), name, "", "", help};
}
constexpr MetricRow Of(Gauge gauge, std::string_view name, std::string_view help) {
  return {MetricType::kGauge, static_cast<std::size_t>(gauge), name, "", "", help};
}
constexpr MetricRow Of(Gauge gauge,
                       std::string_view name,
                       std::string_view label,
                       std::string_view value,
                       std::string_view help) {
  return {MetricType::kGauge, static_cast<std::size_t>(gauge), name, label, value, help};
}
constexpr MetricRow Of(Histogram histogram, std::string_view name, std::string_view help) {
  return {MetricType::kHistogram, static_cast<std::size_t>(histogram), name, "", "", help};
}
constexpr MetricRow Of(Family family,
                       std::string_view name,
                       std::string_view label,
                       std::string_view help) {
  return {MetricType::kFamily, static_cast<std::size_t>(family), name, label, "", help};
}

}  // namespace rows

inline constexpr std::array kMetricTable = {
    rows::Of(Family::kAnswers, "onebox_requests_total", "status", "Requests answered, by status."),
    rows::Of(Family::kAnswerClasses,
             "onebox_requests_by_class_total",
             "class",
             "Requests answered, by the class of the status."),
    rows::Of(Family::kSteps,
             "onebox_steps_total",
             "step",
             "Requests by the step they ended in; write is a whole answer."),
    rows::Of(Family::kRefusals,
             "onebox_refusals_total",
             "reason",
             "Requests refused for what they are, by reason."),
    rows::Of(Family::kLimits, "onebox_limits_total", "limit", "Times that a limit was met."),
    rows::Of(Family::kHandshakes,
             "onebox_handshakes_total",
             "result",
             "Handshakes of TLS: full or resumed, or why they failed."),
    rows::Of(Counter::kRequestsRerun,
             "onebox_requests_rerun_total",
             "Requests run again because their worker died."),
    rows::Of(Counter::kRequestsAbandoned,
             "onebox_requests_abandoned_total",
             "Requests whose client left before the answer."),
    rows::Of(Counter::kRequestsInterrupted,
             "onebox_requests_interrupted_total",
             "Requests that the app was told to end, since nobody waited for them any more."),
    rows::Of(Histogram::kTotal,
             "onebox_request_seconds",
             "Time from a request's head to its answer's end, of requests for the app."),
    rows::Of(Histogram::kQueueWait,
             "onebox_queue_wait_seconds",
             "Time that a request waited for a worker."),
    rows::Of(Histogram::kRun, "onebox_run_seconds", "Time that a worker ran a request."),
    rows::Of(Gauge::kQueueLength, "onebox_queue_length", "Requests that wait for a worker."),
    rows::Of(Counter::kConnectionsAccepted,
             "onebox_connections_accepted_total",
             "Connections accepted."),
    rows::Of(Counter::kHttp2Connections,
             "onebox_http2_connections_total",
             "Connections that spoke HTTP/2."),
    rows::Of(Counter::kHttp2Breaches,
             "onebox_http2_breaches_total",
             "Connections ended because the client broke HTTP/2's rules."),
    rows::Of(Gauge::kConnections, "onebox_connections", "Connections open."),
    rows::Of(Counter::kBytesReceived, "onebox_received_bytes_total", "Bytes read from clients."),
    rows::Of(Counter::kBytesSent, "onebox_sent_bytes_total", "Bytes written to clients."),
    rows::Of(Gauge::kBufferBytes,
             "onebox_buffer_bytes",
             "Bytes of the buffer budget that are in use."),
    rows::Of(Counter::kStaticHits, "onebox_static_hits_total", "Static files served from memory."),
    rows::Of(Counter::kStaticMisses,
             "onebox_static_misses_total",
             "Static files that had to be opened."),
    rows::Of(Counter::kResponsesCompressed,
             "onebox_responses_compressed_total",
             "Responses compressed on the way out."),
    rows::Of(Family::kCached,
             "onebox_response_cache_total",
             "result",
             "What the response cache did with requests that its routes have rules for."),
    rows::Of(Family::kNotStored,
             "onebox_response_cache_not_stored_total",
             "reason",
             "Answers that the response cache did not keep, by reason."),
    rows::Of(Gauge::kKeptAnswers, "onebox_response_cache_answers", "Answers kept."),
    rows::Of(Gauge::kKeptBytes, "onebox_response_cache_bytes", "Bytes of the answers kept."),
    rows::Of(Counter::kAnswersEvicted,
             "onebox_response_cache_evictions_total",
             "Kept answers that made room for others."),
    rows::Of(Gauge::kWorkersStarting,
             "onebox_workers",
             "state",
             "starting",
             "Worker processes, by state."),
    rows::Of(Gauge::kWorkersReady,
             "onebox_workers",
             "state",
             "ready",
             "Worker processes, by state."),
    rows::Of(Gauge::kThreads, "onebox_worker_threads", "Threads of the workers, busy or not."),
    rows::Of(Gauge::kThreadsBusy,
             "onebox_worker_threads_busy",
             "Threads of the workers that run a request."),
    rows::Of(Gauge::kConcurrencyLimit,
             "onebox_concurrency_limit",
             "Requests that may run at once; fewer than there are threads where app.concurrency "
             "says so."),
    rows::Of(Counter::kWorkersStarted,
             "onebox_workers_started_total",
             "Worker processes started, the first ones among them."),
    rows::Of(Counter::kWorkersDied,
             "onebox_worker_restarts_total",
             "Worker processes that ended without being asked to, and were replaced."),
    rows::Of(Counter::kWorkersStuck,
             "onebox_workers_stuck_total",
             "Worker processes that did not end a request, or took none, and were to be replaced."),
    rows::Of(Counter::kFrontsDied,
             "onebox_front_restarts_total",
             "Front processes that ended without being asked to, and were replaced."),
    rows::Of(Counter::kAccessLogLinesLost,
             "onebox_access_log_lines_lost_total",
             "Access log lines that could not be written."),
    rows::Of(Counter::kErrorLogLinesLost,
             "onebox_error_log_lines_lost_total",
             "Error log lines that could not be written."),
    rows::Of(Gauge::kStartTime,
             "onebox_start_time_seconds",
             "When the server was started, in Unix seconds."),
};

// Whether each value of each enum has one row, and parts of one metric stand together.
consteval bool IsWholeTable() {
  const auto once = [](MetricType type, std::size_t values) {
    for (std::size_t value = 0; value < values; ++value) {
      std::size_t rows = 0;
      for (const MetricRow& row : kMetricTable) {
        if (row.type == type && row.index == value) ++rows;
      }
      if (rows != 1) return false;
    }
    return true;
  };
  for (std::size_t i = 0; i < kMetricTable.size(); ++i) {
    for (std::size_t j = i + 1; j < kMetricTable.size(); ++j) {
      if (kMetricTable[i].name == kMetricTable[j].name &&
          kMetricTable[j - 1].name != kMetricTable[i].name)
        return false;
    }
  }
  return kMetricTable.size() == kCounters + kGauges + kHistograms + kFamilies &&
         once(MetricType::kCounter, kCounters) && once(MetricType::kGauge, kGauges) &&
         once(MetricType::kHistogram, kHistograms) && once(MetricType::kFamily, kFamilies);
}
static_assert(IsWholeTable(), "each metric has one row; the parts of one stand together");

}  // namespace onebox::telemetry
