#pragma once
// Conditional requests: whether to answer in full, with 304 or with 412 (RFC 9110 13).

#include <cstdint>
#include <optional>

#include "http/etag.h"
#include "http/request_head.h"

namespace onebox::http {

// Of the representation that exists and would be sent. `now` is the answer's Date.
struct Validators {
  std::optional<EntityTag> etag;
  std::optional<std::int64_t> last_modified;  // seconds since 1970
  std::int64_t now = 0;
};

enum class Verdict : std::uint8_t { kProceed, kNotModified, kPreconditionFailed };

// In the order of RFC 9110 13.2.2: If-Match, else If-Unmodified-Since; then If-None-Match, else
// If-Modified-Since. A date that is none is ignored; a list that is none matches nothing.
Verdict EvaluatePreconditions(const RequestHead& head, const Validators& validators);

// Whether the Range field counts: the method is GET, there is one Range, and If-Range, if there is
// one, names this very representation (13.1.5: a strong tag, or a date old enough to be strong).
bool RangeApplies(const RequestHead& head, const Validators& validators);

}  // namespace onebox::http
