#include "http/preconditions.h"

#include "base/ascii.h"
#include "http/date.h"

namespace onebox::http {
namespace {

// Whether any field of that name is "*" or lists the tag. A list is valid as a whole or matches
// nothing: half of it may say the opposite of all of it.
bool ListMatches(std::string_view list, const Validators& validators, Comparison comparison) {
  if (list == "*") return true;
  bool matches = false;
  while (const auto tag = TakeEntityTag(list)) {
    matches |= validators.etag && Matches(*tag, *validators.etag, comparison);
  }
  return matches && list.empty();
}

bool AnyMatches(const RequestHead& head,
                KnownField name,
                const Validators& validators,
                Comparison comparison) {
  for (const Field& field : head.fields()) {
    if (field.known == name && ListMatches(field.value, validators, comparison)) return true;
  }
  return false;
}

// The date of a field that may come once; nothing where it is missing, repeated or no date.
std::optional<std::int64_t> DateOf(const RequestHead& head, KnownField name, std::int64_t now) {
  const Field* field = head.Find(name);
  if (field == nullptr || head.Repeated(name)) return std::nullopt;
  return ParseDate(field->value, now);
}

bool IsGetOrHead(const RequestHead& head) {
  return head.method == Method::kGet || head.method == Method::kHead;
}

// Steps 1 and 2 of RFC 9110 13.2.2: the client wants to change what it has seen, or nothing.
bool MayProceed(const RequestHead& head, const Validators& validators) {
  if (head.Has(KnownField::kIfMatch)) {
    return AnyMatches(head, KnownField::kIfMatch, validators, Comparison::kStrong);
  }
  const auto since = DateOf(head, KnownField::kIfUnmodifiedSince, validators.now);
  return !since || !validators.last_modified || *validators.last_modified <= *since;
}

// Steps 3 and 4: the client has this one already.
bool HasIt(const RequestHead& head, const Validators& validators) {
  if (head.Has(KnownField::kIfNoneMatch)) {
    return AnyMatches(head, KnownField::kIfNoneMatch, validators, Comparison::kWeak);
  }
  if (!IsGetOrHead(head)) return false;
  const auto since = DateOf(head, KnownField::kIfModifiedSince, validators.now);
  return since && validators.last_modified && *validators.last_modified <= *since;
}

}  // namespace

Verdict EvaluatePreconditions(const RequestHead& head, const Validators& validators) {
  if (!MayProceed(head, validators)) return Verdict::kPreconditionFailed;
  if (!HasIt(head, validators)) return Verdict::kProceed;
  return IsGetOrHead(head) ? Verdict::kNotModified : Verdict::kPreconditionFailed;
}

bool RangeApplies(const RequestHead& head, const Validators& validators) {
  const bool asked = head.Has(KnownField::kRange) && !head.Repeated(KnownField::kRange);
  if (!asked || head.method != Method::kGet) return false;
  if (!head.Has(KnownField::kIfRange)) return true;
  if (head.Repeated(KnownField::kIfRange)) return false;
  const std::string_view condition = head.Value(KnownField::kIfRange);
  if (const auto tag = ParseEntityTag(condition)) {
    return validators.etag && Matches(*tag, *validators.etag, Comparison::kStrong);
  }
  // A file that changes twice in a second has one date: until that second is over the date is weak.
  const auto date = ParseDate(condition, validators.now);
  return date && validators.last_modified == date && *date < validators.now;
}

}  // namespace onebox::http
