#include "http/reuse.h"

#include <algorithm>

#include "base/ascii.h"
#include "http/date.h"
#include "http/list.h"

namespace onebox::http {
namespace {

enum class StatusKind : std::uint8_t {
  kNever,     // is not a whole answer, or an answer to what only this client asked
  kSaidOnly,  // kept where the answer itself says for how long
  kUsual,     // kept for the route's ttl too
};

StatusKind KindOf(int status) {
  switch (status) {
    case 200:
    case 203:
    case 204:
    case 300:
    case 301:
    case 308:
    case 404:
    case 405:
    case 410:
    case 414:
    case 501:
      return StatusKind::kUsual;
    case 206:
    case 304:
    case 412:
    case 416:
      return StatusKind::kNever;
    default:
      return status >= 200 && status <= 599 ? StatusKind::kSaidOnly : StatusKind::kNever;
  }
}

// RFC 9111 4.2.1.
std::optional<CacheSeconds> SaidLifetime(const ReuseFields& fields, std::int64_t received) {
  if (fields.control.s_maxage) return fields.control.s_maxage;
  if (fields.control.max_age) return fields.control.max_age;
  if (!fields.has_expires) return std::nullopt;
  if (!fields.expires) return CacheSeconds(0);
  const std::int64_t lifetime = *fields.expires - fields.date.value_or(received);
  return std::clamp(CacheSeconds(lifetime), CacheSeconds(0), kCacheSecondsMax);
}

bool MayServeAuthorized(const CacheControl& control) {
  return control.is_public || control.must_revalidate || control.s_maxage.has_value();
}

NotStored Obstacle(const ReuseFields& fields, const AskedWith& asked, const ReusePolicy& policy) {
  if (asked.control.no_store) return NotStored::kRequestNoStore;
  if (KindOf(fields.status) == StatusKind::kNever) return NotStored::kStatus;
  if (fields.control.no_store) return NotStored::kNoStore;
  if (fields.control.is_private) return NotStored::kPrivate;
  if (fields.set_cookie) return NotStored::kSetCookie;
  if (fields.vary_any) return NotStored::kVaryAny;
  if (fields.VariesBy("cookie") && !policy.names_cookies) return NotStored::kVaryCookie;
  if (asked.authorization && !MayServeAuthorized(fields.control)) return NotStored::kAuthorization;
  return NotStored::kStored;
}

}  // namespace

bool ReuseFields::VariesBy(std::string_view lowered_name) const {
  return std::find(vary.begin(), vary.end(), lowered_name) != vary.end();
}

void ReuseFields::Take(std::string_view name, std::string_view value, std::int64_t now) {
  if (EqualsIgnoreCase(name, "Cache-Control")) {
    control.Add(value);
  } else if (EqualsIgnoreCase(name, "Set-Cookie")) {
    set_cookie = true;
  } else if (EqualsIgnoreCase(name, "Vary")) {
    while (const auto element = TakeElement(value)) {
      if (*element == "*") vary_any = true;
      std::string lowered = Lowered(*element);
      if (!VariesBy(lowered)) vary.push_back(std::move(lowered));
      if (vary.size() > kVaryNamesMax) {
        vary_any = true;
        vary.pop_back();
      }
    }
  } else if (EqualsIgnoreCase(name, "Expires")) {
    const auto parsed = ParseDate(value, now);
    // Of two the earlier; one that is no date is in the past.
    const bool earlier = expires && (!parsed || *parsed < *expires);
    if (!has_expires || earlier) expires = parsed;
    has_expires = true;
  } else if (EqualsIgnoreCase(name, "Date")) {
    date = ParseDate(value, now);
  } else if (EqualsIgnoreCase(name, "Last-Modified")) {
    last_modified = ParseDate(value, now);
  } else if (EqualsIgnoreCase(name, "Age")) {
    // One that is no number is passed over (RFC 9111 5.1); of a list the first counts.
    age = std::max(age, ParseDeltaSeconds(TakeElement(value).value_or("")).value_or(age));
  } else if (EqualsIgnoreCase(name, "ETag")) {
    etag = value;
  }
}

Judgement Judge(const ReuseFields& fields,
                const AskedWith& asked,
                const ReusePolicy& policy,
                std::int64_t received) {
  if (const NotStored obstacle = Obstacle(fields, asked, policy); obstacle != NotStored::kStored) {
    return {.reason = obstacle, .lifetime = {}};
  }
  const CacheControl& control = fields.control;
  auto fresh = SaidLifetime(fields, received);
  if (!fresh && !control.no_cache) {
    if (KindOf(fields.status) == StatusKind::kSaidOnly) {
      return {.reason = policy.ttl ? NotStored::kStatus : NotStored::kNoLifetime, .lifetime = {}};
    }
    fresh = policy.ttl;
    if (!fresh) return {.reason = NotStored::kNoLifetime, .lifetime = {}};
  }
  const bool must_ask = control.must_revalidate || control.proxy_revalidate || control.no_cache;
  Lifetime lifetime{.fresh = fresh.value_or(CacheSeconds(0)),
                    .stale = control.stale_while_revalidate.value_or(policy.stale),
                    .stale_if_error = control.stale_if_error.value_or(policy.stale_if_error),
                    .no_cache = control.no_cache,
                    .must_ask = must_ask,
                    .for_authorized = MayServeAuthorized(control)};
  if (control.no_cache) lifetime.fresh = CacheSeconds(0);
  if (must_ask) lifetime.stale = lifetime.stale_if_error = CacheSeconds(0);
  if (fields.status >= 400) {
    lifetime.fresh = std::min<Duration>(lifetime.fresh, policy.negative_ttl);
    lifetime.stale = lifetime.stale_if_error = CacheSeconds(0);
  }
  const bool of_use = lifetime.fresh + lifetime.stale + lifetime.stale_if_error > Duration(0) ||
                      (fields.has_validator() && fields.status < 400);
  return {.reason = of_use ? NotStored::kStored : NotStored::kNoLifetime, .lifetime = lifetime};
}

Duration InitialAge(const ReuseFields& fields, std::int64_t received, Duration delay) {
  const CacheSeconds apparent(
      fields.date ? std::clamp<std::int64_t>(received - *fields.date, 0, kCacheSecondsMax.count())
                  : 0);
  return std::max<Duration>(apparent, fields.age + delay);
}

Use UseOf(const Lifetime& lifetime, Duration age, const AskedWith& asked) {
  const CacheControl& control = asked.control;
  if (control.no_cache || lifetime.no_cache) return Use::kAskFirst;
  if (control.max_age && age > *control.max_age) return Use::kAskFirst;
  const bool fresh = age < lifetime.fresh;
  if (control.min_fresh) {
    return fresh && lifetime.fresh - age >= *control.min_fresh ? Use::kFresh : Use::kAskFirst;
  }
  if (fresh) return Use::kFresh;
  const Duration too_old = age - lifetime.fresh;
  if (too_old < lifetime.stale) return Use::kWhileAsked;
  const bool client_takes_it =
      control.any_stale || (control.max_stale && too_old <= *control.max_stale);
  return client_takes_it && !lifetime.must_ask ? Use::kStale : Use::kAskFirst;
}

bool MayStandIn(const Lifetime& lifetime, Duration age) {
  return age - lifetime.fresh < lifetime.stale_if_error;
}

bool IsUpdatedBy304(std::string_view name) {
  constexpr std::array kOfTheBytes = {std::string_view("Content-Length"),
                                      std::string_view("Content-Encoding"),
                                      std::string_view("Content-Type"),
                                      std::string_view("Content-Range"),
                                      std::string_view("Transfer-Encoding"),
                                      std::string_view("ETag")};
  return std::none_of(kOfTheBytes.begin(), kOfTheBytes.end(), [&](std::string_view one) {
    return EqualsIgnoreCase(name, one);
  });
}

}  // namespace onebox::http
