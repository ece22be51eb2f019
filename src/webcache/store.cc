#include "webcache/store.h"

#include <algorithm>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"

namespace onebox::webcache {
namespace {

constexpr std::uint8_t kFoundMax = 3;
constexpr std::uint8_t kFoundInSmall = 2;  // that lets it into the main queue

std::size_t PartsFor(std::uint64_t bytes_max) {
  return std::clamp<std::size_t>(bytes_max / kPartBytesMin, 1, kPartsMax);
}

// The path and query of a URL; of a path itself.
std::string_view TargetOf(std::string_view url) {
  if (url.starts_with('/')) return url;
  const std::size_t host = url.find("://");
  if (host == url.npos) return url;
  const std::size_t path = url.find('/', host + 3);
  return path == url.npos ? std::string_view("/") : url.substr(path);
}

}  // namespace

Store::Store(const Limits& limits, std::uint64_t seed)
    : part_bytes_max_(limits.bytes_max / PartsFor(limits.bytes_max)),
      answer_bytes_max_(std::min(limits.answer_bytes_max, part_bytes_max_ / 8)),
      seed_(seed),
      parts_(PartsFor(limits.bytes_max)) {}

Store::~Store() = default;

std::uint64_t Store::Hash(std::string_view text) const {
  return XXH3_64bits_withSeed(text.data(), text.size(), seed_);
}

std::uint64_t Store::HashOf(const Key& key) const {
  return Hash(key.text());
}

// A tag's purge reaches its answers here, when they are looked for.
bool Store::Purged(const Answer& answer) const {
  return std::any_of(answer.tags_.begin(), answer.tags_.end(), [&](const auto& tag) {
    return tag->purged.load(std::memory_order_acquire) > answer.recorded().begun;
  });
}

AnswerRef Store::Find(const Key& key, const http::RequestHead& head) {
  const std::uint64_t hash = Hash(key.target());
  Part& part = PartOf(hash);
  std::string values;
  const std::lock_guard lock(part.mutex);
  const auto found = part.index.find(hash);
  if (found == part.index.end()) return nullptr;
  Slot* newest = nullptr;
  for (Slot* slot = found->second; slot != nullptr; slot = slot->next) {
    if (slot->key != key.text()) continue;
    const Recorded& recorded = slot->answer->recorded();
    if (!recorded.vary.empty()) {
      values.clear();
      AppendVaryValues(values, recorded.vary, head);
      if (values != recorded.vary_values) continue;
    }
    if (newest == nullptr || newest->answer->recorded().received < recorded.received) newest = slot;
  }
  if (newest == nullptr) return nullptr;
  if (Purged(*newest->answer)) {
    Remove(part, *newest);
    return nullptr;
  }
  if (newest->found < kFoundMax) ++newest->found;
  return newest->answer;
}

bool Store::Add(const Key& key, const std::shared_ptr<Answer>& answer) {
  const std::uint64_t charge = answer->charge() + key.text().size();
  if (charge > answer_bytes_max_) return false;
  const std::uint64_t hash = Hash(key.target());
  std::vector<std::uint64_t> tag_hashes;
  for (const std::string& name : answer->recorded().tags) {
    answer->tags_.push_back(TagOf(name));
    tag_hashes.push_back(Hash(name));
  }
  Part& part = PartOf(hash);
  const std::lock_guard lock(part.mutex);
  // Under the lock: a purge is in the log before it looks at this part.
  const PurgeLog::Named named{
      .url = key.url(), .target = key.target(), .target_hash = hash, .tag_hashes = tag_hashes};
  if (log_.Touched(answer->recorded().begun, named)) return false;
  const Place place = ReplaceVariants(part, key, hash, *answer);
  const auto ghost = part.ghost_index.find(HashOf(key));
  const Queue queue = ghost == part.ghost_index.end() ? place.queue : Queue::kMain;
  std::list<Slot>& list = queue == Queue::kSmall ? part.small : part.main;
  if (ghost != part.ghost_index.end()) {
    part.ghosts.erase(ghost->second);
    part.ghost_index.erase(ghost);
  }
  Slot& slot = list.emplace_back();
  slot.self = std::prev(list.end());
  slot.key = key.text();
  slot.path_begin = key.path_begin();
  slot.url_end = key.url().size();
  slot.hash = hash;
  slot.answer = answer;
  slot.charge = charge;
  slot.queue = queue;
  slot.found = place.found;
  Slot*& head = part.index[hash];
  slot.next = std::exchange(head, &slot);
  (queue == Queue::kSmall ? part.small_bytes : part.main_bytes) += charge;
  bytes_.fetch_add(charge, std::memory_order_relaxed);
  answers_.fetch_add(1, std::memory_order_relaxed);
  Evict(part);
  return true;
}

// The same variant goes, and leaves its place to the new one; of too many the oldest goes.
Store::Place Store::ReplaceVariants(Part& part,
                                    const Key& key,
                                    std::uint64_t hash,
                                    const Answer& answer) {
  Place place;
  const auto found = part.index.find(hash);
  if (found == part.index.end()) return place;
  std::size_t variants = 0;
  Slot* oldest = nullptr;
  Slot* next = nullptr;
  const bool last = answer.recorded().vary.empty();  // what does not vary replaces all that did
  for (Slot* slot = found->second; slot != nullptr; slot = next) {
    next = slot->next;
    if (slot->key != key.text()) continue;
    const Recorded& recorded = slot->answer->recorded();
    const bool same = recorded.vary == answer.recorded().vary &&
                      recorded.vary_values == answer.recorded().vary_values;
    if (same || last || recorded.vary.empty()) {
      if (same) place = {slot->queue, slot->found};
      Remove(part, *slot);
      continue;
    }
    ++variants;
    if (oldest == nullptr || recorded.received < oldest->answer->recorded().received) oldest = slot;
  }
  if (variants >= kVariantsMax) Remove(part, *oldest);
  return place;
}

// Null where it is not kept any more; under the lock of its part.
Store::Slot* Store::SlotOf(Part& part, std::uint64_t hash, const Answer& answer) {
  const auto found = part.index.find(hash);
  Slot* slot = found == part.index.end() ? nullptr : found->second;
  while (slot != nullptr && slot->answer.get() != &answer)
    slot = slot->next;
  return slot;
}

void Store::Recharge(const Key& key, const Answer& answer, const Form& form) {
  const std::uint64_t hash = Hash(key.target());
  Part& part = PartOf(hash);
  const std::lock_guard lock(part.mutex);
  Slot* const slot = SlotOf(part, hash, answer);
  if (slot == nullptr) return;
  const std::uint64_t more = Answer::ChargeOf(form);
  slot->charge += more;
  (slot->queue == Queue::kSmall ? part.small_bytes : part.main_bytes) += more;
  bytes_.fetch_add(more, std::memory_order_relaxed);
  Evict(part);
}

void Store::Erase(const Key& key, const Answer& answer) {
  const std::uint64_t hash = Hash(key.target());
  Part& part = PartOf(hash);
  const std::lock_guard lock(part.mutex);
  Slot* const slot = SlotOf(part, hash, answer);
  if (slot != nullptr) Remove(part, *slot);
}

bool Store::Holds(const Key& key, const Answer& answer) {
  const std::uint64_t hash = Hash(key.target());
  Part& part = PartOf(hash);
  const std::lock_guard lock(part.mutex);
  return SlotOf(part, hash, answer) != nullptr && !Purged(answer);
}

void Store::Remove(Part& part, Slot& slot) {
  const auto found = part.index.find(slot.hash);
  CHECK(found != part.index.end());
  Slot** link = &found->second;
  while (*link != &slot)
    link = &(*link)->next;
  *link = slot.next;
  if (found->second == nullptr) part.index.erase(found);
  (slot.queue == Queue::kSmall ? part.small_bytes : part.main_bytes) -= slot.charge;
  bytes_.fetch_sub(slot.charge, std::memory_order_relaxed);
  answers_.fetch_sub(1, std::memory_order_relaxed);
  (slot.queue == Queue::kSmall ? part.small : part.main).erase(slot.self);
}

// --- eviction

void Store::Evict(Part& part) {
  while (part.small_bytes + part.main_bytes > part_bytes_max_) {
    const bool from_small = part.small_bytes > part_bytes_max_ / 10 || part.main.empty();
    from_small ? EvictFromSmall(part) : EvictFromMain(part);
  }
}

// One step: what was found goes to the main queue, the rest leaves its key behind.
void Store::EvictFromSmall(Part& part) {
  Slot& slot = part.small.front();
  if (slot.found >= kFoundInSmall) {
    part.small_bytes -= slot.charge;
    part.main_bytes += slot.charge;
    slot.found = 0;
    slot.queue = Queue::kMain;
    part.main.splice(part.main.end(), part.small, slot.self);
    return;
  }
  Remember(part, Hash(slot.key));
  evictions_.fetch_add(1, std::memory_order_relaxed);
  Remove(part, slot);
}

void Store::EvictFromMain(Part& part) {
  Slot& slot = part.main.front();
  if (slot.found > 0) {
    --slot.found;
    part.main.splice(part.main.end(), part.main, slot.self);
    return;
  }
  evictions_.fetch_add(1, std::memory_order_relaxed);
  Remove(part, slot);
}

// As many as there are answers.
void Store::Remember(Part& part, std::uint64_t hash) {
  if (part.ghost_index.contains(hash)) return;
  part.ghosts.push_back(hash);
  part.ghost_index.emplace(hash, std::prev(part.ghosts.end()));
  const std::size_t most = std::max<std::size_t>(part.small.size() + part.main.size(), 16);
  while (part.ghosts.size() > most) {
    part.ghost_index.erase(part.ghosts.front());
    part.ghosts.pop_front();
  }
}

// --- purging

std::size_t Store::RemoveWhere(Part& part, const std::function<bool(const Slot&)>& meant) {
  std::size_t removed = 0;
  for (std::list<Slot>* list : {&part.small, &part.main}) {
    for (auto at = list->begin(); at != list->end();) {
      Slot& slot = *at++;
      if (!meant(slot)) continue;
      Remove(part, slot);
      ++removed;
    }
  }
  return removed;
}

std::size_t Store::PurgeUrl(std::string_view url) {
  const std::string_view target = TargetOf(url);
  const std::uint64_t hash = Hash(target);
  log_.Add(PurgeLog::Kind::kUrl, hash, {});
  Part& part = PartOf(hash);
  const std::lock_guard lock(part.mutex);
  std::size_t removed = 0;
  const auto found = part.index.find(hash);
  Slot* next = nullptr;
  for (Slot* slot = found == part.index.end() ? nullptr : found->second; slot != nullptr;
       slot = next) {
    next = slot->next;
    if (slot->target() != target || (!url.starts_with('/') && slot->url() != url)) continue;
    Remove(part, *slot);
    ++removed;
  }
  return removed;
}

std::size_t Store::PurgePrefix(std::string_view prefix) {
  log_.Add(PurgeLog::Kind::kPrefix, 0, prefix);
  std::size_t removed = 0;
  for (Part& part : parts_) {
    const std::lock_guard lock(part.mutex);
    removed += RemoveWhere(
        part, [&](const Slot& slot) { return HasPrefix(slot.url(), slot.target(), prefix); });
  }
  return removed;
}

std::size_t Store::PurgeTag(std::string_view tag) {
  const std::uint64_t number = log_.Add(PurgeLog::Kind::kTag, Hash(tag), {});
  const std::lock_guard lock(tags_mutex_);
  const auto found = tags_.find(std::string(tag));
  const auto held = found == tags_.end() ? nullptr : found->second.lock();
  if (held == nullptr) return 0;
  held->purged.store(number, std::memory_order_release);
  return static_cast<std::size_t>(held.use_count()) - 1;
}

// A tag's purge is in the log before it is looked for here, so one that is missed here is found there.
std::shared_ptr<Tag> Store::TagOf(const std::string& name) {
  const std::lock_guard lock(tags_mutex_);
  if (tags_.size() > 2 * tags_swept_ + 1024) {
    std::erase_if(tags_, [](const auto& one) { return one.second.expired(); });
    tags_swept_ = tags_.size();
  }
  std::weak_ptr<Tag>& known = tags_[name];
  std::shared_ptr<Tag> tag = known.lock();
  if (tag == nullptr) {
    tag = std::make_shared<Tag>();
    tag->name = name;
    known = tag;
  }
  return tag;
}

}  // namespace onebox::webcache
