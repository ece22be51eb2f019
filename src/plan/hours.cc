#include "plan/hours.h"

#include <exception>

#include <date/tz.h>

#include "base/ascii.h"

namespace onebox::plan {
namespace {

// "20:30"
std::optional<std::chrono::minutes> ParseTime(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || text.size() - colon != 3) return std::nullopt;
  const auto hours = ParseDecimal(text.substr(0, colon), 23);
  const auto minutes = ParseDecimal(text.substr(colon + 1), 59);
  if (!hours || !minutes) return std::nullopt;
  return std::chrono::hours(*hours) + std::chrono::minutes(*minutes);
}

// Null where there is none; the library throws.
const date::time_zone* FindZone(const std::string& name) {
  try {
    return name.empty() ? date::current_zone() : date::locate_zone(name);
  } catch (const std::exception&) {
    return nullptr;
  }
}

}  // namespace

std::optional<Hours> Hours::Parse(std::string_view text) {
  const std::size_t space = text.find(' ');
  const std::string_view span = text.substr(0, space);
  const std::string zone(space == std::string_view::npos ? "" : text.substr(space + 1));
  const std::size_t dash = span.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto from = ParseTime(span.substr(0, dash));
  const auto to = ParseTime(span.substr(dash + 1));
  if (!from || !to || *from == *to) return std::nullopt;
  if (space != std::string_view::npos && (zone.empty() || FindZone(zone) == nullptr)) {
    return std::nullopt;
  }
  return Hours(std::string(text), *from, *to, zone);
}

// Each moment has one local time, also where clocks are put back: the hour that comes twice counts
// twice.
bool Hours::Cover(WallTime moment) const {
  const date::time_zone* const zone = FindZone(zone_);
  if (zone == nullptr) return false;  // the database has lost it since
  const auto local = zone->to_local(std::chrono::floor<std::chrono::seconds>(moment));
  const auto of_day = local - date::floor<date::days>(local);
  return from_ < to_ ? of_day >= from_ && of_day < to_ : of_day >= from_ || of_day < to_;
}

// No hours are shorter than a minute.
bool Hours::CoverWithin(WallTime moment, std::chrono::minutes ahead) const {
  for (std::chrono::minutes after(0); after <= ahead; ++after) {
    if (Cover(moment + after)) return true;
  }
  return false;
}

}  // namespace onebox::plan
