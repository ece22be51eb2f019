#include "cache/shard.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "cache/blocks.h"
#include "cache/eviction.h"
#include "cache/queues.h"

namespace onebox::cache {
namespace {

// A claim on a key is an entry of its own, in the same shard, which the bits of the hash that are left
// here choose.
constexpr std::uint64_t kClaimBits = 0x0000'5bd1'e995'a4d3;
// Where a holder does not go on, callers do without for as long before they wait for it once more.
constexpr Duration kGivenUpFor = std::chrono::seconds(1);
// How many of the kept entries are looked at for each new one: what has expired goes in time.
constexpr int kSweptAtOnce = 4;
constexpr int kSweptForRoomMax = 4096;
// Where that has found no room, the next who come do without it for so long.
constexpr Duration kSweptAgainAfter = std::chrono::milliseconds(100);

std::int64_t Nanoseconds(Time time) {
  return time.time_since_epoch().count();
}

std::span<const std::byte> BytesOf(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

Key ClaimKey(const Key& key) {
  return {key.bytes, key.hash ^ kClaimBits, 0};
}

// Of an entry, between its Entry and its value.
std::size_t BytesBeforeValue(const Entry& entry) {
  return entry.tags * sizeof(TagMark) + entry.key_bytes;
}

// And all that comes behind an Entry.
std::size_t BytesBehind(const Key& key, const NewValue& value) {
  return value.tags.size_bytes() + key.bytes.size() + value.bytes.size();
}

// As an entry has it: it is fresh no longer than it is there.
struct Ends {
  explicit Ends(const Lifetime& lifetime)
      : expires(lifetime.expires ? Nanoseconds(*lifetime.expires) : kNever),
        fresh(lifetime.fresh ? std::min(Nanoseconds(*lifetime.fresh), expires) : expires) {}
  std::int64_t expires, fresh;
};

void Raise(std::atomic<std::uint64_t>& count) {
  count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace

void Shard::Format() {
  memory_.head().lock.Initialise();
  memory_.Begin();
}

bool Shard::TryLock() {
  return Concluded(memory_.head().lock.TryLock());
}

bool Shard::Lock(Duration patience, Time now) {
  if (TryLock()) return true;
  auto& given_up = memory_.head().given_up;
  const std::int64_t until = given_up.load(std::memory_order_relaxed);
  const bool given = until > Nanoseconds(now) && until <= Nanoseconds(now + kGivenUpFor);
  if (given) return false;  // a later time is none that was written by who gave up
  if (Concluded(memory_.head().lock.Lock(patience))) return true;
  given_up.store(Nanoseconds(now + kGivenUpFor), std::memory_order_relaxed);
  return false;
}

bool Shard::LockPatiently(Duration patience) {
  return Concluded(memory_.head().lock.Lock(patience));
}

bool Shard::Concluded(shm::RobustLock::Taken taken) {
  if (taken == shm::RobustLock::Taken::kFromTheDead) PutInOrder();
  return taken != shm::RobustLock::Taken::kNo;
}

void Shard::PutInOrder() {
  ShardHead& head = memory_.head();
  if (head.whole == 0) {
    memory_.Reset();
    return;
  }
  if (!memory_.undo().Empty() || head.being_made != kNoBlock || head.discarded != kNoBlock) {
    Raise(head.undone);
  }
  memory_.Check(memory_.undo().Undo(memory_.changing()));
  DiscardWhatWasBeingMade(memory_);
  FreeDiscarded(memory_);
}

void Shard::Unlock() {
  if (memory_.broken()) {
    Raise(memory_.head().emptied);
    memory_.Reset();
  }
  memory_.head().lock.Unlock();
}

bool Shard::RaiseTurn() {
  auto& turn = memory_.head().turn;
  const std::uint32_t next = (turn.load(std::memory_order_relaxed) | kSomebodyWaits) + 1;
  return (turn.exchange(next) & kSomebodyWaits) != 0;
}

// --- looking

Shard::Place Shard::Find(const Key& key) {
  std::uint32_t* link = &memory_.BucketOf(key.hash);
  for (std::uint32_t steps = 0; *link != kNoBlock; ++steps) {
    if (!memory_.Check(steps < memory_.blocks())) break;  // a ring
    Entry& entry = memory_.EntryAt(*link);
    if (entry.hash == key.hash && entry.key_bytes == key.bytes.size()) {
      ChainCursor cursor(memory_, *link);
      cursor.Skip(entry.tags * sizeof(TagMark));
      if (cursor.Equals(BytesOf(key.bytes).data(), key.bytes.size())) return {*link, link};
    }
    if (memory_.broken()) break;
    link = &entry.in_bucket;
  }
  return {};
}

// False where it makes no sense.
bool Shard::ReadKey(std::uint32_t block, std::string& key) {
  const Entry& entry = memory_.EntryAt(block);
  if (!memory_.Check(entry.key_bytes <= kKeyBytesMax)) return false;
  key.resize(entry.key_bytes);
  ChainCursor cursor(memory_, block);
  cursor.Skip(entry.tags * sizeof(TagMark));
  cursor.Read(reinterpret_cast<std::byte*>(key.data()), key.size());
  return !memory_.broken();
}

bool Shard::IsThere(std::uint32_t block, Time now) {
  const Entry& entry = memory_.EntryAt(block);
  if (entry.expires <= Nanoseconds(now) || !entry.origin.Counts(*trust_, Nanoseconds(now)))
    return false;
  ChainCursor cursor(memory_, block);
  for (int tag = 0; tag < entry.tags && memory_.Check(entry.tags <= kTagsMax); ++tag) {
    TagMark mark{};
    cursor.Read(reinterpret_cast<std::byte*>(&mark), sizeof mark);
    if (!memory_.Check(mark.cell < cells_.size()) ||
        cells_[mark.cell].load(std::memory_order_acquire) != mark.generation) {
      return false;
    }
  }
  return true;
}

Shard::Place Shard::FindThere(const Key& key, Time now) {
  const Place place = Find(key);
  return place.block != kNoBlock && IsThere(place.block, now) ? place : Place{};
}

bool Shard::ValueEquals(std::uint32_t block, std::string_view bytes, std::uint8_t codec) {
  const Entry& entry = memory_.EntryAt(block);
  if (entry.codec != codec || entry.value_bytes != bytes.size()) return false;
  ChainCursor cursor(memory_, block);
  cursor.Skip(BytesBeforeValue(entry));
  return cursor.Equals(BytesOf(bytes).data(), bytes.size());
}

bool Shard::Holds(const Condition& condition, std::uint32_t block) {
  const bool there = block != kNoBlock;
  if (condition.presence == Condition::Presence::kAbsent && there) return false;
  if (condition.presence == Condition::Presence::kPresent && !there) return false;
  return !condition.equals || !there || ValueEquals(block, *condition.equals, condition.codec);
}

void Shard::ReadValue(std::uint32_t block, std::byte* to, std::size_t bytes) {
  ChainCursor cursor(memory_, block);
  cursor.Skip(BytesBeforeValue(memory_.EntryAt(block)));
  cursor.Read(to, bytes);
}

Answer Shard::Get(const Key& key, Time now, Value& value) {
  RowCounts& row = memory_.head().rows[key.row];
  NoteAsked(memory_);
  const Place place = FindThere(key, now);
  if (place.block == kNoBlock) {
    Raise(row.misses);
    return Answer::kAbsent;
  }
  Entry& entry = memory_.EntryAt(place.block);
  const std::size_t bytes = entry.value_bytes;
  if (!memory_.Check(bytes <= value_bytes_max())) return Answer::kAbsent;
  value.codec = entry.codec;
  value.expires.reset();
  if (entry.expires != kNever) value.expires = Time(Duration(entry.expires));
  value.bytes.clear();
  value.bytes.reserve(bytes);
  ChainCursor cursor(memory_, place.block);
  cursor.Skip(BytesBeforeValue(entry));
  cursor.AppendTo(value.bytes, bytes);
  if (memory_.broken()) return Answer::kAbsent;
  ++entry.hits;
  NoteUse(memory_, entry);
  Raise(row.hits);
  return entry.fresh > Nanoseconds(now) ? Answer::kFresh : Answer::kStale;
}

// --- changing

void Shard::Discard(Place place) {
  FreeDiscarded(memory_);
  const Entry& entry = memory_.EntryAt(place.block);
  {
    shm::Mutation mutation = memory_.Change();
    mutation.Set(*place.link, entry.in_bucket);
    RemoveFromQueue(memory_, mutation, place.block);
    if (entry.codec == kClaimCodec) mutation.Set(memory_.head().claims, memory_.head().claims - 1);
    mutation.Set(memory_.head().discarded, place.block);
  }
  FreeDiscarded(memory_);
}

void Shard::DropClaim(const Key& key) {
  if (memory_.head().claims == 0) return;
  const Place claim = Find(ClaimKey(key));
  if (claim.block != kNoBlock) Discard(claim);
}

Shard::Place Shard::PlaceOf(std::uint32_t block) {
  std::uint32_t* link = &memory_.BucketOf(memory_.EntryAt(block).hash);
  for (std::uint32_t steps = 0; *link != block; ++steps) {
    if (!memory_.Check(*link != kNoBlock && steps < memory_.blocks())) return {};
    link = &memory_.EntryAt(*link).in_bucket;
  }
  return {block, link};
}

bool Shard::Evict(std::uint32_t block) {
  const Place place = PlaceOf(block);
  if (memory_.broken()) return false;
  const Entry& entry = memory_.EntryAt(block);
  Raise(memory_.head().rows[entry.row].evictions);
  NoteEvicted(memory_, entry.hash, FrequencyOf(memory_, entry));
  Discard(place);
  return true;
}

// Who leaves the window goes where there is room in the main part, or takes the room of others, or gives
// way himself.
bool Shard::Contest(std::uint32_t candidate, Time now) {
  const std::uint32_t blocks = memory_.EntryAt(candidate).blocks;
  while (!FitsMain(memory_, blocks)) {
    const std::uint32_t other = OldestOfMain(memory_, Nanoseconds(now));
    if (other == kNoBlock) return Evict(candidate);  // it is larger than all of that
    if (!Wins(memory_, candidate, other, Nanoseconds(now))) {
      MakeYoung(memory_, other);
      return Evict(candidate);
    }
    if (!Evict(other)) return false;
  }
  MoveToMain(memory_, candidate);
  return !memory_.broken();
}

bool Shard::MakeRoom(const Newcomer& newcomer, Time now) {
  while (const std::uint32_t candidate = LeavesWindow(memory_, newcomer.blocks)) {
    if (!Contest(candidate, now)) return false;
  }
  while (memory_.head().free_blocks < newcomer.blocks) {
    const std::uint32_t oldest = Oldest(memory_, Nanoseconds(now));
    if (oldest == kNoBlock) {
      memory_.CountsAgree();
      return false;
    }
    if (newcomer.frequency &&
        !WinsAgainst(memory_, *newcomer.frequency, oldest, Nanoseconds(now))) {
      MakeYoung(memory_, oldest);
      return false;
    }
    if (!Evict(oldest)) return false;
  }
  return !memory_.broken();
}

// Looks at the oldest of what is kept: it goes where it has expired, else it becomes the newest.
void Shard::SweepKept(Time now) {
  const std::uint32_t block = OldestOf(memory_, Queue::kKept);
  if (block == kNoBlock) return;
  if (!IsThere(block, now)) {
    if (const Place place = PlaceOf(block); !memory_.broken()) Discard(place);
    return;
  }
  shm::Mutation mutation = memory_.Change();
  RemoveFromQueue(memory_, mutation, block);
  AppendToQueue(memory_, mutation, block, Queue::kKept);
}

bool Shard::MakeRoomToKeep(const Key& key, std::uint32_t blocks, Time now) {
  for (int i = 0; i < kSweptAtOnce; ++i)
    SweepKept(now);
  const QueueHead& kept = HeadOf(memory_, Queue::kKept);
  const auto fits = [&] {
    const Place old = Find(key);  // goes when the new one comes
    const bool counted = old.block != kNoBlock && memory_.EntryAt(old.block).queue == Queue::kKept;
    const std::uint32_t given_back = counted ? memory_.EntryAt(old.block).blocks : 0;
    return kept.blocks + blocks <= memory_.blocks() / 2 + given_back;
  };
  if (fits()) return true;
  std::int64_t& kept_full_until = memory_.head().kept_full_until;
  const std::int64_t again = Nanoseconds(now + kSweptAgainAfter);
  if (kept_full_until > Nanoseconds(now) && kept_full_until <= again) return false;
  for (std::uint32_t left = std::min<std::uint32_t>(kept.entries, kSweptForRoomMax);
       left > 0 && !memory_.broken();
       --left) {
    SweepKept(now);
    if (fits()) return true;
  }
  memory_.CountsAgree();
  kept_full_until = again;
  return false;
}

bool Shard::WriteEntry(const Key& key, const NewValue& value, Time now) {
  if (!memory_.Check(memory_.head().being_made == kNoBlock)) return false;
  const std::size_t all = sizeof(Entry) - sizeof(Extent) + BytesBehind(key, value);
  std::uint32_t blocks = 0;
  for (std::size_t taken = 0; taken < all;) {
    if (memory_.head().free_blocks == 0 && !MakeRoom({1}, now)) return false;
    const std::uint32_t before = memory_.head().free_blocks;
    taken += TakeRun(memory_, all - taken);
    if (memory_.broken()) return false;
    blocks += before - memory_.head().free_blocks;
  }
  const std::uint32_t block = memory_.head().being_made;
  Entry& entry = memory_.EntryAt(block);
  const Ends ends(value.lifetime);
  entry = {
      .extent = entry.extent,
      .value_bytes = static_cast<std::uint32_t>(value.bytes.size()),
      .hash = key.hash,
      .expires = ends.expires,
      .fresh = ends.fresh,
      .in_bucket = kNoBlock,
      .older = kNoBlock,
      .newer = kNoBlock,
      .hits = 0,
      .blocks = blocks,
      .key_bytes = static_cast<std::uint16_t>(key.bytes.size()),
      .row = key.row,
      .codec = value.codec,
      .tags = static_cast<std::uint8_t>(value.tags.size()),
      .queue = Queue::kKept,
      .uses = 0,
      .epoch = 0,
      .origin = value.origin,
  };
  ChainCursor cursor(memory_, block);
  cursor.Write(std::as_bytes(value.tags).data(), value.tags.size_bytes());
  cursor.Write(BytesOf(key.bytes).data(), key.bytes.size());
  cursor.Write(BytesOf(value.bytes).data(), value.bytes.size());
  return !memory_.broken();
}

// What is being made becomes the key's entry, in one step with the end of the one before it.
void Shard::Link(const Key& key, Keep keep) {
  const Place old = Find(key);
  ShardHead& head = memory_.head();
  const std::uint32_t block = head.being_made;
  Entry& entry = memory_.EntryAt(block);
  const bool kept = keep == Keep::kUntilItExpires;
  const Queue queue = kept ? Queue::kKept : Queue::kWindow;
  {
    shm::Mutation mutation = memory_.Change();
    if (old.block == kNoBlock) {
      std::uint32_t& bucket = memory_.BucketOf(key.hash);
      mutation.Set(entry.in_bucket, bucket);
      mutation.Set(bucket, block);
      BeginCounting(memory_, entry);
      AppendToQueue(memory_, mutation, block, queue);
    } else {
      const Entry& before = memory_.EntryAt(old.block);
      mutation.Set(entry.in_bucket, before.in_bucket);
      mutation.Set(*old.link, block);
      ContinueCounting(memory_, before, entry);
      if (kept == (before.queue == Queue::kKept)) {
        ReplaceInQueue(memory_, mutation, old.block, block);
      } else {
        RemoveFromQueue(memory_, mutation, old.block);
        AppendToQueue(memory_, mutation, block, queue);
      }
      mutation.Set(head.discarded, old.block);
    }
    if (entry.codec == kClaimCodec && old.block == kNoBlock)
      mutation.Set(head.claims, head.claims + 1);
    mutation.Set(head.being_made, kNoBlock);
  }
  FreeDiscarded(memory_);
}

Outcome Shard::Put(const Key& key, const NewValue& value, Time now) {
  const bool kept = value.keep == Keep::kUntilItExpires;
  if (value.bytes.size() > value_bytes_max()) {
    // Who asks may load it; what he may not get is the value that it was to replace.
    const Place old = kept ? Place{} : Find(key);
    if (old.block != kNoBlock) Discard(old);
    return Outcome::kTooLarge;
  }
  Newcomer newcomer{BlocksFor(BytesBehind(key, value))};
  if (kept && !MakeRoomToKeep(key, newcomer.blocks, now)) return Outcome::kFull;
  if (!kept && !FitsWindow(memory_, newcomer.blocks)) {
    const Place old = Find(key);
    newcomer.frequency = old.block == kNoBlock ? FrequencyOfNew(memory_, key.hash)
                                               : FrequencyOf(memory_, memory_.EntryAt(old.block));
  }
  if (MakeRoom(newcomer, now) && WriteEntry(key, value, now)) {
    Link(key, value.keep);
    if (value.codec != kClaimCodec) Raise(memory_.head().rows[key.row].sets);
    return Outcome::kDone;
  }
  DiscardWhatWasBeingMade(memory_);
  FreeDiscarded(memory_);
  if (kept) return Outcome::kFull;
  // It gives way at once; what was there before may not outlive it.
  NoteEvicted(memory_, key.hash, newcomer.frequency.value_or(0));
  if (const Place old = Find(key); old.block != kNoBlock) Discard(old);
  return Outcome::kDone;
}

Outcome Shard::Set(const Key& key, const NewValue& value, const Condition& condition, Time now) {
  CHECK(key.bytes.size() <= kKeyBytesMax && value.tags.size() <= kTagsMax);
  if (!Holds(condition, FindThere(key, now).block)) return Outcome::kRefused;
  DropClaim(key);
  return Put(key, value, now);
}

Outcome Shard::Remove(const Key& key, const Condition& condition, Time now) {
  DropClaim(key);
  const Place place = FindThere(key, now);
  if (place.block == kNoBlock || !Holds(condition, place.block)) return Outcome::kRefused;
  Discard(place);
  return Outcome::kDone;
}

Outcome Shard::Forget(const Key& key) {
  DropClaim(key);
  const Place place = Find(key);
  if (place.block == kNoBlock) return Outcome::kRefused;
  if (memory_.EntryAt(place.block).origin.kind() == Origin::Kind::kOwn) return Outcome::kRefused;
  Discard(place);
  return Outcome::kDone;
}

bool Shard::IsOwn(const Key& key, Time now) {
  const Place place = FindThere(key, now);
  return place.block != kNoBlock &&
         memory_.EntryAt(place.block).origin.kind() == Origin::Kind::kOwn;
}

std::size_t Shard::RemoveKept(std::string_view prefix) {
  std::size_t removed = 0;
  std::string key;
  std::uint32_t block = HeadOf(memory_, Queue::kKept).newest;
  for (std::uint32_t steps = 0; block != kNoBlock && memory_.Check(steps < memory_.blocks());
       ++steps) {
    const Entry& entry = memory_.EntryAt(block);
    const std::uint32_t older = entry.older;
    if (!ReadKey(block, key)) break;
    if (entry.codec != kClaimCodec && key.starts_with(prefix)) {
      const Place place = PlaceOf(block);
      if (memory_.broken()) break;
      Discard(place);
      ++removed;
    }
    block = older;
  }
  return removed;
}

Outcome Shard::Touch(const Key& key, Lifetime lifetime, const Condition& condition, Time now) {
  const Place place = FindThere(key, now);
  if (place.block == kNoBlock || !Holds(condition, place.block)) return Outcome::kRefused;
  Entry& entry = memory_.EntryAt(place.block);
  const Ends ends(lifetime);
  shm::Mutation mutation = memory_.Change();
  mutation.Set(entry.expires, ends.expires);
  mutation.Set(entry.fresh, ends.fresh);
  return Outcome::kDone;
}

Outcome Shard::Add(const Key& key,
                   std::int64_t number,
                   const NewValue* initial,
                   Time now,
                   std::int64_t& sum) {
  Place place = FindThere(key, now);
  if (place.block == kNoBlock) {
    if (initial == nullptr) return Outcome::kRefused;
    CHECK(initial->codec == kNumberCodec && initial->bytes.size() == sizeof sum);
    std::memcpy(&sum, initial->bytes.data(), sizeof sum);
    if (__builtin_add_overflow(sum, number, &sum)) return Outcome::kOutOfRange;
    NewValue first = *initial;
    first.bytes = {reinterpret_cast<const char*>(&sum), sizeof sum};
    DropClaim(key);
    return Put(key, first, now);
  }
  const Entry& entry = memory_.EntryAt(place.block);
  if (entry.codec != kNumberCodec || entry.value_bytes != sizeof sum) return Outcome::kNotANumber;
  ReadValue(place.block, reinterpret_cast<std::byte*>(&sum), sizeof sum);
  if (__builtin_add_overflow(sum, number, &sum)) return Outcome::kOutOfRange;
  DropClaim(key);
  ChainCursor cursor(memory_, place.block);
  cursor.Skip(BytesBeforeValue(entry));
  shm::Mutation mutation = memory_.Change();
  cursor.Overwrite(mutation, reinterpret_cast<const std::byte*>(&sum), sizeof sum);
  return Outcome::kDone;
}

// --- claims

std::optional<Claim> Shard::ClaimOf(const Key& key, Time now) {
  if (memory_.head().claims == 0) return std::nullopt;
  const Place place = FindThere(ClaimKey(key), now);
  if (place.block == kNoBlock) return std::nullopt;
  Claim claim;
  if (!memory_.Check(memory_.EntryAt(place.block).value_bytes == sizeof claim)) return std::nullopt;
  ReadValue(place.block, reinterpret_cast<std::byte*>(&claim), sizeof claim);
  return claim;
}

Outcome Shard::SetClaim(const Key& key, Claim claim, Time until, Time now) {
  return Put(ClaimKey(key),
             {.bytes = {reinterpret_cast<const char*>(&claim), sizeof claim},
              .codec = kClaimCodec,
              .lifetime = {.expires = until},
              .keep = Keep::kUntilItExpires},
             now);
}

Outcome Shard::Fulfil(const Key& key, std::uint64_t token, const NewValue& value, Time now) {
  const auto claim = ClaimOf(key, now);
  if (!claim || claim->token != token) return Outcome::kRefused;
  DropClaim(key);
  return Put(key, value, now);
}

Outcome Shard::Supply(const Key& key, std::uint64_t token, const NewValue& value, Time now) {
  const auto claim = ClaimOf(key, now);
  if (!claim || claim->token != token) return Outcome::kRefused;
  return Put(key, value, now);
}

Outcome Shard::GiveUp(const Key& key, std::uint64_t token, Time now) {
  const auto claim = ClaimOf(key, now);
  if (!claim || claim->token != token) return Outcome::kRefused;
  DropClaim(key);
  return Outcome::kDone;
}

}  // namespace onebox::cache
