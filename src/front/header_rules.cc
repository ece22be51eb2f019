#include "front/header_rules.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/ascii.h"
#include "base/check.h"
#include "http/response_head.h"

namespace onebox::front {
namespace {

// RFC 9110 7.6.1, and what frames a message or a part of it.
constexpr std::array<std::string_view, 10> kNotForRules = {"connection",
                                                           "content-length",
                                                           "content-range",
                                                           "keep-alive",
                                                           "proxy-connection",
                                                           "te",
                                                           "trailer",
                                                           "transfer-encoding",
                                                           "upgrade",
                                                           "x-request-id"};

// What is written anew for who is asked, or was agreed on with him.
constexpr std::array<std::string_view, 6> kNotForRequestRules = {"expect",
                                                                 "host",
                                                                 "http2-settings",
                                                                 "proxy-authenticate",
                                                                 "proxy-authorization",
                                                                 "sec-websocket-key"};

bool IsOneOf(std::span<const std::string_view> names, std::string_view name) {
  return std::any_of(names.begin(), names.end(), [name](std::string_view other) {
    return EqualsIgnoreCase(name, other);
  });
}

struct SecurityField {
  std::string_view name;
  std::string_view value;
  bool secure_only = false;
};

// Each of these is in the way of no app that does not want what it forbids: windows of a sign-in may
// open, and the Referer that Django looks at over https stays within the site.
constexpr std::array kOn = {
    SecurityField{"Strict-Transport-Security", "max-age=31536000", true},
    SecurityField{"X-Content-Type-Options", "nosniff"},
    SecurityField{"X-Frame-Options", "SAMEORIGIN"},
    SecurityField{"Referrer-Policy", "strict-origin-when-cross-origin"},
    SecurityField{"Cross-Origin-Opener-Policy", "same-origin-allow-popups"},
    SecurityField{"Permissions-Policy",
                  "camera=(self), geolocation=(self), microphone=(self), payment=(self), "
                  "usb=(self)"},
};
constexpr std::array kStrict = {
    SecurityField{"Strict-Transport-Security", "max-age=63072000; includeSubDomains", true},
    SecurityField{"X-Content-Type-Options", "nosniff"},
    SecurityField{"X-Frame-Options", "DENY"},
    SecurityField{"Content-Security-Policy",
                  "base-uri 'self'; frame-ancestors 'none'; object-src 'none'"},
    SecurityField{"Referrer-Policy", "same-origin"},
    SecurityField{"Cross-Origin-Opener-Policy", "same-origin"},
    SecurityField{"Cross-Origin-Resource-Policy", "same-origin"},
    SecurityField{"Permissions-Policy",
                  "camera=(), geolocation=(), microphone=(), payment=(), usb=()"},
};

std::span<const SecurityField> FieldsOf(SecurityHeaders security) {
  switch (security) {
    case SecurityHeaders::kOff:
      return {};
    case SecurityHeaders::kOn:
      return kOn;
    case SecurityHeaders::kStrict:
      return kStrict;
  }
  CHECK(false);
}

// The bytes from `begin` to `end` to `to`, which is before them.
void Move(std::string& out, std::size_t begin, std::size_t end, std::size_t to) {
  const auto at = [&out](std::size_t place) {
    return out.begin() + static_cast<std::ptrdiff_t>(place);
  };
  std::copy(at(begin), at(end), at(to));
}

}  // namespace

bool IsFieldForRules(std::string_view name) {
  return http::IsValidFieldName(name) && !IsOneOf(kNotForRules, name);
}

bool IsFieldForRequestRules(std::string_view name) {
  return IsFieldForRules(name) && !IsOneOf(kNotForRequestRules, name);
}

std::string_view HeaderRules::Rule::value() const {
  constexpr std::size_t kColonAndCrlf = 4;  // ": " and "\r\n"
  return std::string_view(line).substr(name.size() + 2, line.size() - name.size() - kColonAndCrlf);
}

HeaderRules::HeaderRules(SecurityHeaders security) {
  for (const SecurityField& field : FieldsOf(security))
    Put(Kind::kDefault, field.name, field.value, field.secure_only);
}

HeaderRules HeaderRules::Under(const HeaderChanges& narrower) const {
  HeaderRules both = *this;
  for (const std::string& name : narrower.remove)
    both.Drop(name);
  for (const auto& [name, value] : narrower.set)
    both.Drop(name);
  for (const auto& [name, value] : narrower.defaults) {
    std::erase_if(both.rules_, [&name = name](const Rule& rule) {
      return rule.kind != Kind::kSet && rule.kind != Kind::kAdd &&
             EqualsIgnoreCase(rule.name, name);
    });
  }
  for (const std::string& name : narrower.remove)
    both.Put(Kind::kRemove, name, {});
  for (const auto& [name, value] : narrower.set)
    both.Put(Kind::kSet, name, value);
  for (const auto& [name, value] : narrower.add)
    both.Put(Kind::kAdd, name, value);
  for (const auto& [name, value] : narrower.defaults)
    both.Put(Kind::kDefault, name, value);
  return both;
}

void HeaderRules::Drop(std::string_view name) {
  std::erase_if(rules_, [name](const Rule& rule) { return EqualsIgnoreCase(rule.name, name); });
}

void HeaderRules::Put(Kind kind, std::string_view name, std::string_view value, bool secure_only) {
  std::string line;
  if (kind != Kind::kRemove) http::AppendField(line, name, value);
  rules_.push_back({kind, std::string(name), std::move(line), secure_only});
}

// Whether the field goes; which defaults it stands for is added to `present`.
bool HeaderRules::Takes(std::string_view name, std::uint64_t& present) const {
  bool takes = false;
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    if (!EqualsIgnoreCase(rules_[i].name, name)) continue;
    takes = takes || rules_[i].kind == Kind::kRemove || rules_[i].kind == Kind::kSet;
    present |= std::uint64_t{1} << i;
  }
  return takes;
}

void HeaderRules::Apply(std::string& out, std::size_t begin, bool secure) const {
  CHECK(rules_.size() <= kHeaderRulesMax);
  if (rules_.empty()) return;
  std::uint64_t present = 0;  // a bit for each rule whose field the answer has
  std::size_t kept = begin;
  for (std::size_t at = begin; at < out.size();) {
    const std::size_t end = std::min(out.find('\n', at), out.size() - 1) + 1;
    const std::string_view line = std::string_view(out).substr(at, end - at);
    if (!Takes(line.substr(0, line.find(':')), present)) {
      if (kept != at) Move(out, at, end, kept);
      kept += end - at;
    }
    at = end;
  }
  out.resize(kept);
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    const Rule& rule = rules_[i];
    const bool there = rule.kind == Kind::kDefault && (present >> i & 1) != 0;
    if (!there && (secure || !rule.secure_only)) out += rule.line;
  }
}

void HeaderRules::Apply(std::vector<channel::Field>& fields) const {
  CHECK(rules_.size() <= kHeaderRulesMax);
  if (rules_.empty()) return;
  std::uint64_t present = 0;  // a bit for each rule whose field the request has
  std::erase_if(fields, [&](const channel::Field& field) { return Takes(field.name, present); });
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    const Rule& rule = rules_[i];
    const bool there = rule.kind == Kind::kDefault && (present >> i & 1) != 0;
    if (!there && rule.kind != Kind::kRemove) fields.push_back({rule.name, rule.value()});
  }
}

}  // namespace onebox::front
