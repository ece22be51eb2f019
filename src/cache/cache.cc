#include "cache/cache.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "os/error.h"
#include "os/futex.h"
#include "os/process.h"
#include "os/random.h"

namespace onebox::cache {
namespace {

constexpr std::size_t kShardBytesWanted = std::size_t{8} << 20;
constexpr std::size_t kShardsMin = 4;
constexpr std::size_t kShardsUsual = 64;  // more than enough for the cores of one box
constexpr std::size_t kBytesPerTagCell = 1024;
constexpr std::size_t kTagCellsMin = 4096;
constexpr std::size_t kTagCellsMax = std::size_t{1} << 22;
constexpr int kRowsTried = 8;

struct Layout {
  std::size_t shards = 0;
  std::size_t shard_bytes = 0;
  std::size_t tag_cells = 0;

  static constexpr std::size_t Rounded(std::size_t bytes) { return (bytes + 63) / 64 * 64; }
  std::size_t CellsAt() const { return Rounded(sizeof(CacheHead)); }
  std::size_t ShardsAt() const { return CellsAt() + Rounded(tag_cells * sizeof(std::uint32_t)); }
  std::size_t Bytes() const { return ShardsAt() + shards * shard_bytes; }
};

Layout LayOut(std::size_t bytes) {
  Layout layout;
  const std::size_t wanted = std::clamp(bytes / kShardBytesWanted, kShardsMin, kShardsUsual);
  layout.shards = std::max(std::bit_floor(wanted),
                           std::bit_ceil((bytes + kShardBytesMax - 1) / kShardBytesMax));
  layout.tag_cells =
      std::bit_floor(std::clamp(bytes / kBytesPerTagCell, kTagCellsMin, kTagCellsMax));
  layout.shard_bytes = (bytes - layout.ShardsAt()) / layout.shards / 64 * 64;
  return layout;
}

bool Lock(Shard& shard, Wait wait, Time now) {
  switch (wait) {
    case Wait::kNot:
      return shard.TryLock();
    case Wait::kForOthers:
      return shard.Lock(kPatience, now);
    case Wait::kPatiently:
      return shard.LockPatiently(kLongPatience);
  }
  return false;
}

void AddCounts(const RowCounts& counts, Cache::Row& row) {
  row.hits += counts.hits.load(std::memory_order_relaxed);
  row.misses += counts.misses.load(std::memory_order_relaxed);
  row.sets += counts.sets.load(std::memory_order_relaxed);
  row.evictions += counts.evictions.load(std::memory_order_relaxed);
}

}  // namespace

Cache::Cache(os::Fd memory, os::Mapping mapping)
    : memory_(std::move(memory)), mapping_(std::move(mapping)) {
  const CacheHead& cache = head();
  const Layout layout{cache.shards, cache.shard_bytes, cache.tag_cells};
  const std::span<std::byte> all(mapping_.data(), mapping_.size());
  seed_ = cache.seed;
  cells_ = {reinterpret_cast<std::atomic<std::uint32_t>*>(all.data() + layout.CellsAt()),
            layout.tag_cells};
  shards_.reserve(layout.shards);
  for (std::size_t i = 0; i < layout.shards; ++i)
    shards_.emplace_back(
        all.subspan(layout.ShardsAt() + i * layout.shard_bytes, layout.shard_bytes),
        cells_,
        second().trust);
}

Result<Cache> Cache::Create(std::size_t bytes) {
  CHECK(bytes >= kCacheBytesMin && bytes <= kCacheBytesMax);
  const Layout layout = LayOut(bytes);
  os::Fd memory = TRY(os::NewSharedMemory(kMemoryName, layout.Bytes()));
  os::Mapping mapping = TRY(os::Mapping::Share(memory, layout.Bytes()));
  auto* head = new (mapping.data()) CacheHead{};
  head->magic = kMagic;
  head->version = kVersion;
  head->shards = static_cast<std::uint32_t>(layout.shards);
  head->shard_bytes = layout.shard_bytes;
  head->tag_cells = static_cast<std::uint32_t>(layout.tag_cells);
  head->seed = os::Random64();
  Cache cache(std::move(memory), std::move(mapping));
  for (Shard& shard : cache.shards_)
    shard.Format();
  return cache;
}

Result<Cache> Cache::Open(os::Fd memory) {
  os::Mapping first = TRY(os::Mapping::Share(memory, sizeof(CacheHead)));
  const auto& head = *reinterpret_cast<const CacheHead*>(first.data());
  const Layout layout{head.shards, head.shard_bytes, head.tag_cells};
  if (head.magic != kMagic || head.version != kVersion || !std::has_single_bit(layout.shards) ||
      !std::has_single_bit(layout.tag_cells) || layout.tag_cells > kTagCellsMax ||
      layout.shard_bytes < kShardBytesMin || layout.shard_bytes > kShardBytesMax ||
      layout.shard_bytes % kBlockBytes != 0 ||
      layout.shards > kCacheBytesMax / layout.shard_bytes) {
    return OperatorError("this memory is no cache of this version of Onebox");
  }
  os::Mapping mapping = TRY(os::Mapping::Share(memory, layout.Bytes()));
  return Cache(std::move(memory), std::move(mapping));
}

bool Cache::IsOf(std::size_t bytes) const {
  return LayOut(bytes).Bytes() == mapping_.size();
}

// --- names

Key Cache::KeyOf(std::string_view bytes, std::string_view name, Named named) {
  CHECK(bytes.size() <= kKeyBytesMax);
  const std::uint64_t hash = XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed_);
  return {bytes, hash, RowOf(name, hash, named)};
}

