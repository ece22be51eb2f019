#pragma once
// Why a server did not answer: one row for each reason, with what it means.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace onebox::upstream {

enum class Failure : std::uint8_t {
  kUnknownHost,
  kConnect,
  kConnectTimeout,
  kTls,
  kSend,
  kSendTimeout,
  kClosed,
  kHeadTimeout,
  kHead,
  kBody,
  kReadTimeout,
};

// `name` is a metric label, `reason` a sentence for the log and the answer. Whether the server can have
// begun to work on the request decides what may be tried again.
struct FailureRow {
  Failure failure;
  int status;  // that the client is told, where nobody else answers
  bool untouched;
  std::string_view name;
  std::string_view reason;
};

inline constexpr std::array kFailures = {
    FailureRow{Failure::kUnknownHost,
               503,
               true,
               "unknown_host",
               "the server's name has no address"},
    FailureRow{Failure::kConnect, 503, true, "connect", "the server cannot be reached"},
    FailureRow{Failure::kConnectTimeout,
               504,
               true,
               "connect_timeout",
               "the server cannot be reached in time"},
    FailureRow{Failure::kTls, 502, true, "tls", "the server cannot be spoken to over TLS"},
    FailureRow{Failure::kSend, 502, false, "send", "the server took no more of the request"},
    FailureRow{Failure::kSendTimeout,
               504,
               false,
               "send_timeout",
               "the server did not take the request in time"},
    FailureRow{Failure::kClosed, 502, false, "closed", "the server closed without an answer"},
    FailureRow{Failure::kHeadTimeout,
               504,
               false,
               "head_timeout",
               "the server did not answer in time"},
    FailureRow{Failure::kHead, 502, false, "head", "the server's answer was not valid"},
    FailureRow{Failure::kBody, 502, false, "body", "the server broke its answer off"},
    FailureRow{Failure::kReadTimeout,
               504,
               false,
               "read_timeout",
               "the server stopped in the middle of its answer"},
};
inline constexpr std::size_t kFailureKinds = kFailures.size();

constexpr const FailureRow& RowOf(Failure failure) {
  return kFailures[static_cast<std::size_t>(failure)];
}

namespace failure_internal {
consteval bool RowsAreInOrder() {
  for (std::size_t i = 0; i < kFailures.size(); ++i) {
    if (static_cast<std::size_t>(kFailures[i].failure) != i) return false;
  }
  return kFailures.back().failure == Failure::kReadTimeout;
}
static_assert(RowsAreInOrder(), "a row of kFailures stands where its failure says");
}  // namespace failure_internal

}  // namespace onebox::upstream
