#include "front/file_cache.h"

#include <iterator>
#include <utility>

#include "base/check.h"

namespace onebox::front {
namespace {

void Add(Charge& sum, const Charge& charge) {
  sum.bytes += charge.bytes;
  sum.mappings += charge.mappings;
}

void Subtract(Charge& sum, const Charge& charge) {
  CHECK(sum.bytes >= charge.bytes && sum.mappings >= charge.mappings);
  sum.bytes -= charge.bytes;
  sum.mappings -= charge.mappings;
}

}  // namespace

StaticFile* FileCache::Find(std::string_view path) {
  const auto found = index_.find(path);
  if (found == index_.end()) return nullptr;
  found->second->found = true;
  return found->second->file.get();
}

StaticFile& FileCache::Add(std::unique_ptr<StaticFile> file) {
  Erase(file->key);
  const Charge charge = ChargeOf(*file);
  slots_.push_back({.file = std::move(file), .charge = charge});
  const auto slot = std::prev(slots_.end());
  index_.emplace(slot->file->key, slot);
  front::Add(charge_, charge);
  return *slot->file;
}

void FileCache::Recharge(std::string_view path) {
  const auto found = index_.find(path);
  CHECK(found != index_.end());
  Slot& slot = *found->second;
  Subtract(charge_, slot.charge);
  slot.charge = ChargeOf(*slot.file);
  front::Add(charge_, slot.charge);
}

void FileCache::Erase(std::string_view path) {
  const auto found = index_.find(path);
  if (found != index_.end()) Remove(found->second);
}

void FileCache::Trim() {
  while (charge_.bytes > budget_.bytes)
    Remove(Victim([](const Slot& slot) { return slot.charge.bytes > 0; }));
  while (charge_.mappings > budget_.mappings)
    Remove(Victim([](const Slot& slot) { return slot.charge.mappings > 0; }));
}

// The newest has had no time to be found again: it goes last. In two rounds the hand has taken every
// mark away, so who is left then is the newest.
template <typename Helps>
FileCache::Slots::iterator FileCache::Victim(Helps helps) {
  CHECK(!slots_.empty());
  const auto newest = std::prev(slots_.end());
  for (std::size_t step = 0; step < 2 * slots_.size(); ++step, ++hand_) {
    if (hand_ == slots_.end()) hand_ = slots_.begin();
    if (hand_ == newest || !helps(*hand_)) continue;
    if (!std::exchange(hand_->found, false)) return hand_;
  }
  return newest;
}

void FileCache::Remove(Slots::iterator slot) {
  if (hand_ == slot) ++hand_;
  Subtract(charge_, slot->charge);
  index_.erase(slot->file->key);
  slots_.erase(slot);
}

}  // namespace onebox::front