std::uint8_t Cache::RowOf(std::string_view name, std::uint64_t key, Named named) {
  if (name.empty() || name.size() > RowName::kBytesMax) return 0;
  const std::uint64_t hash = XXH3_64bits_withSeed(name.data(), name.size(), seed_) | 1;
  for (int i = 0; i < kRowsTried; ++i) {
    const std::size_t row = 1 + (hash / 2 + static_cast<std::size_t>(i)) % (kRows - 1);
    RowName& known = head().row_names[row];
    std::uint64_t there = known.hash.load(std::memory_order_relaxed);
    if (there == 0 && named == Named::kByABegin && !common_names_->Saw(hash, key)) return 0;
    if (there == 0 && known.hash.compare_exchange_strong(there, hash)) there = hash;
    if (there != hash) continue;
    if (known.bytes.load(std::memory_order_relaxed) == 0) {  // whoever took it may have died
      for (std::size_t at = 0; at < name.size(); ++at)
        known.text[at].store(name[at], std::memory_order_relaxed);
      known.bytes.store(static_cast<std::uint8_t>(name.size()), std::memory_order_release);
    }
    return static_cast<std::uint8_t>(row);
  }
  return 0;
}

TagId Cache::IdOf(std::string_view tag) {
  return static_cast<TagId>(XXH3_64bits(tag.data(), tag.size()));
}

std::atomic<std::uint32_t>& Cache::CellOf(TagId tag) const {
  const std::uint64_t hash = XXH3_64bits_withSeed(&tag, sizeof tag, ~seed_);
  return cells_[hash & (cells_.size() - 1)];
}

TagMark Cache::MarkOf(TagId tag) const {
  std::atomic<std::uint32_t>& cell = CellOf(tag);
  return {static_cast<std::uint32_t>(&cell - cells_.data()), cell.load(std::memory_order_acquire)};
}

void Cache::Purge(TagId tag) {
  second().purges.fetch_add(1, std::memory_order_acq_rel);
  CellOf(tag).fetch_add(1, std::memory_order_acq_rel);
}

// --- one key

Shard& Cache::ShardOf(const Key& key) {
  return shards_[(key.hash >> 48) & (shards_.size() - 1)];
}

template <typename Given, typename Use>
Given Cache::Locked(const Key& key, Wait wait, Time now, Given busy, Use use) {
  Shard& shard = ShardOf(key);
  if (!Lock(shard, wait, now)) return busy;
  Given given = use(shard);
  shard.Unlock();
  return given;
}

