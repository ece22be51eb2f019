#pragma once
// The times of a day that a trigger means.

#include <chrono>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

namespace onebox::schedule {

constexpr std::chrono::seconds kDay = std::chrono::days(1);

// Each of the minutes in each of the hours.
struct MinutesOfHours {
  static constexpr std::uint64_t kAllMinutes = (1ULL << 60) - 1;
  static constexpr std::uint32_t kAllHours = (1U << 24) - 1;

  std::uint64_t minutes = kAllMinutes;  // bits 0 to 59
  std::uint32_t hours = kAllHours;      // bits 0 to 23

  bool operator==(const MinutesOfHours&) const = default;
};

// Every so many seconds from midnight on; they divide the day.
struct EvenTimes {
  std::chrono::seconds apart = kDay;

  bool operator==(const EvenTimes&) const = default;
};

struct ListedTimes {
  std::vector<std::chrono::seconds> of_day;  // in order, none twice

  bool operator==(const ListedTimes&) const = default;
};

using DayTimes = std::variant<MinutesOfHours, EvenTimes, ListedTimes>;

// The first that is not before `from`, a time of the day; nothing where that is tomorrow's.
std::optional<std::chrono::seconds> FirstTime(const DayTimes& times, std::chrono::seconds from);

// How many there are before `to`, which is a time of the day or its end.
std::int64_t CountTimesBefore(const DayTimes& times, std::chrono::seconds to);

}  // namespace onebox::schedule
