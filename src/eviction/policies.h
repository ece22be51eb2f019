#pragma once
// Eviction policies as their papers have them, and the one Onebox chose: who stays, for a trace and a budget.
//
// They are what the shared cache is measured against, and simple rather than small or fast: the keys
// are the indices of a trace's objects. docs/decisions/0020-what-the-cache-evicts.md has the results.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "eviction/trace.h"

namespace onebox::eviction {

// What a policy keeps about a key.
struct Entry {
  std::uint32_t newer = 0, older = 0;
  std::uint32_t expires = 0;
  std::uint8_t queue = 0;  // 0: not in the cache
  std::uint8_t count = 0;
  bool touched = false;
  std::uint8_t epoch = 0;
};

// The objects of a trace, which outlives it, and an entry for each.
struct Shelf {
  explicit Shelf(std::span<const Object> all) : objects(all), entries(all.size()) {}

  std::span<const Object> objects;
  std::vector<Entry> entries;
};

class Policy {
 public:
  virtual ~Policy() = default;

  // Whether `key` is found. Where it is not, its value is made and offered to the cache. An expired
  // value is not found, the new one takes its place, and that counts as use: all policies do alike.
  virtual bool Ask(std::uint32_t key, std::uint32_t now) = 0;
};

// The shelf outlives the policy; several policies may share one where they share no key. The budget
// is in the unit of the charges.
using NewPolicy = std::function<std::unique_ptr<Policy>(Shelf& shelf, std::uint64_t budget)>;

std::unique_ptr<Policy> NewLru(Shelf& shelf, std::uint64_t budget);

// Zhang, Yang, Yue, Vigfusson, Rashmi: SIEVE is simpler than LRU (NSDI 2024).
std::unique_ptr<Policy> NewSieve(Shelf& shelf, std::uint64_t budget);

// Yang, Zhang, Qiu, Yue, Rashmi: FIFO queues are all you need for cache eviction (SOSP 2023). A small
// queue of 10 %; the ghost remembers as much charge as the main queue holds.
std::unique_ptr<Policy> NewS3Fifo(Shelf& shelf, std::uint64_t budget);

// Einziger, Friedman, Manes: TinyLFU, a highly efficient cache admission policy (ACM Transactions on
// Storage, 2017). A window of 1 %, a segmented LRU with 80 % protected, 16 counters for each object
// of mean charge that fits, a sample of 10 such objects.
std::unique_ptr<Policy> NewWTinyLfu(Shelf& shelf, std::uint64_t budget);

// The choice: W-TinyLFU without a move on a hit. Three FIFO lists; a hit marks the entry as touched
// and counts in it; lists are put right when something must go. What is away is counted in a sketch
// that is written at eviction and read at insertion only.
struct LazyShape {
  double window = 0.02;
  double protect = 0.8;  // of what is not window
  double sample = 10;    // requests until all counts are halved, in multiples of the entries held
  double cells_per_charge = 2;  // counters of the sketch for each unit of the budget
};
std::unique_ptr<Policy> NewLazyWTinyLfu(Shelf& shelf,
                                        std::uint64_t budget,
                                        const LazyShape& shape = {});

// The hit rate in the second half of the trace, from 0 to 1. With several shards each has its share of
// the keys, by hash, and of the budget.
double HitRate(const Trace& trace, std::uint64_t budget, const NewPolicy& make, int shards = 1);

}  // namespace onebox::eviction
