#include "webcache/purge_log.h"

#include <algorithm>

namespace onebox::webcache {

bool HasPrefix(std::string_view url, std::string_view target, std::string_view prefix) {
  return prefix.starts_with('/') ? target.starts_with(prefix) : url.starts_with(prefix);
}

std::uint64_t PurgeLog::Add(Kind kind, std::uint64_t hash, std::string_view text) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t number = number_.load(std::memory_order_relaxed) + 1;
  Row& row = rows_[number % kRemembered];
  row.kind = kind;
  row.hash = hash;
  row.text.assign(text);
  number_.store(number, std::memory_order_release);
  return number;
}

bool PurgeLog::Means(const Row& row, const Named& named) {
  switch (row.kind) {
    case Kind::kUrl:
      return row.hash == named.target_hash;
    case Kind::kPrefix:
      return HasPrefix(named.url, named.target, row.text);
    case Kind::kTag:
      return std::find(named.tag_hashes.begin(), named.tag_hashes.end(), row.hash) !=
             named.tag_hashes.end();
  }
  return true;
}

bool PurgeLog::Touched(std::uint64_t number, const Named& named) const {
  if (number == this->number()) return false;
  const std::lock_guard lock(mutex_);
  const std::uint64_t last = number_.load(std::memory_order_relaxed);
  if (last - number > kRemembered) return true;
  for (std::uint64_t at = number + 1; at <= last; ++at) {
    if (Means(rows_[at % kRemembered], named)) return true;
  }
  return false;
}

}  // namespace onebox::webcache
