#pragma once
// Whether an answer may be kept by a shared cache, and when it may be given again (RFC 9111 3 and 4.2).

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "http/cache_control.h"

namespace onebox::http {

// What the fields of an answer say of its reuse. The views are into the values that were given.
struct ReuseFields {
  int status = 200;
  CacheControl control;
  bool set_cookie = false;
  bool vary_any = false;          // "*", or more names than kVaryNamesMax
  std::vector<std::string> vary;  // names in lower case, each once
  bool has_expires = false;
  std::optional<std::int64_t> expires;  // seconds since 1970; nothing where it is no date
  std::optional<std::int64_t> date;
  std::optional<std::int64_t> last_modified;
  CacheSeconds age{0};
  std::string_view etag;

  // Adds one field; `now`, in seconds since 1970, is for dates with two digits of the year.
  void Take(std::string_view name, std::string_view value, std::int64_t now);
  bool has_validator() const { return !etag.empty() || last_modified.has_value(); }
  bool VariesBy(std::string_view lowered_name) const;
};
inline constexpr std::size_t kVaryNamesMax = 8;

// What the operator decided for a route.
struct ReusePolicy {
  // Of answers that do not say how long they are fresh; nothing: only those that say so are kept.
  std::optional<CacheSeconds> ttl;
  CacheSeconds stale{0};           // may be given that long after, while a new one is fetched
  CacheSeconds stale_if_error{0};  // or while none can be had
  CacheSeconds negative_ttl{10};   // the longest lifetime of a status from 400 on
  bool names_cookies =
      false;  // which do not matter, or which matter: `Vary: Cookie` has its answer
};

// Why an answer is not kept. The order is that of the rules: the first that holds is told.
enum class NotStored : std::uint8_t {
  kStored,
  kMethod,  // neither GET nor HEAD
  kCookie,  // the request had a cookie that the route does not name
  kRequestNoStore,
  kStatus,  // one that is never kept, or not without the app's word
  kNoStore,
  kPrivate,
  kSetCookie,
  kVaryAny,
  kVaryCookie,
  kAuthorization,
  kNoLifetime,  // nobody says how long it is fresh
  kTooLarge,
  kBrokenOff,
  kPurged,  // while it was fetched
};
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
constexpr std::string_view NameOf(NotStored reason) {
  return kNotStoredNames[static_cast<std::size_t>(reason)];
}

// What of the request matters for that.
struct AskedWith {
  CacheControl control;
  bool authorization = false;
};

// How long a kept answer may be given, counted from when its age was 0.
struct Lifetime {
  Duration fresh{0};
  Duration stale{0};            // after that, while a new one is fetched
  Duration stale_if_error{0};   // likewise, while none can be had
  bool no_cache = false;        // the app is asked each time
  bool must_ask = false;        // never given when it is not fresh, whoever would take it
  bool for_authorized = false;  // also to requests with Authorization (RFC 9111 3.5)
};

struct Judgement {
  NotStored reason = NotStored::kStored;
  Lifetime lifetime;
};

// Of a GET's answer. `received`: the wall clock in seconds since 1970, where the answer has no Date.
Judgement Judge(const ReuseFields& fields,
                const AskedWith& asked,
                const ReusePolicy& policy,
                std::int64_t received);

// RFC 9111 4.2.3: how old an answer was when it was received, `delay` after it was asked for. The
// rest of its age is what a clock that never jumps counts.
Duration InitialAge(const ReuseFields& fields, std::int64_t received, Duration delay);

enum class Use : std::uint8_t {
  kFresh,
  kStale,       // the client says that it takes it so (max-stale)
  kWhileAsked,  // give it, and ask the app behind the client's back
  kAskFirst,
};
// A kept answer of that age, for a request that says `asked`.
Use UseOf(const Lifetime& lifetime, Duration age, const AskedWith& asked);
// Whether it may stand in where the app's answer is an error.
bool MayStandIn(const Lifetime& lifetime, Duration age);

// Whether a 304 brings the field up to date (RFC 9111 3.2); what describes the bytes stays as it was.
bool IsUpdatedBy304(std::string_view name);

}  // namespace onebox::http
