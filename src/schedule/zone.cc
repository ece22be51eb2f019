#include "schedule/zone.h"

#include <exception>
#include <vector>

#include <date/tz.h>
#include <fmt/format.h>

#include "schedule/wording.h"

namespace onebox::schedule {
namespace {

// Null where there is none; the library throws.
const date::time_zone* Locate(std::string_view name) {
  try {
    return name.empty() ? date::current_zone() : date::locate_zone(std::string(name));
  } catch (const std::exception&) {
    return nullptr;
  }
}

std::string NearestZone(std::string_view name) {
  std::vector<std::string_view> names;
  try {
    for (const date::time_zone& zone : date::get_tzdb().zones)
      names.emplace_back(zone.name());
  } catch (const std::exception&) {  // no database: the name is not what is wrong
    return "; the time zone database cannot be read (package tzdata)";
  }
  return DidYouMean(name, names);
}

}  // namespace

Result<Zone> Zone::Find(std::string_view name) {
  if (const date::time_zone* zone = Locate(name)) return Zone(zone);
  if (name.empty()) return OperatorError("this machine does not say its time zone: name one");
  return OperatorError(
      fmt::format("there is no time zone {}: expected a name like \"Europe/Berlin\" or \"UTC\"{}",
                  Quoted(name),
                  NearestZone(name)));
}

const std::string& Zone::name() const {
  return zone_->name();
}

Stretch Zone::At(sys_seconds instant) const {
  const date::sys_info found = zone_->get_info(instant);
  return {found.begin, found.end, found.offset};
}

// One stretch back is enough: none is shorter than two offsets can differ (zone_test.cc looks at all).
local_seconds Zone::ReachedBefore(const Stretch& stretch) const {
  const Stretch earlier = At(stretch.begin - seconds(1));
  return earlier.Shown(earlier.end);
}

}  // namespace onebox::schedule
