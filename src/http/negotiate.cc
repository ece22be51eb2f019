#include "http/negotiate.h"

#include <algorithm>
#include <array>
#include <compare>
#include <span>

#include "base/ascii.h"
#include "http/characters.h"
#include "http/list.h"

namespace onebox::http {
namespace {

constexpr std::uint16_t kFull = 1000;
constexpr std::size_t kIdentity = static_cast<std::size_t>(Coding::kIdentity);

// "gzip", "gzip;q=0.5", "gzip ; Q=1"
struct Preference {
  std::string_view name;
  std::uint16_t weight = kFull;
};

std::optional<Preference> ParsePreference(std::string_view element) {
  const std::size_t semicolon = std::min(element.find(';'), element.size());
  Preference preference{.name = Trimmed(element.substr(0, semicolon))};
  if (!IsToken(preference.name)) return std::nullopt;
  if (semicolon == element.size()) return preference;
  const std::string_view weight = Trimmed(element.substr(semicolon + 1));
  if (!weight.starts_with("q=") && !weight.starts_with("Q=")) return std::nullopt;
  const auto quality = ParseQuality(weight.substr(2));
  if (!quality) return std::nullopt;
  preference.weight = *quality;
  return preference;
}

}  // namespace

std::optional<std::uint16_t> ParseQuality(std::string_view text) {
  if (text.empty() || text[0] < '0' || text[0] > '1') return std::nullopt;
  std::string_view digits = text.substr(1);
  if (!digits.empty()) {
    if (digits[0] != '.' || digits.size() > 4) return std::nullopt;
    digits.remove_prefix(1);
  }
  unsigned thousandths = text[0] == '1' ? kFull : 0;
  unsigned place = 100;
  for (const char digit : digits) {
    if (!IsDigit(digit)) return std::nullopt;
    thousandths += place * static_cast<unsigned>(digit - '0');
    place /= 10;
  }
  if (thousandths > kFull) return std::nullopt;
  return static_cast<std::uint16_t>(thousandths);
}

namespace {

// How well an element of Accept fits: its weight, then how exactly it names the type.
struct Fit {
  std::uint16_t weight = 0;
  std::uint16_t exactness = 0;
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 sees a pointer in the 0 that <=> stands for
  auto operator<=>(const Fit&) const = default;
};

// Parameters of the type are passed over, so that "text/html;level=1;q=0.5" has its weight.
Fit FitOf(std::string_view element, std::span<const std::string_view> types) {
  const std::string_view range = Trimmed(element.substr(0, element.find(';')));
  Fit fit{.weight = kFull};
  while (element.find(';') != element.npos) {
    element.remove_prefix(element.find(';') + 1);
    const std::string_view parameter = Trimmed(element.substr(0, element.find(';')));
    if (!parameter.starts_with("q=") && !parameter.starts_with("Q=")) continue;
    fit.weight = ParseQuality(parameter.substr(2)).value_or(0);
  }
  for (const std::string_view type : types) {
    const bool whole =
        range.ends_with("/*") &&
        EqualsIgnoreCase(range.substr(0, range.size() - 1), type.substr(0, type.find('/') + 1));
    if (EqualsIgnoreCase(range, type)) fit.exactness = 3;
    if (whole && fit.exactness < 2) fit.exactness = 2;
  }
  if (range == "*/*") fit.exactness = 1;
  return fit.exactness == 0 || fit.weight == 0 ? Fit() : fit;
}

}  // namespace

bool PrefersJson(std::string_view accept) {
  constexpr std::array<std::string_view, 2> kJson = {"application/json",
                                                     "application/problem+json"};
  constexpr std::array<std::string_view, 2> kText = {"text/html", "text/plain"};
  Fit json, text;
  bool json_first = false;
  while (const auto element = TakeElement(accept)) {
    const Fit as_json = FitOf(*element, kJson);
    const Fit as_text = FitOf(*element, kText);
    text = std::max(text, as_text);
    if (as_json > json) {
      json = as_json;
      json_first = json > text;
    }
  }
  return json > text || (json == text && json_first);
}

AcceptedCodings::AcceptedCodings(const RequestHead& head) {
  weights_.fill(kUnnamed);
  if (head.Has(KnownField::kAcceptEncoding)) {
    for (const Field& field : head.fields()) {
      if (field.known != KnownField::kAcceptEncoding) continue;
      std::string_view list = field.value;
      while (const auto element = TakeElement(list))
        Take(*element);
    }
  }
  // Identity is acceptable until it is ruled out, but whoever names another prefers that one.
  if (weights_[kIdentity] == kUnnamed) weights_[kIdentity] = any_ == 0 ? 0 : 1;
  const std::uint16_t unnamed = any_ == kUnnamed ? std::uint16_t{0} : any_;
  std::replace(weights_.begin(), weights_.end(), kUnnamed, unnamed);
}

void AcceptedCodings::Take(std::string_view element) {
  const auto preference = ParsePreference(element);
  if (!preference) return;
  if (preference->name == "*") {
    any_ = preference->weight;
  } else if (const auto coding = CodingOf(preference->name)) {
    weights_[static_cast<std::size_t>(*coding)] = preference->weight;
  }
}

std::optional<Coding> AcceptedCodings::Choose(std::span<const Coding> available) const {
  std::optional<Coding> best;
  for (const Coding coding : available) {
    if (weight(coding) > (best ? weight(*best) : 0)) best = coding;
  }
  const unsigned best_weight = best ? weight(*best) : 0;
  if (weight(Coding::kIdentity) > best_weight) return Coding::kIdentity;
  return best;
}

}  // namespace onebox::http
