#include "http/date.h"

#include <algorithm>

#include "base/ascii.h"

namespace onebox::http {
namespace {

constexpr std::int64_t kSecondsPerDay = 86'400;

constexpr std::array<std::string_view, 7> kWeekdays =
    {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths =
    {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct Civil {
  std::int64_t year = 1970;
  std::int64_t month = 1;  // 1 to 12
  std::int64_t day = 1;    // 1 to 31
};

// Both after Howard Hinnant's "chrono-compatible low-level date algorithms": years begin in March, so
// that the leap day is the last, and 400 of them have 146,097 days. Years from 0 on.
constexpr std::int64_t DaysOf(const Civil& date) {
  const std::int64_t year = date.year - (date.month <= 2 ? 1 : 0) + 400;  // never negative
  const std::int64_t era = year / 400;
  const std::int64_t year_of_era = year % 400;
  const std::int64_t month_from_march = (date.month + 9) % 12;
  const std::int64_t day_of_year = (153 * month_from_march + 2) / 5 + date.day - 1;
  const std::int64_t day_of_era =
      year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return (era - 1) * 146'097 + day_of_era - 719'468;
}

constexpr Civil CivilOf(std::int64_t days) {
  const std::int64_t shifted = days + 719'468;
  const std::int64_t era = shifted / 146'097;
  const std::int64_t day_of_era = shifted % 146'097;
  const std::int64_t year_of_era =
      (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const std::int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t month_from_march = (5 * day_of_year + 2) / 153;
  const std::int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
  return {.year = year_of_era + era * 400 + (month <= 2 ? 1 : 0),
          .month = month,
          .day = day_of_year - (153 * month_from_march + 2) / 5 + 1};
}

static_assert(DaysOf({1970, 1, 1}) == 0 && DaysOf({2000, 3, 1}) == 11'017);
static_assert(CivilOf(11'016).day == 29 && CivilOf(11'016).month == 2);

constexpr bool IsLeap(std::int64_t year) {
  return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

constexpr std::int64_t DaysInMonth(const Civil& date) {
  if (date.month == 2) return IsLeap(date.year) ? 29 : 28;
  return date.month == 4 || date.month == 6 || date.month == 9 || date.month == 11 ? 30 : 31;
}

// Reads a date from the left. The first thing that is not as it should be fails it for good.
class DateReader {
 public:
  explicit DateReader(std::string_view text) : rest_(text) {}

  void Literal(std::string_view literal) {
    if (!rest_.starts_with(literal)) return Fail();
    rest_.remove_prefix(literal.size());
  }

  std::int64_t Digits(std::size_t count) {
    const auto number = ParseDecimal(rest_.substr(0, count), 9999);
    if (rest_.size() < count || !number) {
      Fail();
      return 0;
    }
    rest_.remove_prefix(count);
    return static_cast<std::int64_t>(*number);
  }

  // asctime pads the day with a space.
  std::int64_t PaddedDay() {
    if (!rest_.starts_with(' ')) return Digits(2);
    rest_.remove_prefix(1);
    return Digits(1);
  }

  std::int64_t Month() {
    const auto* month = std::find(kMonths.begin(), kMonths.end(), rest_.substr(0, 3));
    if (month == kMonths.end()) {
      Fail();
      return 1;
    }
    rest_.remove_prefix(3);
    return month - kMonths.begin() + 1;
  }

  // "08:49:37"; a leap second counts as the second after it.
  std::int64_t TimeOfDay() {
    const std::int64_t hour = Digits(2);
    Literal(":");
    const std::int64_t minute = Digits(2);
    Literal(":");
    const std::int64_t second = Digits(2);
    if (hour > 23 || minute > 59 || second > 60) Fail();
    return (hour * 60 + minute) * 60 + second;
  }

  std::optional<std::int64_t> Finish(const Civil& date, std::int64_t time_of_day) {
    const bool exists = date.day >= 1 && date.day <= DaysInMonth(date);
    if (failed_ || !rest_.empty() || !exists) return std::nullopt;
    return DaysOf(date) * kSecondsPerDay + time_of_day;
  }

 private:
  void Fail() {
    failed_ = true;
    rest_ = {};
  }

  std::string_view rest_;
  bool failed_ = false;
};

// "06 Nov 1994 08:49:37 GMT", after the weekday.
std::optional<std::int64_t> ParseFixdate(std::string_view text) {
  DateReader reader(text);
  Civil date;
  date.day = reader.Digits(2);
  reader.Literal(" ");
  date.month = reader.Month();
  reader.Literal(" ");
  date.year = reader.Digits(4);
  reader.Literal(" ");
  const std::int64_t time_of_day = reader.TimeOfDay();
  reader.Literal(" GMT");
  return reader.Finish(date, time_of_day);
}

// "06-Nov-94 08:49:37 GMT", after the weekday.
std::optional<std::int64_t> ParseRfc850(std::string_view text, std::int64_t now) {
  DateReader reader(text);
  Civil date;
  date.day = reader.Digits(2);
  reader.Literal("-");
  date.month = reader.Month();
  reader.Literal("-");
  const std::int64_t this_year =
      CivilOf(std::clamp<std::int64_t>(now, 0, kDateMax) / kSecondsPerDay).year;
  date.year = this_year - this_year % 100 + reader.Digits(2);
  if (date.year > this_year + 50) date.year -= 100;
  reader.Literal(" ");
  const std::int64_t time_of_day = reader.TimeOfDay();
  reader.Literal(" GMT");
  return reader.Finish(date, time_of_day);
}

// "Nov  6 08:49:37 1994", after the weekday.
std::optional<std::int64_t> ParseAsctime(std::string_view text) {
  DateReader reader(text);
  Civil date;
  date.month = reader.Month();
  reader.Literal(" ");
  date.day = reader.PaddedDay();
  reader.Literal(" ");
  const std::int64_t time_of_day = reader.TimeOfDay();
  reader.Literal(" ");
  date.year = reader.Digits(4);
  return reader.Finish(date, time_of_day);
}

void PutTwoDigits(char* at, std::int64_t number) {
  at[0] = static_cast<char>('0' + number / 10 % 10);
  at[1] = static_cast<char>('0' + number % 10);
}

}  // namespace

DateText FormatDate(std::int64_t seconds) {
  seconds = std::clamp<std::int64_t>(seconds, 0, kDateMax);
  const std::int64_t days = seconds / kSecondsPerDay;
  const std::int64_t second_of_day = seconds % kSecondsPerDay;
  const Civil date = CivilOf(days);
  const std::string_view weekday = kWeekdays[static_cast<std::size_t>((days + 4) % 7)].substr(0, 3);
  const std::string_view month = kMonths[static_cast<std::size_t>(date.month - 1)];

  constexpr std::string_view kShape = "Sun, 06 Nov 1994 08:49:37 GMT";
  static_assert(kShape.size() == kDateBytes);
  DateText text{};
  std::copy(kShape.begin(), kShape.end(), text.begin());
  std::copy(weekday.begin(), weekday.end(), text.begin());
  PutTwoDigits(&text[5], date.day);
  std::copy(month.begin(), month.end(), &text[8]);
  PutTwoDigits(&text[12], date.year / 100);
  PutTwoDigits(&text[14], date.year % 100);
  PutTwoDigits(&text[17], second_of_day / 3600);
  PutTwoDigits(&text[20], second_of_day / 60 % 60);
  PutTwoDigits(&text[23], second_of_day % 60);
  return text;
}

std::optional<std::int64_t> ParseDate(std::string_view text, std::int64_t now) {
  for (const std::string_view weekday : kWeekdays) {
    if (!text.starts_with(weekday.substr(0, 3))) continue;
    const std::string_view after_short = text.substr(3);
    if (after_short.starts_with(", ")) return ParseFixdate(after_short.substr(2));
    if (after_short.starts_with(' ')) return ParseAsctime(after_short.substr(1));
    const std::string_view after_long = text.substr(std::min(weekday.size(), text.size()));
    const bool is_long = text.starts_with(weekday) && after_long.starts_with(", ");
    return is_long ? ParseRfc850(after_long.substr(2), now) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace onebox::http