template <typename Use>
Outcome Cache::Changed(const Key& key, Wait wait, Time now, Tell tell, Use use) {
  bool somebody_waits = false;
  const Outcome outcome = Locked(key, wait, now, Outcome::kBusy, [&](Shard& shard) {
    const std::uint32_t claims = shard.head().claims;
    const Outcome used = use(shard);
    // A claim may end where nothing else is done: as where a key is removed that is not there yet.
    if ((used == Outcome::kDone && tell == Tell::kWhenDone) || shard.head().claims < claims)
      somebody_waits = shard.RaiseTurn();
    return used;
  });
  if (somebody_waits) os::WakeWaiting(ShardOf(key).head().turn);
  return outcome;
}

Answer Cache::Get(const Key& key, Time now, Wait wait, Value& value) {
  return Locked(
      key, wait, now, Answer::kBusy, [&](Shard& shard) { return shard.Get(key, now, value); });
}

Outcome Cache::Set(const Key& key,
                   const NewValue& value,
                   const Condition& condition,
                   Time now,
                   Wait wait) {
  return Changed(key, wait, now, Tell::kWhenDone, [&](Shard& shard) {
    return shard.Set(key, value, condition, now);
  });
}

Outcome Cache::Remove(const Key& key, const Condition& condition, Time now, Wait wait) {
  return Changed(key, wait, now, Tell::kWhenDone, [&](Shard& shard) {
    return shard.Remove(key, condition, now);
  });
}

Outcome Cache::Forget(const Key& key, Time now, Wait wait) {
  return Changed(key, wait, now, Tell::kWhenDone, [&](Shard& shard) { return shard.Forget(key); });
}

bool Cache::IsOwn(const Key& key, Time now, Wait wait) {
  return Locked(key, wait, now, false, [&](Shard& shard) { return shard.IsOwn(key, now); });
}

Outcome Cache::Touch(const Key& key,
                     Lifetime lifetime,
                     const Condition& condition,
                     Time now,
                     Wait wait) {
  return Locked(key, wait, now, Outcome::kBusy, [&](Shard& shard) {
    return shard.Touch(key, lifetime, condition, now);
  });
}

Outcome Cache::Add(const Key& key,
                   std::int64_t number,
                   const NewValue* initial,
                   Time now,
                   Wait wait,
                   std::int64_t& sum) {
  return Changed(key, wait, now, Tell::kOfClaims, [&](Shard& shard) {
    return shard.Add(key, number, initial, now, sum);
  });
}

std::size_t Cache::RemoveKept(std::string_view prefix, Time now) {
  std::size_t removed = 0;
  for (Shard& shard : shards_) {
    if (!Lock(shard, Wait::kForOthers, now)) continue;
    removed += shard.RemoveKept(prefix);
    shard.Unlock();
  }
  return removed;
}

bool Cache::ListKept(std::string_view prefix, Time now, std::vector<std::string>& values) {
  bool all = true;
  for (Shard& shard : shards_) {
    if (!Lock(shard, Wait::kForOthers, now)) {
      all = false;
      continue;
    }
    shard.AppendKept(prefix, now, values);
    shard.Unlock();
  }
  return all;
}

// --- loading

Cache::Loading Cache::GetOrClaim(const Key& key,
                                 Duration lease,
                                 Time now,
                                 Wait wait,
                                 Value& value) {
  using Next = Loading::Next;
  Loading busy{.next = wait == Wait::kNot ? Next::kBusy : Next::kWithout};
  return Locked(key, wait, now, busy, [&](Shard& shard) {
    Loading loading{.answer = shard.Get(key, now, value), .turn = TurnOf(key)};
    if (loading.answer == Answer::kFresh) {
      loading.next = Next::kUse;
      return loading;
    }
    const Claimed claimed = ClaimIn(shard, key, lease, now);
    if (claimed.by_another) {
      loading.next = loading.answer == Answer::kStale ? Next::kUse : Next::kWait;
    } else if (claimed.token != 0) {
      loading.next = Next::kLoad;
      loading.token = claimed.token;
    }
    return loading;
  });
}

std::uint64_t Cache::Claim(const Key& key, Duration lease, Time now, Wait wait) {
  return Locked(key, wait, now, std::uint64_t{0}, [&](Shard& shard) {
    return ClaimIn(shard, key, lease, now).token;
  });
}

