#include "webcache/question.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "http/characters.h"
#include "http/response_head.h"

namespace onebox::webcache {
namespace {

using http::KnownField;

struct Cookie {
  std::string_view name;
  std::string_view pair;  // "name=value"
};

// Takes the next pair off "a=1; b=2".
bool TakeCookie(std::string_view& left, Cookie& cookie) {
  while (!left.empty()) {
    const std::size_t end = std::min(left.find(';'), left.size());
    cookie.pair = Trimmed(left.substr(0, end));
    left.remove_prefix(std::min(end + 1, left.size()));
    if (cookie.pair.empty()) continue;
    cookie.name = Trimmed(cookie.pair.substr(0, cookie.pair.find('=')));
    return true;
  }
  return false;
}

template <typename Take>
void ForEachCookie(const http::RequestHead& head, Take take) {
  if (!head.Has(KnownField::kCookie)) return;
  for (const http::Field& field : head.fields()) {
    if (field.known != KnownField::kCookie) continue;
    Cookie cookie;
    for (std::string_view left = field.value; TakeCookie(left, cookie);)
      take(cookie);
  }
}

// Characters that stand for themselves in a path: RFC 3986's pchar.
bool IsPlain(char c) {
  constexpr std::string_view kOthers = "-._~!$&'()*+,;=:@/";
  return IsAlpha(c) || IsDigit(c) || kOthers.find(c) != kOthers.npos;
}

// Whether `raw` is the one way to write the path that everybody writes: what needs no escape has none,
// the rest has one in upper case.
bool IsUsualForm(std::string_view raw, const http::NormalPath& normal) {
  if (normal.resolved || normal.encoded_slash || normal.backslash) return false;
  if (raw == normal.path && std::all_of(raw.begin(), raw.end(), IsPlain)) return true;
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::size_t at = 0;
  for (const char c : normal.path) {
    const auto byte = static_cast<unsigned char>(c);
    if (IsPlain(c)) {
      if (at >= raw.size() || raw[at] != c) return false;
      ++at;
    } else {
      const std::array<char, 3> escape = {'%', kDigits[byte >> 4], kDigits[byte & 15]};
      if (raw.substr(at, 3) != std::string_view(escape.data(), escape.size())) return false;
      at += 3;
    }
  }
  return at == raw.size();
}

// Apps read these as another method or another path than the key's; X-Forwarded-* of strangers never
// reach an app, and what a trusted proxy says of the host is in the key.
bool Misleads(std::string_view name) {
  constexpr std::array kNames = {std::string_view("X-Original-URL"),
                                 std::string_view("X-Rewrite-URL"),
                                 std::string_view("X-HTTP-Method-Override"),
                                 std::string_view("X-HTTP-Method"),
                                 std::string_view("X-Method-Override")};
  return std::any_of(kNames.begin(), kNames.end(), [&](std::string_view one) {
    return EqualsIgnoreCase(one, name);
  });
}

// Of the client's own copy, or of how this one answer is to travel.
bool IsForTheCache(const http::Field& field, Question::Coded coded) {
  switch (field.known) {
    case KnownField::kCookie:
    case KnownField::kIfMatch:
    case KnownField::kIfNoneMatch:
    case KnownField::kIfModifiedSince:
    case KnownField::kIfUnmodifiedSince:
    case KnownField::kIfRange:
    case KnownField::kRange:
    case KnownField::kCacheControl:
    case KnownField::kPragma:
      return true;
    case KnownField::kAcceptEncoding:
      return coded == Question::Coded::kByUs;
    default:
      return false;
  }
}

}  // namespace

bool MatchesAny(const std::vector<std::string>& patterns, std::string_view name) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    if (!pattern.ends_with('*')) return name == pattern;
    return name.starts_with(std::string_view(pattern).substr(0, pattern.size() - 1));
  });
}

