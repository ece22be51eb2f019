#include "webcache/answer.h"

#include <algorithm>
#include <utility>

#include "base/ascii.h"
#include "http/date.h"
#include "http/etag.h"
#include "http/list.h"
#include "http/response_head.h"

namespace onebox::webcache {
namespace {

constexpr std::uint64_t kAnswerOverhead = 640;  // objects, list and index nodes
constexpr std::uint64_t kFormOverhead = 128;

// Those of RFC 9110 15.4.5, and what a client needs to renew what it has.
bool IsOf304(std::string_view name) {
  constexpr std::array kNames = {std::string_view("Cache-Control"),
                                 std::string_view("Content-Location"),
                                 std::string_view("Date"),
                                 std::string_view("ETag"),
                                 std::string_view("Expires"),
                                 std::string_view("Vary"),
                                 std::string_view("Last-Modified")};
  return std::any_of(kNames.begin(), kNames.end(), [&](std::string_view one) {
    return EqualsIgnoreCase(one, name);
  });
}

bool SaysNoTransform(std::string_view fields) {
  bool says = false;
  ForEachLine(fields, [&](std::string_view name, std::string_view value) {
    if (EqualsIgnoreCase(name, "Cache-Control")) {
      http::CacheControl control;
      control.Add(value);
      says |= control.no_transform;
    }
    // Digests are of the bytes as the app made them.
    says |= EqualsIgnoreCase(name, "Content-Encoding") || EqualsIgnoreCase(name, "Digest") ||
            EqualsIgnoreCase(name, "Content-Digest") || EqualsIgnoreCase(name, "Repr-Digest") ||
            EqualsIgnoreCase(name, "Content-MD5");
  });
  return says;
}

}  // namespace

std::string_view ValueIn(std::string_view lines, std::string_view name) {
  std::string_view found;
  ForEachLine(lines, [&](std::string_view one, std::string_view value) {
    if (found.data() == nullptr && EqualsIgnoreCase(one, name)) found = value;
  });
  return found;
}

void AppendVaryValues(std::string& out,
                      std::span<const std::string> names,
                      const http::RequestHead& head) {
  for (const std::string& name : names) {
    for (const http::Field& field : head.fields()) {
      if (EqualsIgnoreCase(field.name, name)) out.append(field.value).append(",");
    }
    out += '\n';
  }
}

Answer::Answer(Recorded recorded)
    : recorded_(std::move(recorded)),
      etag_(ValueIn(recorded_.fields, "ETag")),
      last_modified_(ValueIn(recorded_.fields, "Last-Modified")),
      media_type_(ValueIn(recorded_.fields, "Content-Type")),
      transformable_(!SaysNoTransform(recorded_.fields)) {
  forms_[0].store(MakeForm(http::Coding::kIdentity, recorded_.bytes).release(),
                  std::memory_order_release);
}

Answer::~Answer() {
  for (const auto& form : forms_)
    delete form.load(std::memory_order_acquire);
}

// A coded form is another representation of the same: its tag is weak, as that of an answer that is
// coded on its way (compression.md).
std::unique_ptr<Form> Answer::MakeForm(http::Coding coding,
                                       std::shared_ptr<const std::string> bytes) const {
  auto form = std::make_unique<Form>();
  const bool coded = coding != http::Coding::kIdentity;
  std::string others;
  ForEachLine(recorded_.fields, [&](std::string_view name, std::string_view value) {
    if (EqualsIgnoreCase(name, "Content-Type")) return;
    if (EqualsIgnoreCase(name, "ETag") && coded && !value.starts_with("W/")) {
      return http::AppendField(form->lines, "ETag", "W/" + std::string(value));
    }
    http::AppendField(IsOf304(name) ? form->lines : others, name, value);
  });
  form->unchanged_size = form->lines.size();
  form->lines += others;
  if (coded) http::AppendField(form->lines, "Content-Encoding", NameOf(coding));
  if (recorded_.status == 200) http::AppendField(form->lines, "Accept-Ranges", "bytes");
  form->partial_size = form->lines.size();
  if (!media_type_.empty()) http::AppendField(form->lines, "Content-Type", media_type_);
  if (http::StatusHasBody(recorded_.status) || recorded_.status == 205) {
    http::AppendField(form->lines, "Content-Length", bytes->size());
  }
  form->lines.shrink_to_fit();
  form->bytes = std::move(bytes);
  return form;
}

const Form* Answer::AddForm(http::Coding coding, std::shared_ptr<const std::string> bytes) const {
  if (bytes == nullptr) {
    not_worth_.fetch_or(static_cast<std::uint8_t>(1U << static_cast<unsigned>(coding)),
                        std::memory_order_relaxed);
    return nullptr;
  }
  auto form = MakeForm(coding, std::move(bytes));
  const Form* expected = nullptr;
  auto& slot = forms_[static_cast<std::size_t>(coding)];
  if (slot.compare_exchange_strong(
          expected, form.get(), std::memory_order_acq_rel, std::memory_order_acquire)) {
    return form.release();
  }
  return expected;
}

http::Validators Answer::ValidatorsOf(http::Coding coding, std::int64_t now) const {
  http::Validators validators{.etag = http::ParseEntityTag(etag_),
                              .last_modified = http::ParseDate(last_modified_, now),
                              .now = now};
  if (validators.etag && coding != http::Coding::kIdentity) validators.etag->weak = true;
  return validators;
}

std::uint64_t Answer::ChargeOf(const Form& form) {
  return kFormOverhead + form.bytes->capacity() + form.lines.capacity();
}

std::uint64_t Answer::charge() const {
  return kAnswerOverhead + recorded_.fields.capacity() + recorded_.vary_values.capacity() +
         ChargeOf(*FormOf(http::Coding::kIdentity));
}

}  // namespace onebox::webcache
