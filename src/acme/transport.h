#pragma once
// The outside of a conversation with an authority: its answers, and time that passes.

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace onebox::acme {

struct HttpRequest {
  enum class Method : std::uint8_t { kGet, kHead, kPost };

  Method method = Method::kGet;
  std::string url;
  std::string body;  // of kPost: a JWS
};

// An answer of whatever status, with the fields that ACME knows; each may be empty, and says what the other
// side likes.
struct HttpAnswer {
  int status = 0;
  std::string body;
  std::string nonce;        // Replay-Nonce
  std::string location;     // Location
  std::string retry_after;  // Retry-After: seconds, or a date
};

inline constexpr std::size_t kAnswerBytesMax = 1 << 20;

class Transport {
 public:
  virtual ~Transport() = default;

  // An Error where there was no whole answer of at most kAnswerBytesMax in time.
  virtual Result<HttpAnswer> Ask(const HttpRequest& request) = 0;

  // Lets that time pass; less where something was said to us meanwhile.
  virtual void Wait(Duration duration) = 0;

  // We have been told to end: each Ask() fails at once, and Wait() returns.
  virtual bool ended() const = 0;
};

}  // namespace onebox::acme
