#include "base/units.h"

#include <array>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "base/ascii.h"

namespace onebox {
namespace {

struct NumberAndUnit {
  double number;
  std::string unit;  // in lower case
};

std::optional<NumberAndUnit> Split(std::string_view text) {
  text = Trimmed(text);
  std::size_t end = 0;
  while (end < text.size() && (IsDigit(text[end]) || text[end] == '.'))
    ++end;
  const std::string_view digits = text.substr(0, end);
  const std::size_t point = digits.find('.');
  const auto whole = ParseDecimal(digits.substr(0, point), 1ULL << 53);
  if (!whole) return std::nullopt;
  double number = static_cast<double>(*whole);
  if (point != std::string_view::npos) {
    const std::string_view fraction = digits.substr(point + 1);
    const auto parts = ParseDecimal(fraction, 999'999'999);
    if (!parts) return std::nullopt;
    number += static_cast<double>(*parts) / std::pow(10, static_cast<double>(fraction.size()));
  }
  return NumberAndUnit{number, Lowered(Trimmed(text.substr(end)))};
}

struct TimeUnit {
  std::string_view name;
  std::int64_t nanoseconds;
};
constexpr std::array kTimeUnits = {
    TimeUnit{"ns", 1},
    TimeUnit{"us", 1'000},
    TimeUnit{"ms", 1'000'000},
    TimeUnit{"s", 1'000'000'000},
    TimeUnit{"m", 60'000'000'000},
    TimeUnit{"h", 3'600'000'000'000},
    TimeUnit{"d", 86'400'000'000'000},
};

std::string_view ShortTimeUnit(std::string_view unit) {
  if (unit.empty() || unit == "sec" || unit == "second" || unit == "seconds") return "s";
  if (unit == "min" || unit == "minute" || unit == "minutes") return "m";
  if (unit == "hour" || unit == "hours") return "h";
  if (unit == "day" || unit == "days") return "d";
  return unit;
}

constexpr std::string_view kByteUnits = "kmgt";

}  // namespace

std::optional<std::uint64_t> ParseBytes(std::string_view text) {
  const auto split = Split(text);
  if (!split) return std::nullopt;
  std::string_view unit = split->unit;
  if (unit.ends_with('b')) unit.remove_suffix(1);
  if (unit.ends_with('i') && unit.size() == 2) unit.remove_suffix(1);
  double factor = 1;
  if (!unit.empty()) {
    const std::size_t power = kByteUnits.find(unit);
    if (unit.size() != 1 || power == std::string_view::npos) return std::nullopt;
    factor = std::pow(1024, static_cast<double>(power + 1));
  }
  const double bytes = split->number * factor;
  if (bytes > static_cast<double>(1ULL << 60)) return std::nullopt;
  return static_cast<std::uint64_t>(bytes);
}

std::optional<Duration> ParseDuration(std::string_view text) {
  const auto split = Split(text);
  if (!split) return std::nullopt;
  for (const TimeUnit& unit : kTimeUnits) {
    if (unit.name != ShortTimeUnit(split->unit)) continue;
    const double nanoseconds = split->number * static_cast<double>(unit.nanoseconds);
    if (nanoseconds > 9e18) return std::nullopt;
    return Duration(static_cast<std::int64_t>(nanoseconds));
  }
  return std::nullopt;
}

std::string FormatBytes(std::uint64_t bytes) {
  constexpr std::array kNames = {"TiB", "GiB", "MiB", "KiB"};
  std::uint64_t size = 1ULL << 40;
  for (const char* name : kNames) {
    if (bytes != 0 && bytes % size == 0) return fmt::format("{} {}", bytes / size, name);
    size >>= 10;
  }
  return fmt::format("{} B", bytes);
}

std::string FormatDuration(Duration duration) {
  for (auto unit = kTimeUnits.rbegin(); unit != kTimeUnits.rend(); ++unit) {
    const bool exact = duration.count() % unit->nanoseconds == 0;
    if (duration.count() != 0 && exact) {
      return fmt::format("{}{}", duration.count() / unit->nanoseconds, unit->name);
    }
  }
  return "0s";
}

}  // namespace onebox
