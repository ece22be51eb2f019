#pragma once
// Times of day and of one date: "21:00", "mon-fri 9:00, 17:30", "2026-12-31 23:59".

#include <string>
#include <string_view>

#include "base/result.h"
#include "schedule/meaning.h"

namespace onebox::schedule {

constexpr std::size_t kTimesOfDayMax = 100;

// One or more times of day, each with seconds or without, after the weekdays if it is not each day;
// or one date and time, which fires once. Commas and spaces part them. A wall time that the clock
// skips is made up for once, right after the change; one that comes twice counts the first time.
Result<WallTimes> ParseAt(std::string_view text);

// A text that reads back as the same. Only of what ParseAt gave.
std::string FormatAt(const WallTimes& times);

}  // namespace onebox::schedule
