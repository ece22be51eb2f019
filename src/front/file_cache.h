#pragma once
// A bounded set of static files, found by their paths.

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string_view>
#include <unordered_map>

#include "front/static_file.h"

namespace onebox::front {

// Evicts by SIEVE (Zhang et al., NSDI 2024): entries stand in the order they came; a hand walks from
// the oldest to the newest, spares who was found since it last came by, and takes the first who was
// not. A hit sets one bit, and files that are asked for once do not push out the others.
class FileCache {
 public:
  explicit FileCache(const Charge& budget) : budget_(budget) {}

  // Null where it is not there. The entry stays until the next Erase() or Trim().
  StaticFile* Find(std::string_view path);

  // Replaces what was there under its path. May take more than the budget, until Trim().
  StaticFile& Add(std::unique_ptr<StaticFile> file);

  // After an entry grew.
  void Recharge(std::string_view path);

  void Erase(std::string_view path);

  // Evicts until the budget holds; the newest too if it alone does not fit.
  void Trim();

  std::size_t entries() const { return index_.size(); }
  const Charge& charge() const { return charge_; }

 private:
  struct Slot {
    std::unique_ptr<StaticFile> file;
    Charge charge;
    bool found = false;  // since the hand last came by
  };
  using Slots = std::list<Slot>;

  void Remove(Slots::iterator slot);
  template <typename Helps>
  Slots::iterator Victim(Helps helps);

  Charge budget_;
  Charge charge_;
  Slots slots_;                                                  // oldest first
  Slots::iterator hand_ = slots_.end();                          // end: begins again at the oldest
  std::unordered_map<std::string_view, Slots::iterator> index_;  // keys are views into the files
};

}  // namespace onebox::front