// Whether all of them are named by the route.
bool Question::TakeCookies(const http::RequestHead& head, const Rules& rules) {
  bool all_named = true;
  ForEachCookie(head, [&](const Cookie& cookie) {
    if (MatchesAny(rules.key_cookies, cookie.name)) {
      if (!cookies_.empty()) cookies_ += "; ";
      cookies_ += cookie.pair;
    } else if (MatchesAny(rules.ignore_cookies, cookie.name)) {
      strips_ = true;
    } else {
      all_named = false;
    }
  });
  return all_named;
}

void Question::TakeTarget(const http::RequestHead& head, const Rules& rules) {
  key_.AppendTarget(head.path);
  if (!rules.key_query) {
    strips_ |= head.has_query;
    return;
  }
  if (rules.ignore_query.empty()) {
    if (head.has_query) {
      key_.AppendTarget("?");
      key_.AppendTarget(head.query);
    }
    return;
  }
  std::string_view between = "?";
  for (std::string_view left = head.query; !left.empty();) {
    const std::size_t end = std::min(left.find('&'), left.size());
    const std::string_view pair = left.substr(0, end);
    left.remove_prefix(std::min(end + 1, left.size()));
    if (MatchesAny(rules.ignore_query, pair.substr(0, pair.find('=')))) {
      strips_ = true;
      continue;
    }
    key_.AppendTarget(between);
    key_.AppendTarget(pair);
    between = "&";
  }
}

void Question::Read(const http::RequestHead& head,
                    const http::NormalPath& path,
                    const http::Origin& origin,
                    const Rules& rules) {
  strips_ = false;
  cookies_.clear();
  asked_ = {};
  bypass_ = Bypass::kNo;
  if (head.method != http::Method::kGet && head.method != http::Method::kHead) {
    bypass_ = Bypass::kMethod;
  } else if (head.framing != http::Framing::kNone || head.Has(KnownField::kUpgrade)) {
    bypass_ = Bypass::kBody;
  } else if (!IsUsualForm(head.path, path)) {
    bypass_ = Bypass::kSpelling;
  } else if (!TakeCookies(head, rules)) {
    bypass_ = Bypass::kCookie;
  }
  if (bypass_ != Bypass::kNo) return;
  key_.Begin(origin.scheme.empty() ? "http" : origin.scheme,
             origin.host.empty() ? head.host : origin.host);
  TakeTarget(head, rules);
  key_.EndUrl();
  if (origin.from_trusted_proxy &&
      head.Has(KnownField::kXForwardedPrefix)) {  // where the app is mounted
    key_.AppendPart("prefix", head.Value(KnownField::kXForwardedPrefix));
  }
  if (!cookies_.empty()) key_.AppendPart("cookies", cookies_);
  for (const std::string& name : rules.key_headers) {
    for (const http::Field& field : head.fields()) {
      if (EqualsIgnoreCase(field.name, name)) key_.AppendPart(name, field.value);
    }
  }
  if (head.Has(KnownField::kCacheControl)) {
    for (const http::Field& field : head.fields()) {
      if (field.known == KnownField::kCacheControl) asked_.control.Add(field.value);
    }
  }
  asked_.authorization = head.Has(KnownField::kAuthorization);
}

void Question::AppendFetchHead(std::string& out,
                               const http::RequestHead& head,
                               Coded coded,
                               const Answer* known) const {
  out.append("GET ").append(key_.target()).append(" HTTP/1.1\r\n");
  for (const http::Field& field : head.fields()) {
    if (IsForTheCache(field, coded) || Misleads(field.name)) continue;
    http::AppendField(out, field.name, field.value);
  }
  if (!head.Has(KnownField::kHost)) http::AppendField(out, "Host", head.host);
  if (!cookies_.empty()) http::AppendField(out, "Cookie", cookies_);
  if (known != nullptr && !known->etag().empty()) {
    http::AppendField(out, "If-None-Match", known->etag());
  }
  if (known != nullptr && !known->last_modified().empty()) {
    http::AppendField(out, "If-Modified-Since", known->last_modified());
  }
  out += "\r\n";
}

}  // namespace onebox::webcache
