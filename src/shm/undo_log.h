#pragma once
// UndoLog, Mutation: changes to shared memory of which a reader sees all or none, whenever their writer dies.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "base/check.h"

namespace onebox::shm {

// What a Mutation has overwritten. In shared memory, with what it changes, under one lock; zero bytes
// are an empty one.
class UndoLog final {
 public:
  static constexpr std::size_t kChangesMax = 256;

  // For the next who has the lock after a holder's death: everything as it was before the Mutation that
  // had begun. `memory`: the same as the Mutation's. May die itself, and be called again. False where
  // what stands here makes no sense, because a process has scribbled over it; nothing is written
  // outside of the memory.
  bool Undo(std::span<std::byte> memory) {
    bool makes_sense = count_ <= kChangesMax;
    for (std::size_t left = makes_sense ? count_ : kChangesMax; left > 0; --left) {
      const Change change = changes_[left - 1];
      if (change.size > sizeof change.old || change.offset > memory.size() ||
          memory.size() - change.offset < change.size) {
        makes_sense = false;
        continue;
      }
      std::memcpy(memory.data() + change.offset, &change.old, change.size);
    }
    Fence();
    count_ = 0;
    return makes_sense;
  }
  bool Empty() const { return count_ == 0; }
  // Whatever was overwritten is given up: all of it is made anew.
  void Forget() { count_ = 0; }

 private:
  friend class Mutation;

  struct Change {
    std::uint32_t offset;
    std::uint32_t size;
    std::uint64_t old;
  };

  // A process dies between two instructions, and what came before them in its own order is done (its
  // death and the lock's handing over are barriers for the others). So the compiler's order is all
  // that has to be held.
  static void Fence() { std::atomic_signal_fence(std::memory_order_seq_cst); }

  std::uint32_t count_ = 0;
  std::array<Change, kChangesMax> changes_{};
};

// Changes words of `memory` one after the other; they stand when it is destroyed. One at a time, by who
// has the lock. Up to UndoLog::kChangesMax words of 8 bytes: more is a bug.
class Mutation final {
 public:
  // REQUIRES: the log is empty.
  Mutation(UndoLog& log, std::span<std::byte> memory) : log_(log), memory_(memory) {}
  ~Mutation() {
    UndoLog::Fence();
    log_.count_ = 0;
    UndoLog::Fence();
  }
  Mutation(const Mutation&) = delete;
  Mutation& operator=(const Mutation&) = delete;

  // `word` lies in the memory.
  template <typename Word>
  void Set(Word& word, std::type_identity_t<Word> value) {
    static_assert(std::is_trivially_copyable_v<Word> && sizeof(Word) <= sizeof(std::uint64_t));
    Remember(reinterpret_cast<std::byte*>(&word), sizeof word);
    word = value;
  }

  // `to` lies in the memory.
  void Write(std::byte* to, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const std::size_t size =
          bytes.size() < sizeof(std::uint64_t) ? bytes.size() : sizeof(std::uint64_t);
      Remember(to, size);
      std::memcpy(to, bytes.data(), size);
      to += size;
      bytes = bytes.subspan(size);
    }
  }

  // How many more words it takes.
  std::size_t Left() const { return UndoLog::kChangesMax - count_; }

 private:
  void Remember(const std::byte* place, std::size_t size) {
    CHECK(Left() > 0);
    UndoLog::Change& change = log_.changes_[count_];
    change = {
        static_cast<std::uint32_t>(place - memory_.data()), static_cast<std::uint32_t>(size), 0};
    std::memcpy(&change.old, place, size);
    UndoLog::Fence();
    log_.count_ = ++count_;
    UndoLog::Fence();
  }

  UndoLog& log_;
  std::span<std::byte> memory_;
  std::uint32_t count_ = 0;  // ours: a scribbler in the log leads nowhere
};

}  // namespace onebox::shm
