#include "main/report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include <fmt/format.h>

#include "base/check.h"
#include "base/json.h"
#include "telemetry/civil_time.h"
#include "telemetry/escape.h"

namespace onebox::main {
namespace {

using nlohmann::json;

constexpr double kSecondsMax = 9e9;  // a WallTime ends in 2262
constexpr std::string_view kNone = "-";

// Characters, as a terminal counts most of them.
std::size_t WidthOf(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
  }));
}

std::string Printable(std::string_view text) {
  std::string out;
  telemetry::AppendPrintable(out, text);
  return out;
}

std::vector<std::string_view> LinesOf(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string WithTwoUnits(std::int64_t seconds) {
  struct Unit {
    char name;
    std::int64_t seconds;
  };
  constexpr std::array kUnits = {Unit{'d', 86'400}, Unit{'h', 3600}, Unit{'m', 60}, Unit{'s', 1}};
  for (std::size_t i = 0; i + 1 < kUnits.size(); ++i) {
    const std::int64_t whole = seconds / kUnits[i].seconds;
    if (whole == 0) continue;
    const std::int64_t rest = seconds % kUnits[i].seconds / kUnits[i + 1].seconds;
    std::string text = fmt::format("{}{}", whole, kUnits[i].name);
    return rest == 0 ? text : fmt::format("{} {}{}", text, rest, kUnits[i + 1].name);
  }
  return fmt::format("{}s", seconds);
}

}  // namespace

void Table::Add(std::vector<std::string> row) {
  CHECK(row.size() == columns_.size());
  rows_.push_back(std::move(row));
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    widths.push_back(WidthOf(columns_[i].name));
    for (const auto& row : rows_)
      widths[i] = std::max(widths[i], WidthOf(row[i]));
  }
  std::string out;
  const auto add = [&](const auto& cell_of) {
    std::string line;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string_view cell = cell_of(i);
      const std::string blanks(widths[i] - WidthOf(cell), ' ');
      line += "  ";
      if (columns_[i].align == Align::kRight) line += blanks;
      line += cell;
      if (columns_[i].align == Align::kLeft) line += blanks;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  };
  add([this](std::size_t i) { return columns_[i].name; });
  for (const auto& row : rows_)
    add([&row](std::size_t i) { return std::string_view(row[i]); });
  return out;
}

std::string ShowTime(const json& unix_seconds) {
  if (!unix_seconds.is_number()) return std::string(kNone);
  const auto number = unix_seconds.get<double>();
  if (!(std::abs(number) < kSecondsMax)) return std::string(kNone);
  const std::tm fields = telemetry::LocalFields(static_cast<std::time_t>(std::floor(number)));
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
                     fields.tm_year + 1900,
                     fields.tm_mon + 1,
                     fields.tm_mday,
                     fields.tm_hour,
                     fields.tm_min,
                     fields.tm_sec);
}

std::string ShowSpan(const json& seconds) {
  if (!seconds.is_number()) return std::string(kNone);
  const double span = std::max(0.0, seconds.get<double>());
  if (!(span < kSecondsMax)) return std::string(kNone);
  if (span >= 10) return WithTwoUnits(std::llround(span));
  if (span >= 1) return fmt::format("{:.1f}s", span);
  return fmt::format("{}ms", std::llround(span * 1000));
}

std::string ShowSpan(const json& from, double to) {
  return from.is_number() ? ShowSpan(to - from.get<double>()) : std::string(kNone);
}

std::string ShowText(const json& text) {
  return Printable(Text(text));
}

std::string ShowLastLine(const json& text) {
  const std::string whole = Text(text);
  const auto lines = LinesOf(whole);
  const auto last = std::find_if(lines.rbegin(), lines.rend(), [](std::string_view line) {
    return line.find_first_not_of(" \t\r") != line.npos;
  });
  return last == lines.rend() ? "" : Printable(*last);
}

std::string ShowLines(const json& text, std::string_view indent) {
  const std::string whole = Text(text);
  std::string out;
  for (const std::string_view line : LinesOf(whole)) {
    out += fmt::format("{}{}\n", indent, Printable(line));
  }
  return out;
}

std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace) + '\n';
}

}  // namespace onebox::main
