#pragma once
// How many connections each client address has; only where there is a limit.

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "http/address.h"

namespace onebox::front {

// Shared by all reactors.
class AddressCounts {
 public:
  // 0: no limit, and no counting.
  explicit AddressCounts(std::uint32_t count_max) : count_max_(count_max) {}

  bool counts() const { return count_max_ > 0; }

  // Whether there was room for one more; then Leave() is to follow.
  bool Enter(const http::Address& address) {
    const std::lock_guard lock(mutex_);
    std::uint32_t& count = counts_[KeyOf(address)];
    if (count >= count_max_) return false;
    ++count;
    return true;
  }
  void Leave(const http::Address& address) {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(KeyOf(address));
    if (found != counts_.end() && --found->second == 0) counts_.erase(found);
  }

 private:
  static std::string KeyOf(const http::Address& address) {
    return {address.data(), address.data() + address.size()};
  }

  const std::uint32_t count_max_;
  std::mutex mutex_;
  std::map<std::string, std::uint32_t> counts_;  // addresses that have one at least
};

}  // namespace onebox::front
