#pragma once
// The words for what a job may say, in the configuration, in the app and in what is shown.

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "schedule/firings.h"
#include "schedule/job.h"
#include "schedule/trigger.h"

namespace onebox::schedule {

template <typename Value>
using Named = std::pair<std::string_view, Value>;

inline constexpr std::array kTriggerNames = {Named<TriggerKind>("every", TriggerKind::kEvery),
                                             Named<TriggerKind>("cron", TriggerKind::kCron),
                                             Named<TriggerKind>("at", TriggerKind::kAt)};
inline constexpr std::array kOverlapNames = {Named<Overlap>("skip", Overlap::kSkip),
                                             Named<Overlap>("queue", Overlap::kQueue),
                                             Named<Overlap>("replace", Overlap::kReplace),
                                             Named<Overlap>("parallel", Overlap::kParallel)};
inline constexpr std::array kCatchUpNames = {Named<CatchUp>("one", CatchUp::kOne),
                                             Named<CatchUp>("all", CatchUp::kAll),
                                             Named<CatchUp>("none", CatchUp::kNone)};
inline constexpr std::array kWorkNames = {Named<Work>("call", Work::kCall),
                                          Named<Work>("command", Work::kCommand),
                                          Named<Work>("url", Work::kUrl)};

inline constexpr std::array kRunStateNames = {Named<RunState>("waiting", RunState::kWaiting),
                                              Named<RunState>("running", RunState::kRunning),
                                              Named<RunState>("done", RunState::kDone),
                                              Named<RunState>("failed", RunState::kFailed),
                                              Named<RunState>("timeout", RunState::kTimeout),
                                              Named<RunState>("died", RunState::kDied),
                                              Named<RunState>("cancelled", RunState::kCancelled),
                                              Named<RunState>("skipped", RunState::kSkipped),
                                              Named<RunState>("missed", RunState::kMissed)};

template <typename Value, std::size_t kSize>
std::string_view NameIn(const std::array<Named<Value>, kSize>& names, Value value) {
  const auto found = std::find_if(
      names.begin(), names.end(), [&](const auto& one) { return one.second == value; });
  return found == names.end() ? std::string_view() : found->first;
}

template <typename Value, std::size_t kSize>
std::optional<Value> ValueIn(const std::array<Named<Value>, kSize>& names, std::string_view name) {
  const auto found =
      std::find_if(names.begin(), names.end(), [&](const auto& one) { return one.first == name; });
  if (found == names.end()) return std::nullopt;
  return found->second;
}

}  // namespace onebox::schedule
