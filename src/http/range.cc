#include "http/range.h"

#include <algorithm>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "base/ascii.h"
#include "http/list.h"

namespace onebox::http {
namespace {

constexpr std::string_view kUnit = "bytes";
constexpr std::string_view kPartBegin = "\r\n--";
constexpr std::string_view kPartType = "\r\nContent-Type: ";
constexpr std::string_view kPartRange = "\r\nContent-Range: ";
constexpr std::string_view kPartHeadEnd = "\r\n\r\n";
constexpr std::string_view kMultipartEnd = "--\r\n";

// A range as it was sent, before the size is known.
struct RangeSpec {
  std::optional<std::uint64_t> first;  // nothing: a suffix of `last` bytes
  std::optional<std::uint64_t> last;   // nothing: to the end
};

// A number with more digits than fit lies behind any end, so it is as good as the largest.
std::optional<std::uint64_t> ParsePosition(std::string_view digits) {
  constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();
  if (digits.empty() || !std::all_of(digits.begin(), digits.end(), IsDigit)) return std::nullopt;
  return ParseDecimal(digits, kMax).value_or(kMax);
}

std::optional<RangeSpec> ParseSpec(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == text.npos) return std::nullopt;
  const std::string_view before = text.substr(0, dash);
  const std::string_view after = text.substr(dash + 1);
  const RangeSpec spec{ParsePosition(before), ParsePosition(after)};
  const bool well_formed =
      (spec.first || before.empty()) && (spec.last || after.empty()) && (spec.first || spec.last);
  if (!well_formed) return std::nullopt;
  if (spec.first && spec.last && *spec.first > *spec.last) return std::nullopt;
  return spec;
}

// What the spec means for that size; nothing where it is not satisfiable. `size` is not 0.
std::optional<ByteRange> Resolve(const RangeSpec& spec, std::uint64_t size) {
  if (!spec.first) {
    if (*spec.last == 0) return std::nullopt;
    return ByteRange{size - std::min(*spec.last, size), size - 1};
  }
  if (*spec.first >= size) return std::nullopt;
  return ByteRange{*spec.first, std::min(spec.last.value_or(size - 1), size - 1)};
}

bool Overlap(const ByteRange& a, const ByteRange& b) {
  return a.first <= b.last && b.first <= a.last;
}

bool AnyOverlap(std::span<const ByteRange> ranges) {
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    for (std::size_t j = i + 1; j < ranges.size(); ++j) {
      if (Overlap(ranges[i], ranges[j])) return true;
    }
  }
  return false;
}

// Overlapping ranges would send bytes many times (RFC 9110 17.15): merge them.
void Merge(Ranges& ranges) {
  const auto begin = ranges.slots.begin();
  std::sort(begin,
            begin + static_cast<std::ptrdiff_t>(ranges.count),
            [](const ByteRange& a, const ByteRange& b) { return a.first < b.first; });
  std::size_t kept = 0;
  for (std::size_t i = 1; i < ranges.count; ++i) {
    ByteRange& last = ranges.slots[kept];
    const ByteRange& next = ranges.slots[i];
    if (Overlap(last, next)) {
      last.last = std::max(last.last, next.last);
    } else {
      ranges.slots[++kept] = next;
    }
  }
  ranges.count = kept + 1;
}

}  // namespace

Ranges ParseRange(std::string_view value, std::uint64_t size) {
  const std::size_t equals = std::min(value.find('='), value.size());
  const bool is_bytes = EqualsIgnoreCase(value.substr(0, equals), kUnit) && equals < value.size();
  if (!is_bytes) return {};
  std::string_view list = value.substr(equals + 1);
  Ranges ranges;
  std::size_t specs = 0;
  bool suffix_of_nothing = false;
  while (const auto element = TakeElement(list)) {
    const auto spec = ParseSpec(*element);
    if (!spec || ++specs > kRangesMax) return {};
    if (size == 0) {  // the last bytes of nothing are nothing, which no Content-Range can say
      suffix_of_nothing |= !spec->first && *spec->last > 0;
    } else if (const auto range = Resolve(*spec, size)) {
      ranges.slots[ranges.count++] = *range;
    }
  }
  if (specs == 0 || suffix_of_nothing) return {};
  if (AnyOverlap(ranges.ranges())) Merge(ranges);
  ranges.outcome = ranges.count > 0 ? RangeOutcome::kPartial : RangeOutcome::kUnsatisfiable;
  return ranges;
}

void AppendContentRange(std::string& out, const ByteRange& range, std::uint64_t size) {
  fmt::format_to(std::back_inserter(out), "{} {}-{}/{}", kUnit, range.first, range.last, size);
}

void AppendUnsatisfiedRange(std::string& out, std::uint64_t size) {
  fmt::format_to(std::back_inserter(out), "{} */{}", kUnit, size);
}

void AppendPartHead(std::string& out, const Multipart& multipart, const ByteRange& range) {
  out.append(kPartBegin).append(multipart.boundary);
  out.append(kPartType).append(multipart.media_type);
  out.append(kPartRange);
  AppendContentRange(out, range, multipart.size);
  out.append(kPartHeadEnd);
}

void AppendMultipartEnd(std::string& out, const Multipart& multipart) {
  out.append(kPartBegin).append(multipart.boundary).append(kMultipartEnd);
}

std::uint64_t MultipartBytes(const Multipart& multipart, std::span<const ByteRange> ranges) {
  std::string labels;
  std::uint64_t bytes = 0;
  for (const ByteRange& range : ranges) {
    AppendPartHead(labels, multipart, range);
    bytes += range.size();
  }
  AppendMultipartEnd(labels, multipart);
  return bytes + labels.size();
}

}  // namespace onebox::http
