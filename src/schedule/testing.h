#pragma once
// Times as tests write them.

#include <chrono>
#include <sstream>
#include <string>
#include <string_view>

#include <date/tz.h>

#include "base/check.h"
#include "base/clock.h"
#include "schedule/trigger.h"

namespace onebox::schedule {

// "2026-03-29 01:00:00", in UTC; seconds may be missing.
inline WallTime Utc(std::string_view text) {
  std::string whole(text);
  if (whole.size() == std::string_view("2026-03-29 01:00").size()) whole += ":00";
  std::istringstream in(whole);
  std::chrono::sys_seconds time;
  in >> date::parse("%F %T", time);
  CHECK(!in.fail());
  return WallTime(time);
}

// "2026-03-29 03:00:00 +0200": what the clock of the place shows, and how far it is from UTC.
inline std::string Shown(const Zone& zone, WallTime time) {
  const auto instant = std::chrono::floor<std::chrono::seconds>(time);
  return date::format("%F %T %z", date::make_zoned(zone.name(), instant));
}

inline Trigger Read(TriggerKind kind, std::string_view text, std::string_view zone = "UTC") {
  auto trigger = Trigger::Parse(kind, text, zone);
  if (!trigger.ok()) CheckFailed(trigger.error().message.c_str(), __FILE__, __LINE__);
  return std::move(trigger).value();
}

}  // namespace onebox::schedule
