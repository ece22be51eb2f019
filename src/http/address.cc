#include "http/address.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/ascii.h"
#include "http/characters.h"

namespace onebox::http {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

// Takes what stands before `mark`, and the mark; all of `text` where there is none.
std::string_view TakeUntil(std::string_view& text, char mark) {
  const std::size_t end = std::min(text.find(mark), text.size());
  const std::string_view taken = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return taken;
}

std::optional<std::array<std::uint8_t, 4>> ParseV4(std::string_view text) {
  if (std::count(text.begin(), text.end(), '.') != 3) return std::nullopt;
  std::array<std::uint8_t, 4> bytes{};
  for (std::uint8_t& byte : bytes) {
    const std::string_view digits = TakeUntil(text, '.');
    const auto number = ParseDecimal(digits, 255);
    if (!number || (digits.size() > 1 && digits[0] == '0')) return std::nullopt;
    byte = static_cast<std::uint8_t>(*number);
  }
  return bytes;
}

std::optional<std::uint16_t> ParseGroup(std::string_view digits) {
  if (digits.empty() || digits.size() > 4) return std::nullopt;
  unsigned group = 0;
  for (const char c : digits) {
    const auto digit = HexValue(c);
    if (!digit) return std::nullopt;
    group = group * 16 + *digit;
  }
  return static_cast<std::uint16_t>(group);
}

// Up to eight groups of an IPv6 address; an IPv4 address may stand for the last two.
struct Groups {
  std::array<std::uint16_t, 8> values{};
  std::size_t count = 0;

  bool Add(std::uint16_t value) {
    if (count == values.size()) return false;
    values[count++] = value;
    return true;
  }
};

enum class DottedEnd : std::uint8_t { kAllowed, kForbidden };

// "a:b:c", without "::"; may be empty.
std::optional<Groups> ParseGroups(std::string_view text, DottedEnd dotted_end) {
  Groups groups;
  if (text.empty()) return groups;
  if (text.back() == ':') return std::nullopt;
  while (!text.empty()) {
    const std::string_view part = TakeUntil(text, ':');
    if (text.empty() && dotted_end == DottedEnd::kAllowed && part.find('.') != part.npos) {
      const auto v4 = ParseV4(part);
      if (!v4) return std::nullopt;
      const bool fits = groups.Add(static_cast<std::uint16_t>((*v4)[0] << 8 | (*v4)[1])) &&
                        groups.Add(static_cast<std::uint16_t>((*v4)[2] << 8 | (*v4)[3]));
      return fits ? std::optional(groups) : std::nullopt;
    }
    const auto group = ParseGroup(part);
    if (!group || !groups.Add(*group)) return std::nullopt;
  }
  return groups;
}

Address V6Of(const Groups& front, const Groups& back) {
  std::array<std::uint8_t, 16> bytes{};
  const auto put = [&](std::size_t index, std::uint16_t value) {
    bytes[2 * index] = static_cast<std::uint8_t>(value >> 8);
    bytes[2 * index + 1] = static_cast<std::uint8_t>(value & 0xff);
  };
  for (std::size_t i = 0; i < front.count; ++i)
    put(i, front.values[i]);
  for (std::size_t i = 0; i < back.count; ++i)
    put(8 - back.count + i, back.values[i]);
  return Address::V6(bytes);
}

std::optional<Address> ParseV6(std::string_view text) {
  const std::size_t gap = text.find("::");
  if (gap == text.npos) {
    const auto groups = ParseGroups(text, DottedEnd::kAllowed);
    if (!groups || groups->count != 8) return std::nullopt;
    return V6Of(*groups, {});
  }
  const auto front = ParseGroups(text.substr(0, gap), DottedEnd::kForbidden);
  const auto back = ParseGroups(text.substr(gap + 2), DottedEnd::kAllowed);
  if (!front || !back || front->count + back->count > 7) return std::nullopt;
  return V6Of(*front, *back);
}

std::uint16_t GroupOf(const Address& address, std::size_t index) {
  return static_cast<std::uint16_t>(address.data()[2 * index] << 8 | address.data()[2 * index + 1]);
}

// The first of the longest runs of at least two zero groups, as [begin, end).
struct Run {
  std::size_t begin = 0;
  std::size_t end = 0;
};
Run LongestZeroRun(const Address& address) {
  Run longest;
  for (std::size_t begin = 0; begin < 8; ++begin) {
    std::size_t end = begin;
    while (end < 8 && GroupOf(address, end) == 0)
      ++end;
    const bool longer = end - begin > longest.end - longest.begin;
    if (longer && end - begin >= 2) longest = {begin, end};
  }
  return longest;
}

unsigned BitOf(const Address& address, std::size_t index) {
  const unsigned byte = address.data()[index / 8];
  return byte >> (7 - index % 8) & 1U;
}

}  // namespace

Address Address::V4(const std::array<std::uint8_t, 4>& bytes) {
  Address address;
  std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
  return address;
}

Address Address::V6(const std::array<std::uint8_t, 16>& bytes) {
  if (std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes.begin())) {
    return V4({bytes[12], bytes[13], bytes[14], bytes[15]});
  }
  Address address;
  address.bytes_ = bytes;
  address.size_ = 16;
  return address;
}

std::optional<Address> ParseAddress(std::string_view text) {
  if (text.find(':') != text.npos) return ParseV6(text);
  const auto v4 = ParseV4(text);
  if (!v4) return std::nullopt;
  return Address::V4(*v4);
}

std::string FormatAddress(const Address& address) {
  const std::uint8_t* bytes = address.data();
  if (address.IsV4()) return fmt::format("{}.{}.{}.{}", bytes[0], bytes[1], bytes[2], bytes[3]);
  const Run zeros = LongestZeroRun(address);
  std::string text;
  for (std::size_t i = 0; i < 8; ++i) {
    if (i == zeros.begin && zeros.end > zeros.begin) {
      text += "::";
      i = zeros.end - 1;
      continue;
    }
    if (!text.empty() && !text.ends_with(':')) text += ':';
    text += fmt::format("{:x}", GroupOf(address, i));
  }
  return text;
}

bool Network::Contains(const Address& address) const {
  if (address.size() != base_.size()) return false;
  const unsigned whole = bits_ / 8;
  if (!std::equal(base_.data(), base_.data() + whole, address.data())) return false;
  if (bits_ % 8 == 0) return true;
  const unsigned shift = 8 - bits_ % 8;
  return base_.data()[whole] >> shift == address.data()[whole] >> shift;
}

std::optional<Network> ParseNetwork(std::string_view text) {
  const std::size_t slash = std::min(text.find('/'), text.size());
  const auto base = ParseAddress(text.substr(0, slash));
  if (!base) return std::nullopt;
  const std::size_t address_bits = base->size() * 8;
  if (slash == text.size()) return Network(*base, static_cast<unsigned>(address_bits));
  const auto bits = ParseDecimal(text.substr(slash + 1), address_bits);
  if (!bits) return std::nullopt;
  for (std::size_t bit = *bits; bit < address_bits; ++bit) {
    if (BitOf(*base, bit) != 0) return std::nullopt;
  }
  return Network(*base, static_cast<unsigned>(*bits));
}

}  // namespace onebox::http
