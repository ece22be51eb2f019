#include "schedule/at.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "base/ascii.h"
#include "schedule/wording.h"

namespace onebox::schedule {
namespace {

using std::chrono::local_days;
using std::chrono::seconds;
using std::chrono::year_month_day;

// The last year of which the time zone database knows each change of the clock.
constexpr int kYearMin = 1970;
constexpr int kYearMax = 2037;

Error Wrong(std::string_view whole, std::string_view part, std::string_view why) {
  return OperatorError(fmt::format("at {}: {} at column {}: {}",
                                   Quoted(whole),
                                   Quoted(part),
                                   part.data() - whole.data() + 1,
                                   why));
}

std::vector<std::string_view> SplitWords(std::string_view text) {
  constexpr std::string_view kBetween = " \t,";
  std::vector<std::string_view> words;
  for (std::size_t at = text.find_first_not_of(kBetween); at != std::string_view::npos;) {
    const std::size_t end = std::min(text.find_first_of(kBetween, at), text.size());
    words.push_back(text.substr(at, end - at));
    at = text.find_first_not_of(kBetween, end);
  }
  return words;
}

// Two digits, of which the first may be missing where `digits_min` is 1.
std::optional<int> TakeNumber(std::string_view& text, std::size_t digits_min, std::uint64_t max) {
  std::size_t size = 0;
  while (size < std::min<std::size_t>(2, text.size()) && IsDigit(text[size]))
    ++size;
  const auto number = ParseDecimal(text.substr(0, size), max);
  if (size < digits_min || !number) return std::nullopt;
  text.remove_prefix(size);
  return static_cast<int>(*number);
}

bool Take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

// "9:00", "21:00:30"
std::optional<seconds> ReadTime(std::string_view text) {
  const auto hour = TakeNumber(text, 1, 23);
  if (!hour || !Take(text, ':')) return std::nullopt;
  const auto minute = TakeNumber(text, 2, 59);
  if (!minute) return std::nullopt;
  std::optional<int> second = 0;
  if (Take(text, ':')) second = TakeNumber(text, 2, 59);
  if (!second || !text.empty()) return std::nullopt;
  return std::chrono::hours(*hour) + std::chrono::minutes(*minute) + seconds(*second);
}

Result<seconds> ParseTime(std::string_view whole, std::string_view text) {
  if (const auto time = ReadTime(text)) return *time;
  return Wrong(whole, text, "expected a time from 00:00 to 23:59:59, like \"21:00\"");
}

// "2026-12-31"
std::optional<year_month_day> ReadDate(std::string_view text) {
  const auto year = ParseDecimal(text.substr(0, 4), 9999);
  if (!year || text.size() != 10) return std::nullopt;
  text.remove_prefix(4);
  if (!Take(text, '-')) return std::nullopt;
  const auto month = TakeNumber(text, 2, 12);
  if (!month || !Take(text, '-')) return std::nullopt;
  const auto day = TakeNumber(text, 2, 31);
  if (!day) return std::nullopt;
  const auto date = std::chrono::year(static_cast<int>(*year)) / *month / *day;
  return date.ok() ? std::optional(date) : std::nullopt;
}

bool LooksLikeDate(std::string_view text) {
  return text.size() > 4 && IsDigit(text[0]) && text[4] == '-';
}

Result<WallTimes> ParseOnce(std::string_view whole, std::vector<std::string_view> words) {
  if (const std::size_t t = words[0].find('T'); t != std::string_view::npos) {
    const std::string_view time = words[0].substr(t + 1);
    words[0] = words[0].substr(0, t);
    words.insert(words.begin() + 1, time);
  }
  const auto date = ReadDate(words[0]);
  if (!date) return Wrong(whole, words[0], "expected a date, like \"2026-12-31\"");
  if (date->year() < std::chrono::year(kYearMin) || date->year() > std::chrono::year(kYearMax))
    return Wrong(whole, words[0], fmt::format("expected a year from {} to {}", kYearMin, kYearMax));
  if (words.size() != 2)
    return Wrong(whole, whole, "expected one date and one time, like \"2026-12-31 23:59\"");
  const seconds time = TRY(ParseTime(whole, words[1]));
  return WallTimes{.days = OneDay{local_days(*date)}, .times = ListedTimes{{time}}};
}

Result<int> ParseWeekDay(std::string_view whole, std::string_view text) {
  if (const auto found = FindName(text, kWeekDayNames)) return *found;
  return Wrong(
      whole,
      text,
      "expected a weekday, like \"mon\" or \"mon-fri\"" + DidYouMeanName(text, kWeekDayNames));
}

// "mon" or "fri-mon", as bits.
Result<std::uint32_t> ParseWeekDays(std::string_view whole, std::string_view text) {
  const std::size_t dash = text.find('-');
  const int first = TRY(ParseWeekDay(whole, text.substr(0, dash)));
  int last = first;
  if (dash != std::string_view::npos) last = TRY(ParseWeekDay(whole, text.substr(dash + 1)));
  std::uint32_t bits = 0;
  for (int day = first; day <= (last < first ? last + 7 : last); ++day)
    bits |= 1U << day % 7;
  return bits;
}

Result<WallTimes> ParseDaily(std::string_view whole, const std::vector<std::string_view>& words) {
  std::uint32_t week_days = 0;
  std::vector<seconds> times;
  for (const std::string_view word : words) {
    if (IsDigit(word[0])) {
      times.push_back(TRY(ParseTime(whole, word)));
    } else if (times.empty()) {
      week_days |= TRY(ParseWeekDays(whole, word));
    } else {
      return Wrong(whole, word, "expected another time: weekdays stand before all times");
    }
  }
  if (times.empty()) return Wrong(whole, whole, "expected a time, like \"mon-fri 21:00\"");
  if (times.size() > kTimesOfDayMax)
    return Wrong(whole, whole, fmt::format("expected at most {} times", kTimesOfDayMax));
  std::sort(times.begin(), times.end());
  times.erase(std::unique(times.begin(), times.end()), times.end());
  return WallTimes{
      .days = CalendarDays{.week_days = week_days == 0 ? CalendarDays::kAllWeekDays : week_days},
      .times = ListedTimes{std::move(times)}};
}

std::string FormatTime(seconds time) {
  const std::chrono::hh_mm_ss split(time);
  std::string text = fmt::format("{:02}:{:02}", split.hours().count(), split.minutes().count());
  if (split.seconds() != seconds(0)) text += fmt::format(":{:02}", split.seconds().count());
  return text;
}

// "mon-wed,fri "; nothing where all are meant.
std::string FormatWeekDays(std::uint32_t bits) {
  if (bits == CalendarDays::kAllWeekDays) return "";
  const auto name = [](int day) {
    return kWeekDayNames[static_cast<std::size_t>(day)].substr(0, 3);
  };
  std::string text;
  while (bits != 0) {
    const int first = std::countr_zero(bits);
    const int count = std::countr_one(bits >> first);
    if (!text.empty()) text += ',';
    text += name(first);
    if (count > 1) text.append("-").append(name(first + count - 1));
    bits &= ~(((1U << count) - 1) << first);
  }
  return text + " ";
}

}  // namespace

Result<WallTimes> ParseAt(std::string_view text) {
  std::vector<std::string_view> words = SplitWords(text);
  if (words.empty()) return Wrong(text, text, "expected a time, like \"21:00\"");
  if (LooksLikeDate(words[0])) return ParseOnce(text, std::move(words));
  return ParseDaily(text, words);
}

std::string FormatAt(const WallTimes& times) {
  std::vector<std::string> of_day;
  for (const seconds time : std::get<ListedTimes>(times.times).of_day)
    of_day.push_back(FormatTime(time));
  const std::string joined = fmt::format("{}", fmt::join(of_day, ", "));
  const auto* once = std::get_if<OneDay>(&times.days);
  if (once == nullptr) return FormatWeekDays(std::get<CalendarDays>(times.days).week_days) + joined;
  const year_month_day date(once->day);
  return fmt::format("{:04}-{:02}-{:02} {}",
                     static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()),
                     joined);
}

}  // namespace onebox::schedule
