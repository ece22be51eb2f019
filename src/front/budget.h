#pragma once
// The bytes that all buffers of the front may hold together.

#include <atomic>
#include <cstdint>
#include <utility>

#include "base/check.h"

namespace onebox::front {

// Shared by all reactors.
class Budget {
 public:
  explicit Budget(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  // Whether there was room; then the caller gives it back.
  bool Take(std::uint64_t bytes) {
    const std::uint64_t before = used_.fetch_add(bytes, std::memory_order_relaxed);
    if (before + bytes <= bytes_max_) return true;
    used_.fetch_sub(bytes, std::memory_order_relaxed);
    return false;
  }
  void GiveBack(std::uint64_t bytes) {
    const std::uint64_t before = used_.fetch_sub(bytes, std::memory_order_relaxed);
    CHECK(before >= bytes);
  }

  std::uint64_t used() const { return used_.load(std::memory_order_relaxed); }

 private:
  const std::uint64_t bytes_max_;
  std::atomic<std::uint64_t> used_{0};
};

// A part of the budget; given back when it goes.
class BudgetShare {
 public:
  explicit BudgetShare(Budget& budget) : budget_(budget) {}
  ~BudgetShare() { Clear(); }
  BudgetShare(const BudgetShare&) = delete;
  BudgetShare& operator=(const BudgetShare&) = delete;

  bool Grow(std::uint64_t bytes) {
    if (!budget_.Take(bytes)) return false;
    bytes_ += bytes;
    return true;
  }
  void Clear() {
    budget_.GiveBack(bytes_);
    bytes_ = 0;
  }
  // Of the same budget.
  void TakeFrom(BudgetShare& other) {
    CHECK(&budget_ == &other.budget_);
    bytes_ += std::exchange(other.bytes_, 0);
  }

 private:
  Budget& budget_;
  std::uint64_t bytes_ = 0;
};

}  // namespace onebox::front
