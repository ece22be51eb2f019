#pragma once
// Intervals as people write them: "5 minutes", "90 s", "2 weeks".

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"
#include "schedule/meaning.h"

namespace onebox::schedule {

constexpr std::chrono::seconds kIntervalMax = std::chrono::days(3660);  // ten years

// An interval is kept to the clock, and not counted from a start, so that no restart moves it:
//   - one that divides a day, at its multiples since local midnight: 5 minutes at :00, :05, ...;
//     6 hours at 0:00, 6:00, 12:00, 18:00. It is due exactly when the cron expression that says the
//     same is: up to an hour it runs on through changes of the clock, over an hour each wall time
//     counts once;
//   - whole days and weeks, at local midnight, counted from a Monday (kFirstMonday): 1 week is each
//     Monday;
//   - any other (7 minutes, 5 hours), at its multiples of real time since that Monday, 00:00 UTC:
//     the distance is always the same, and the time of day moves.
Result<Meaning> ParseEvery(std::string_view text);

// "5 minutes", "1 week": in the largest unit that divides it. Only of what ParseEvery gave.
std::string FormatEvery(const Meaning& meaning);

}  // namespace onebox::schedule
