#pragma once
// Agenda: which jobs are to be looked at when, the earliest first.

#include <cstdint>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace onebox::schedule {

// Each change costs the logarithm of how many jobs there are.
class Agenda final {
 public:
  // In the place of what was set before; nothing: it is not looked at.
  void Set(std::int64_t job, std::optional<WallTime> at) {
    const auto found = at_.find(job);
    if (found != at_.end()) {
      if (at == found->second) return;
      order_.erase({found->second, job});
      at_.erase(found);
    }
    if (!at) return;
    order_.emplace(*at, job);
    at_.emplace(job, *at);
  }

  std::optional<WallTime> First() const {
    if (order_.empty()) return std::nullopt;
    return order_.begin()->first;
  }

  // Up to `limit` of those that are to be looked at by `now`.
  std::vector<std::int64_t> Due(WallTime now, std::size_t limit) const {
    std::vector<std::int64_t> due;
    for (const auto& [at, job] : order_) {
      if (at > now || due.size() == limit) break;
      due.push_back(job);
    }
    return due;
  }

 private:
  std::set<std::pair<WallTime, std::int64_t>> order_;
  std::unordered_map<std::int64_t, WallTime> at_;
};

}  // namespace onebox::schedule
