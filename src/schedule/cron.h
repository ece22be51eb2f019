#pragma once
// Cron expressions: "*/15 9-17 * * MON-FRI".

#include <string>
#include <string_view>

#include "base/result.h"
#include "schedule/meaning.h"

namespace onebox::schedule {

// The five fields of crontab(5): minute, hour, day of month, month, weekday; or @hourly, @daily,
// @midnight, @weekly, @monthly, @yearly, @annually. Names (JAN, monday) may stand wherever numbers
// may; 0 and 7 are Sunday; weekdays may pass the end of the week ("FRI-MON").
//
// As in Vixie's cron, where neither the day of month nor the weekday begins with a star, a day that
// is right as one of the two is meant; else it has to be right as both.
//
// As there, too, a wall time that comes twice because the clock is put back counts twice only where
// the expression runs through the hour: its minute begins with a star, or every hour is meant. And
// one that the clock skips is made up for once, right after the change, but where every hour is
// meant. (cron(8) says that jobs "with a granularity greater than one hour" are among those that are
// looked after. So "0 */2 * * *" is here, although Vixie's code takes each star for a wildcard.)
//
// Refused, with what to write instead: a sixth field (seconds come first in Quartz and last in
// croniter), ?, L, W and #, @reboot, and days that never come.
Result<WallTimes> ParseCron(std::string_view text);

// An expression that reads back as the same. Only of what ParseCron gave.
std::string FormatCron(const WallTimes& times);

}  // namespace onebox::schedule
