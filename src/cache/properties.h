#pragma once
// What holds for a shard whatever a process has scribbled over it: fuzzing tries it, tests replay it.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include <sys/mman.h>

#include "base/check.h"
#include "cache/shard.h"

namespace onebox::cache::properties {

// Memory around which nothing may be touched: as far as 32 bits of a block's number may lead.
class LonelyMemory final {
 public:
  LonelyMemory() {
    constexpr std::size_t kBefore = std::size_t{1} << 30;
    constexpr std::size_t kBehind = (std::size_t{1} << 32) * kBlockBytes;
    void* reserved = ::mmap(
        nullptr, kBefore + kBehind, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(reserved != MAP_FAILED);
    begin_ = static_cast<std::byte*>(reserved) + kBefore;
    CHECK(::mprotect(begin_, kShardBytesMin, PROT_READ | PROT_WRITE) == 0);
  }
  std::span<std::byte> bytes() const { return {begin_, kShardBytesMin}; }

 private:
  std::byte* begin_ = nullptr;
};

// Bytes that say what to do; zeros when they have ended.
class Script final {
 public:
  explicit Script(std::string_view bytes) : bytes_(bytes) {}

  bool ended() const { return bytes_.empty(); }
  std::uint32_t Byte() {
    if (bytes_.empty()) return 0;
    const auto byte = static_cast<std::uint8_t>(bytes_.front());
    bytes_.remove_prefix(1);
    return byte;
  }
  std::uint32_t Pair() {
    const std::uint32_t low = Byte();
    return low | Byte() << 8;
  }

 private:
  std::string_view bytes_;
};

class Scribbling final {
 public:
  Scribbling() {
    shard_.Format();
    CHECK(shard_.TryLock());
    for (std::uint32_t i = 0; i < kKeys; ++i) {
      const bool kept = i % 4 == 0;
      Put(i, kSizes[i % kSizes.size()], kept ? Keep::kUntilItExpires : Keep::kWhileThereIsRoom);
      if (i % 8 == 5) shard_.SetClaim(KeyOf(i), {i, 1}, Later(), now_);
    }
    for (std::uint32_t i = 0; i < 2 * kKeys; ++i) {
      Value value;
      shard_.Get(KeyOf(i % kKeys), now_, value);
    }
    CHECK(shard_.CheckInvariants());
    shard_.Unlock();
    first_.assign(Text(Scribbled()));
  }

  void Run(std::string_view bytes) {
    std::memcpy(Scribbled().data(), first_.data(), first_.size());
    Script script(bytes);
    while (!script.ended()) {
      if (script.Byte() % 2 == 0) {
        Scribble(script);
      } else {
        Use(script);
      }
    }
    CheckUsable();
  }