Cache::Claimed Cache::ClaimIn(Shard& shard, const Key& key, Duration lease, Time now) {
  const auto claim = shard.ClaimOf(key, now);
  if (claim && os::IsAlive(static_cast<pid_t>(claim->process))) return {.by_another = true};
  const std::uint64_t token = head().tokens.fetch_add(1, std::memory_order_relaxed) + 1;
  const cache::Claim ours{token, static_cast<std::uint64_t>(os::ThisProcess())};
  if (shard.SetClaim(key, ours, now + lease, now) != Outcome::kDone) return {};
  return {.token = token};
}

Outcome Cache::Fulfil(const Key& key,
                      std::uint64_t token,
                      const NewValue& value,
                      Time now,
                      Wait wait) {
  return Changed(key, wait, now, Tell::kWhenDone, [&](Shard& shard) {
    return shard.Fulfil(key, token, value, now);
  });
}

Outcome Cache::GiveUp(const Key& key, std::uint64_t token, Time now, Wait wait) {
  return Changed(
      key, wait, now, Tell::kWhenDone, [&](Shard& shard) { return shard.GiveUp(key, token, now); });
}

Outcome Cache::Supply(const Key& key,
                      std::uint64_t token,
                      const NewValue& value,
                      Time now,
                      Wait wait) {
  return Changed(key, wait, now, Tell::kWhenDone, [&](Shard& shard) {
    return shard.Supply(key, token, value, now);
  });
}

std::uint32_t Cache::TurnOf(const Key& key) {
  return ShardOf(key).head().turn.load() & ~kSomebodyWaits;
}

void Cache::Await(const Key& key, std::uint32_t turn, Duration timeout) {
  std::atomic<std::uint32_t>& word = ShardOf(key).head().turn;
  std::uint32_t expected = turn;
  const std::uint32_t waited_for = turn | kSomebodyWaits;
  if (word.compare_exchange_strong(expected, waited_for) || expected == waited_for)
    os::WaitForChange(word, waited_for, timeout);
}

// --- for those who look

Cache::Figures Cache::Count(Time now, Wait wait) {
  Figures figures;
  figures.bytes = mapping_.size();
  std::array<Row, kRows> rows;
  for (Shard& shard : shards_) {
    const ShardHead& head = shard.head();
    for (std::size_t i = 0; i < kRows; ++i)
      AddCounts(head.rows[i], rows[i]);
    figures.undone += head.undone.load(std::memory_order_relaxed);
    figures.emptied += head.emptied.load(std::memory_order_relaxed);
    if (!Lock(shard, wait, now)) continue;
    const std::uint32_t blocks = shard.memory().blocks() - 1;  // without that which is nobody's
    figures.bytes_used += std::size_t{blocks - std::min(head.free_blocks, blocks)} * kBlockBytes;
    const QueueHead& kept = head.queues[static_cast<std::size_t>(Queue::kKept)];
    figures.bytes_kept += std::size_t{kept.blocks} * kBlockBytes;
    figures.entries_kept += kept.entries - head.claims;
    for (const QueueHead& queue : head.queues)
      figures.entries += queue.entries;
    figures.entries -= head.claims;
    shard.Unlock();
  }
  for (std::size_t i = 0; i < kRows; ++i) {
    if (rows[i].hits + rows[i].misses + rows[i].sets == 0) continue;
    rows[i].number = i;
    rows[i].name = NameOf(i);
    figures.rows.push_back(std::move(rows[i]));
  }
  return figures;
}

std::string Cache::NameOf(std::size_t row) const {
  const RowName& name = head().row_names[row];
  const std::size_t bytes =
      std::min<std::size_t>(name.bytes.load(std::memory_order_acquire), RowName::kBytesMax);
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i)
    text.push_back(name.text[i].load(std::memory_order_relaxed));
  return text;
}

std::size_t Cache::ForEach(Time now, const Shard::Each& each) {
  std::size_t left_out = 0;
  for (Shard& shard : shards_) {
    if (!Lock(shard, Wait::kForOthers, now)) {
      ++left_out;
      continue;
    }
    shard.ForEach(now, each);
    shard.Unlock();
  }
  return left_out;
}

bool Cache::CheckInvariants() {
  bool right = true;
  for (Shard& shard : shards_) {
    if (!Lock(shard, Wait::kForOthers, Time{})) return false;
    right = shard.CheckInvariants() && right;
    shard.Unlock();
  }
  return right;
}

}  // namespace onebox::cache
