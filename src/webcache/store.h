#pragma once
// The kept answers: found by their key, evicted when the budget is spent, purged by URL, prefix and tag.

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "http/request_head.h"
#include "webcache/answer.h"
#include "webcache/key.h"
#include "webcache/purge_log.h"

namespace onebox::webcache {

// Answers of one key that differ by what they vary by; a new one takes the place of the oldest.
inline constexpr std::size_t kVariantsMax = 16;
inline constexpr std::uint64_t kPartBytesMin = 4 << 20;  // of the budget: what one lock guards
inline constexpr std::size_t kPartsMax = 16;

// From any thread. In parts with a lock each; whoever looks holds one for less than a microsecond, and who
// sends an answer holds none: it stays while it is sent, whatever becomes of its place.
//
// Evicts by S3-FIFO (Yang et al., SOSP 2023): new answers pass through a small queue, and only those that
// were found there, or that were evicted a short while ago, get into the main one; a hit changes a number
// and moves nothing. docs/decisions/0032-the-response-cache.md says why.
class Store {
 public:
  // `seed`: keeps others from choosing URLs that meet in one place. An answer of more than an eighth of a
  // part, and of more than `answer_bytes_max`, is not kept.
  struct Limits {
    std::uint64_t bytes_max = 64 << 20;
    std::uint64_t answer_bytes_max = 1 << 20;
  };
  Store(const Limits& limits, std::uint64_t seed);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  std::uint64_t HashOf(const Key& key) const;  // of all of it

  // The newest that fits the request; fresh or not. Null where there is none.
  AnswerRef Find(const Key& key, const http::RequestHead& head);
  // Whether it was kept; not where it is too large, or was purged while it was fetched.
  bool Add(const Key& key, const std::shared_ptr<Answer>& answer);
  // After a form was added to it.
  void Recharge(const Key& key, const Answer& answer, const Form& form);
  void Erase(const Key& key, const Answer& answer);
  // Whether it is still kept: neither purged nor replaced nor evicted.
  bool Holds(const Key& key, const Answer& answer);

  // Hold for all threads when they return. A URL with or without scheme and host; a query is part of it.
  // How many answers went; for a tag how many had it.
  std::size_t PurgeUrl(std::string_view url);
  std::size_t PurgePrefix(std::string_view prefix);
  std::size_t PurgeTag(std::string_view tag);
  // The number of purges so far: Recorded::begun.
  std::uint64_t purges() const { return log_.number(); }

  std::uint64_t answer_bytes_max() const { return answer_bytes_max_; }
  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  std::uint64_t answers() const { return answers_.load(std::memory_order_relaxed); }
  std::uint64_t evictions() const { return evictions_.load(std::memory_order_relaxed); }

 private:
  enum class Queue : std::uint8_t { kSmall, kMain };
  struct Slot {
    std::string key;
    std::size_t path_begin = 0;
    std::size_t url_end = 0;
    std::uint64_t hash = 0;  // of the target
    std::shared_ptr<const Answer> answer;
    std::uint64_t charge = 0;
    Slot* next = nullptr;  // of the same hash
    std::list<Slot>::iterator self;
    Queue queue = Queue::kSmall;
    std::uint8_t found = 0;  // since it came, at most 3

    std::string_view url() const { return std::string_view(key).substr(0, url_end); }
    std::string_view target() const { return url().substr(path_begin); }
  };
  struct Place {
    Queue queue = Queue::kSmall;
    std::uint8_t found = 0;
  };
  struct Part {
    std::mutex mutex;
    std::unordered_map<std::uint64_t, Slot*> index;
    std::list<Slot> small;  // the oldest first
    std::list<Slot> main;
    std::uint64_t small_bytes = 0;
    std::uint64_t main_bytes = 0;
    std::list<std::uint64_t> ghosts;  // hashes of keys, the oldest first
    std::unordered_map<std::uint64_t, std::list<std::uint64_t>::iterator> ghost_index;
  };

  std::uint64_t Hash(std::string_view text) const;
  Part& PartOf(std::uint64_t hash) { return parts_[(hash >> 32) % parts_.size()]; }
  bool Purged(const Answer& answer) const;
  static Slot* SlotOf(Part& part, std::uint64_t hash, const Answer& answer);
  void Remove(Part& part, Slot& slot);
  void Evict(Part& part);
  void EvictFromSmall(Part& part);
  void EvictFromMain(Part& part);
  void Remember(Part& part, std::uint64_t hash);
  Place ReplaceVariants(Part& part, const Key& key, std::uint64_t hash, const Answer& answer);
  std::shared_ptr<Tag> TagOf(const std::string& name);
  std::size_t RemoveWhere(Part& part, const std::function<bool(const Slot&)>& meant);

  const std::uint64_t part_bytes_max_;
  const std::uint64_t answer_bytes_max_;
  const std::uint64_t seed_;
  std::vector<Part> parts_;
  PurgeLog log_;
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> answers_{0};
  std::atomic<std::uint64_t> evictions_{0};
  std::mutex tags_mutex_;
  std::unordered_map<std::string, std::weak_ptr<Tag>> tags_;
  std::size_t tags_swept_ = 0;  // how many there were after the last sweep
};

}  // namespace onebox::webcache