 private:
  static constexpr std::uint32_t kKeys = 64;
  static constexpr std::array<std::uint32_t, 8> kSizes = {0, 8, 50, 100, 300, 1'000, 3'000, 9'000};

  static std::string_view Text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  // All but the lock: what a process could do with that is the C library's to say.
  std::span<std::byte> Scribbled() const {
    return memory_.bytes().subspan(sizeof(shm::RobustLock));
  }
  Key KeyOf(std::uint32_t number) {
    key_ = "key " + std::to_string(number);
    return {key_, (number + 1) * 0x9e37'79b9'7f4a'7c15, static_cast<std::uint8_t>(number)};
  }
  Time Later() const { return now_ + std::chrono::seconds(10); }

  Outcome Put(std::uint32_t number, std::uint32_t size, Keep keep) {
    value_.assign(size, static_cast<char>('a' + number % 26));
    const std::array<TagMark, 1> tags = {TagMark{number % kCells, 0}};
    return shard_.Set(KeyOf(number), {.bytes = value_, .keep = keep, .tags = tags}, {}, now_);
  }

  void Scribble(Script& script) {
    const ShardPlan plan = PlanShard(kShardBytesMin);
    const std::uint32_t where = script.Byte();
    const std::uint32_t at = script.Pair();
    std::span<std::byte> part = Scribbled();
    const auto from = [&](std::size_t begin, std::size_t size) {
      part = memory_.bytes().subspan(begin, size);
    };
    switch (where % 8) {
      case 0:
        from(offsetof(ShardHead, turn), offsetof(ShardHead, rows) - offsetof(ShardHead, turn));
        break;
      case 1:
        from(offsetof(ShardHead, undo), sizeof(shm::UndoLog));
        break;
      case 2:
        from(plan.map_at, plan.buckets_at - plan.map_at);
        break;
      case 3:
        from(plan.buckets_at, plan.sketch_at - plan.buckets_at);
        break;
      case 4:
      case 5:
        from(plan.blocks_at + at % 600 * kBlockBytes, sizeof(Entry));
        break;
      case 6:
        from(plan.blocks_at, kBlockBytes);
        break;
      default:
        break;
    }
    Change(part.subspan((at * 251 + where / 8 * 4) % part.size()), script);
  }

  static void Change(std::span<std::byte> at, Script& script) {
    const std::uint32_t how = script.Byte();
    std::uint32_t word = 0;
    const std::size_t size = std::min(at.size(), sizeof word);
    std::memcpy(&word, at.data(), size);
    switch (how % 5) {
      case 0:
        word ^= 1U << how / 8;
        break;
      case 1:
        word = script.Byte();
        break;
      case 2:
        word = script.Pair();
        break;
      case 3:
        word = ~script.Byte();
        break;
      default:
        word = script.Pair() << 16 | script.Pair();
    }
    std::memcpy(at.data(), &word, size);
  }

  void Use(Script& script) {
    CHECK(shard_.TryLock());
    const std::uint32_t what = script.Byte();
    const std::uint32_t number = script.Byte() % kKeys;
    const std::uint32_t size = kSizes[script.Byte() % kSizes.size()];
    Value value;
    std::int64_t sum = 0;
    const std::string first(sizeof sum, '\0');
    const NewValue initial{.bytes = first, .codec = kNumberCodec, .keep = Keep::kUntilItExpires};
    switch (what % 16) {
      case 0:
      case 1:
        shard_.Get(KeyOf(number), now_, value);
        break;
      case 2:
        Put(number, size, Keep::kUntilItExpires);
        break;
      case 3:
        for (std::uint32_t i = 0; i < 32; ++i)
          Put(number + i, size, Keep::kWhileThereIsRoom);
        break;
      case 4:
        shard_.Remove(KeyOf(number), {}, now_);
        break;
      case 5:
        shard_.Touch(KeyOf(number), {.expires = Later()}, {}, now_);
        break;
      case 6:
        shard_.Add(KeyOf(number), 1, &initial, now_, sum);
        break;
      case 7:
        shard_.SetClaim(KeyOf(number), {number, 1}, Later(), now_);
        break;
      case 8:
        shard_.Fulfil(KeyOf(number), number, {.bytes = value_}, now_);
        break;
      case 9:
        shard_.GiveUp(KeyOf(number), number, now_);
        break;
      case 10:
        shard_.ForEach(now_, [](const Entry&, std::string_view) {});
        break;
      case 11:
        shard_.CheckInvariants();
        break;
      case 12:
        shard_.PutInOrder();
        break;
      case 13:
        now_ += std::chrono::seconds(size);
        break;
      case 14:
        shard_.Set(KeyOf(number), {.bytes = value_}, {.equals = value_}, now_);
        break;
      default:
        Put(number, size, Keep::kWhileThereIsRoom);
    }
    shard_.Unlock();
  }

  // Whatever was found: after a few calls it takes and gives as ever. What is kept may fill its half.
  void CheckUsable() {
    CHECK(TakesAndGives(Keep::kWhileThereIsRoom));
    CHECK(TakesAndGives(Keep::kUntilItExpires) || HalfIsKept());
  }
  bool TakesAndGives(Keep keep) {
    for (int attempt = 0; attempt < 4; ++attempt) {
      CHECK(shard_.TryLock());
      Value value;
      const bool set = Put(kKeys + 1, 100, keep) == Outcome::kDone;
      const bool found = shard_.Get(KeyOf(kKeys + 1), now_, value) == Answer::kFresh;
      shard_.Unlock();
      if (set && found && value.bytes == value_) return true;
    }
    return false;
  }
  bool HalfIsKept() {
    std::uint32_t blocks = 0;
    CHECK(shard_.TryLock());
    ShardMemory& memory = shard_.memory();
    std::uint32_t steps = 0;
    for (std::uint32_t block = memory.head().queues[0].newest;
         block != kNoBlock && ++steps < memory.blocks();
         block = memory.EntryAt(block).older)
      blocks += memory.EntryAt(block).blocks;
    shard_.Unlock();
    return blocks + 4 > memory.blocks() / 2;
  }

  static constexpr std::uint32_t kCells = 8;

  LonelyMemory memory_;
  std::array<std::atomic<std::uint32_t>, kCells> cells_{};
  redis::Trust trust_;
  Shard shard_{memory_.bytes(), cells_, trust_};
  Time now_{std::chrono::hours(1)};
  std::string first_, key_, value_;
};

inline void CheckScribbled(std::string_view bytes) {
  static auto* scribbling = new Scribbling;
  scribbling->Run(bytes);
}

}  // namespace onebox::cache::properties
