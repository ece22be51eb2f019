#pragma once
// The words in which a trigger that cannot be read is refused.

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace onebox::schedule {

// In quotes, cut to what a line can hold, without control characters.
std::string Quoted(std::string_view text);

// "; did you mean \"monday\"?", or nothing where no name is near.
std::string DidYouMean(std::string_view wrong, std::span<const std::string_view> names);

constexpr std::array<std::string_view, 12> kMonthNames = {"january",
                                                          "february",
                                                          "march",
                                                          "april",
                                                          "may",
                                                          "june",
                                                          "july",
                                                          "august",
                                                          "september",
                                                          "october",
                                                          "november",
                                                          "december"};
constexpr std::array<std::string_view, 7> kWeekDayNames =
    {"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"};

// The place of "mon", "Mon" or "monday" among the names.
std::optional<int> FindName(std::string_view text, std::span<const std::string_view> names);
// Of a text that is none of them, in both lengths.
std::string DidYouMeanName(std::string_view wrong, std::span<const std::string_view> names);

}  // namespace onebox::schedule
