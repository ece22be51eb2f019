#include "http/known_field.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/ascii.h"

namespace onebox::http {
namespace {

constexpr std::array<std::string_view, kKnownFields> kNames = {
    "",
    "accept",
    "accept-encoding",
    "accept-language",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "origin",
    "pragma",
    "range",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
};

// A perfect hash: no two names share their length and their last four letters, and the multiplier is
// chosen at compile time so that no two share a slot. "te" is too short for it and asked apart.
constexpr std::size_t kHashedBytesMin = 4;
constexpr unsigned kSlotBits = 8;

// The last four letters in lower case, by setting the bit that tells cases apart. Of other characters
// it makes nothing that is in a name, but for a control character, which is in no token.
std::uint32_t LastFour(std::string_view name) {
  std::uint32_t last = 0;
  std::memcpy(&last, name.data() + name.size() - sizeof last, sizeof last);
  return last | 0x20202020U;
}

constexpr std::uint32_t LastFourAtCompileTime(std::string_view name) {
  std::array<char, 4> last{};
  std::copy(name.end() - 4, name.end(), last.begin());
  return std::bit_cast<std::uint32_t>(last) | 0x20202020U;
}

constexpr std::size_t Slot(std::uint32_t last_four, std::size_t size, std::uint32_t multiplier) {
  const auto mixed = (last_four + static_cast<std::uint32_t>(size) * 0x01000193U) * multiplier;
  return mixed >> (32 - kSlotBits);
}

struct Table {
  std::uint32_t multiplier = 0;
  std::array<std::uint8_t, 1U << kSlotBits> slots{};  // a KnownField, or 0
};

constexpr bool Fill(Table& table) {
  table.slots.fill(0);
  for (std::size_t i = 1; i < kNames.size(); ++i) {
    const std::string_view name = kNames[i];
    if (name.size() < kHashedBytesMin) continue;
    auto& slot = table.slots[Slot(LastFourAtCompileTime(name), name.size(), table.multiplier)];
    if (slot != 0) return false;
    slot = static_cast<std::uint8_t>(i);
  }
  return true;
}

constexpr Table kTable = [] {
  Table table{.multiplier = 0x9e3779b1U};
  while (!Fill(table))
    table.multiplier += 2;
  return table;
}();

// The bits in which the words at `a` and `b` differ, but for those of case.
template <typename Word>
Word Difference(const char* a, const char* b) {
  Word word_a{};
  Word word_b{};
  std::memcpy(&word_a, a, sizeof word_a);
  std::memcpy(&word_b, b, sizeof word_b);
  constexpr auto kCaseBits = static_cast<Word>(0x2020202020202020U);
  return (word_a | kCaseBits) ^ word_b;
}

// Compares the first and the last word of two texts, which overlap where they have to.
template <typename Word>
Word EndsDifference(std::string_view a, std::string_view b) {
  const std::size_t last = a.size() - sizeof(Word);
  return Difference<Word>(a.data(), b.data()) | Difference<Word>(a.data() + last, b.data() + last);
}

// Of equal length, at least 4; `known` is in lower case and made of letters and "-".
bool EqualsKnown(std::string_view name, std::string_view known) {
  if (name.size() < 8) return EndsDifference<std::uint32_t>(name, known) == 0;
  if (name.size() <= 16) return EndsDifference<std::uint64_t>(name, known) == 0;
  const auto middle = Difference<std::uint64_t>(name.data() + 8, known.data() + 8);
  return (EndsDifference<std::uint64_t>(name, known) | middle) == 0;
}
static_assert(std::all_of(kNames.begin(), kNames.end(), [](std::string_view name) {
  return name.size() <= 24;  // three words
}));

}  // namespace

KnownField KnownFieldOf(std::string_view name) {
  if (name.size() < kHashedBytesMin) {
    return EqualsIgnoreCase(name, NameOf(KnownField::kTe)) ? KnownField::kTe : KnownField::kOther;
  }
  const std::size_t index = kTable.slots[Slot(LastFour(name), name.size(), kTable.multiplier)];
  const std::string_view known = kNames[index];
  if (name.size() != known.size() || !EqualsKnown(name, known)) return KnownField::kOther;
  return static_cast<KnownField>(index);
}

std::string_view NameOf(KnownField field) {
  return kNames[static_cast<std::size_t>(field)];
}

}  // namespace onebox::http
