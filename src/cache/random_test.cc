// Random operations beside a plain model, in one process and with processes that are killed: what may
// give way may be forgotten, and nothing else; nothing is there that was not put there.

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <new>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/testing.h"
#include "cache/properties.h"
#include "cache/shard.h"
#include "cache/testing.h"
#include "os/mapping.h"

namespace onebox::cache {
namespace {

using std::chrono::milliseconds;

std::uint64_t DrawSeed() {
  // What a failure prints goes here, to see it again.
  const char* given = std::getenv("ONEBOX_SEED");  // NOLINT(concurrency-mt-unsafe): one thread yet
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

enum class What : unsigned char {
  kGet,
  kSet,
  kRemove,
  kTouch,
  kAdd,
  kClaim,
  kFulfil,
  kGiveUp,
  kPurge,
  kWait,
  kLook
};

// One operation, with all that it says: drawn from a seed, so that two processes draw the same.
struct Operation {
  What what = What::kGet;
  int key = 0;
  std::string bytes = {};
  std::uint8_t codec = 0;
  Keep keep = Keep::kWhileThereIsRoom;
  Condition::Presence presence = Condition::Presence::kAny;
  bool equals = false;  // it asks for the value of `equal_to`
  std::string equal_to = {};
  std::uint8_t equal_codec = 0;
  std::optional<Duration> lasts = {}, fresh = {};
  std::int64_t number = 0;
  bool begins = false;
  std::vector<std::uint32_t> tags = {};
  std::uint64_t token = 0;
};

// How it ended.
struct Ending {
  Outcome outcome = Outcome::kDone;
  Answer answer = Answer::kAbsent;
  Value value = {};
  std::int64_t sum = 0;
  std::optional<std::uint64_t> claim = {};
};

constexpr std::uint32_t kTags = 6;
constexpr int kKeys = 60;

std::string NumberBytes(std::int64_t number) {
  return {reinterpret_cast<const char*>(&number), sizeof number};
}

class Drawing final {
 public:
  Drawing(std::uint64_t seed, std::size_t bytes_max)
      : random_(seed), bytes_max_(bytes_max), tokens_(seed % 1'000'003 * 1'000'000) {}

  std::uint64_t Below(std::uint64_t end) { return random_() % end; }
  bool OneIn(std::uint64_t n) { return Below(n) == 0; }

  Operation Draw() {
    constexpr std::array kWhat = {What::kGet,
                                  What::kGet,
                                  What::kGet,
                                  What::kSet,
                                  What::kSet,
                                  What::kSet,
                                  What::kSet,
                                  What::kSet,
                                  What::kRemove,
                                  What::kTouch,
                                  What::kAdd,
                                  What::kAdd,
                                  What::kClaim,
                                  What::kClaim,
                                  What::kFulfil,
                                  What::kGiveUp,
                                  What::kPurge,
                                  What::kWait,
                                  What::kLook};
    Operation operation;
    operation.what = kWhat[Below(kWhat.size())];
    operation.key = static_cast<int>(OneIn(2) ? Below(8) : Below(kKeys));
    operation.bytes = DrawBytes();
    operation.codec = OneIn(8) ? kNumberCodec : static_cast<std::uint8_t>(Below(4));
    if (OneIn(3)) operation.keep = Keep::kUntilItExpires;
    if (OneIn(4)) operation.presence = static_cast<Condition::Presence>(Below(3));
    operation.equals = OneIn(5);
    operation.lasts = DrawDuration();
    operation.fresh = DrawDuration();
    operation.number = OneIn(10) ? static_cast<std::int64_t>(random_())
                                 : static_cast<std::int64_t>(Below(100)) - 50;
    operation.begins = OneIn(2);
    while (OneIn(3) && operation.tags.size() < kTagsMax)
      operation.tags.push_back(static_cast<std::uint32_t>(Below(kTags)));
    operation.token = ++tokens_;
    return operation;
  }

 private:
  std::string DrawBytes() {
    std::uint64_t size = 0;
    switch (Below(12)) {
      case 0:
        size = Below(bytes_max_ + 100);
        break;
      case 1:
        size = bytes_max_ - Below(3);
        break;
      case 2:
        size = 0;
        break;
      case 3:
      case 4:
        size = Below(10'000);
        break;
      case 5:
        size = sizeof(std::int64_t);
        break;
      default:
        size = Below(400);
    }
    std::string bytes(size, static_cast<char>('a' + Below(26)));
    for (std::size_t at = 0; at < bytes.size(); at += 61)
      bytes[at] = static_cast<char>(random_());
    return bytes;
  }
  std::optional<Duration> DrawDuration() {
    if (OneIn(3)) return std::nullopt;
    return milliseconds(static_cast<std::int64_t>(Below(3'000)));
  }

  std::mt19937_64 random_;
  std::size_t bytes_max_;
  std::uint64_t tokens_;
};

// A shard in memory that processes share, with its tags and its clock.
class Real final {
 public:
  Real() { shard_.Format(); }

  Shard& shard() { return shard_; }
  std::uint32_t generation(std::uint32_t tag) const { return shared().cells[tag].load(); }
  Time now() const { return Time(Duration(shared().now.load())); }

  static Key KeyOf(const std::string& bytes) {
    // Few buckets, so that chains are long.
    const std::uint64_t hash = std::hash<std::string>()(bytes);
    return {bytes, (hash & ~std::uint64_t{0xffff}) | hash % 7, static_cast<std::uint8_t>(hash)};
  }
  static std::string KeyText(int number) {
    return number % 10 == 9 ? std::string(static_cast<std::size_t>(number) * 60, 'k')
                            : fmt::format("key {}", number);
  }

  // `equal_to`: what the operation asks for.
  Ending Do(const Operation& operation);

 private:
  struct Shared {
    std::atomic<std::int64_t> now = std::int64_t{3'600} * 1'000'000'000;
    std::array<std::atomic<std::uint32_t>, kTags> cells{};
  };
  static constexpr std::size_t kAll = kShardBytesMin + sizeof(Shared);

  Shared& shared() const { return *reinterpret_cast<Shared*>(mapping_.data() + kShardBytesMin); }

  os::Mapping mapping_ =
      os::Mapping::Share(os::NewSharedMemory("test", kAll).value(), kAll).value();
  Shared* made_ = new (mapping_.data() + kShardBytesMin) Shared;
  redis::Trust trust_;
  Shard shard_{{mapping_.data(), kShardBytesMin}, made_->cells, trust_};
};

Ending Real::Do(const Operation& operation) {
  const std::string text = KeyText(operation.key);
  const Key key = KeyOf(text);
  const Time time = now();
  Lifetime lifetime;
  if (operation.lasts) lifetime.expires = time + *operation.lasts;
  if (operation.fresh) lifetime.fresh = time + *operation.fresh;
  std::vector<TagMark> tags;
  for (const std::uint32_t tag : operation.tags)
    tags.push_back({tag, generation(tag)});
  const NewValue value{.bytes = operation.bytes,
                       .codec = operation.codec,
                       .lifetime = lifetime,
                       .keep = operation.keep,
                       .tags = tags};
  Condition condition{.presence = operation.presence};
  if (operation.equals) condition.equals = operation.equal_to;
  condition.codec = operation.equal_codec;
  const std::string first = NumberBytes(operation.number / 2);
  NewValue initial = value;
  initial.bytes = first;
  initial.codec = kNumberCodec;
  Ending ending;
  switch (operation.what) {
    case What::kGet:
      ending.answer = shard_.Get(key, time, ending.value);
      break;
    case What::kSet:
      ending.outcome = shard_.Set(key, value, condition, time);
      break;
    case What::kRemove:
      ending.outcome = shard_.Remove(key, condition, time);
      break;
    case What::kTouch:
      ending.outcome = shard_.Touch(key, lifetime, condition, time);
      break;
    case What::kAdd:
      ending.outcome = shard_.Add(
          key, operation.number, operation.begins ? &initial : nullptr, time, ending.sum);
      break;
    case What::kClaim:
      ending.outcome = shard_.SetClaim(
          key, {operation.token, 1}, time + operation.lasts.value_or(milliseconds(500)), time);
      break;
    case What::kFulfil:
      if (const auto claim = shard_.ClaimOf(key, time)) ending.claim = claim->token;
      ending.outcome = shard_.Fulfil(key, ending.claim.value_or(0), value, time);
      break;
    case What::kGiveUp:
      if (const auto claim = shard_.ClaimOf(key, time)) ending.claim = claim->token;
      ending.outcome = shard_.GiveUp(key, ending.claim.value_or(0), time);
      break;
    case What::kPurge:
      shared().cells[static_cast<std::uint32_t>(operation.key) % kTags].fetch_add(1);
      break;
    case What::kWait:
      shared().now += operation.lasts.value_or(Duration(1)).count();
      break;
    case What::kLook:
      break;
  }
  return ending;
}

// Has the lock, and gives it back where a test fails too: memory may not go with a lock that is held.
class Holding final {
 public:
  explicit Holding(Shard& shard) : shard_(shard) { CHECK(shard_.TryLock()); }
  ~Holding() { shard_.Unlock(); }
  Holding(const Holding&) = delete;
  Holding& operator=(const Holding&) = delete;

 private:
  Shard& shard_;
};

// What a plain map remembers.
struct Held {
  std::string bytes;
  std::uint8_t codec = 0;
  bool kept = false;
  std::optional<Time> expires, fresh;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> tags;
};
struct HeldClaim {
  std::uint64_t token = 0;
  Time until;
};

class Model final {
 public:
  explicit Model(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // What an operation that speaks of a value may ask for: that which is there, or another.
  void ChooseEqual(Operation& operation) const {
    const auto found = held_.find(operation.key);
    if (found == held_.end() || operation.token % 3 == 0) {
      operation.equal_to = "something else";
      return;
    }
    operation.equal_to = found->second.bytes;
    operation.equal_codec =
        static_cast<std::uint8_t>(found->second.codec ^ (operation.token % 4 == 1 ? 1 : 0));
  }

  // How the operation may not have ended, or empty; else it is remembered as done.
  std::string Apply(const Operation& operation, const Ending& ending);

  // Whether what is found of a key agrees.
  std::string Compare(int key, Answer answer, const Value& value);
  bool Kept(int key) const { return IsThere(key) && held_.at(key).kept; }
  std::optional<std::uint64_t> ClaimOf(int key) const {
    const auto claim = claims_.find(key);
    if (claim == claims_.end() || claim->second.until <= now_) return std::nullopt;
    return claim->second.token;
  }
  std::uint32_t generation(std::uint32_t tag) const { return generations_[tag]; }
  void Forget(int key) { held_.erase(key); }
  void ForgetClaim(int key) { claims_.erase(key); }
  // What adding may give: to what is there, and to what it begins with.
  std::vector<std::int64_t> SumsOf(const Operation& operation) const {
    std::int64_t first = 0, more = 0;
    const auto found = held_.find(operation.key);
    if (found != held_.end() && found->second.bytes.size() == sizeof more)
      std::memcpy(&more, found->second.bytes.data(), sizeof more);
    (void)__builtin_add_overflow(operation.number / 2, operation.number, &first);
    (void)__builtin_add_overflow(more, operation.number, &more);
    return {first, more};
  }

 private:
  bool IsThere(int key) const {
    const auto found = held_.find(key);
    if (found == held_.end()) return false;
    const Held& held = found->second;
    if (held.expires && *held.expires <= now_) return false;
    for (const auto& [tag, generation] : held.tags) {
      if (generations_[tag] != generation) return false;
    }
    return true;
  }
  // Whether the condition may hold: what may have given way may be there or not.
  bool MayHold(const Operation& operation, bool there) const {
    using Presence = Condition::Presence;
    if (operation.presence == Presence::kAbsent && there) return false;
    if (operation.presence == Presence::kPresent && !there) return false;
    if (!operation.equals || !there) return true;
    const Held& held = held_.at(operation.key);
    return held.bytes == operation.equal_to && held.codec == operation.equal_codec;
  }
  std::string ApplyPut(const Operation& operation, const Ending& ending, Held held);
  std::string ApplySet(const Operation& operation, const Ending& ending);
  std::string ApplyChange(const Operation& operation, const Ending& ending);
  std::string ApplyAdd(const Operation& operation, const Ending& ending);
  std::string ApplyToClaim(const Operation& operation, const Ending& ending);
  Held HeldOf(const Operation& operation) const {
    Held held{operation.bytes,
              operation.codec,
              operation.keep == Keep::kUntilItExpires,
              std::nullopt,
              std::nullopt,
              {}};
    SetLifetime(held, operation);
    for (const std::uint32_t tag : operation.tags)
      held.tags.emplace_back(tag, generations_[tag]);
    return held;
  }
  void SetLifetime(Held& held, const Operation& operation) const {
    held.expires.reset();
    held.fresh.reset();
    if (operation.lasts) held.expires = now_ + *operation.lasts;
    if (operation.fresh) held.fresh = now_ + *operation.fresh;
  }

  std::size_t bytes_max_;
  Time now_{std::chrono::hours(1)};
  std::array<std::uint32_t, kTags> generations_{};
  std::map<int, Held> held_;
  std::map<int, HeldClaim> claims_;
};

std::string Model::Compare(int key, Answer answer, const Value& value) {
  if (answer == Answer::kAbsent) {
    if (Kept(key)) return "what is kept is gone";
    Forget(key);
    return {};
  }
  if (!IsThere(key)) return "it is there and should not be";
  const Held& held = held_.at(key);
  if (held.bytes != value.bytes || held.codec != value.codec) return "other bytes are there";
  if (held.expires != value.expires) return "it expires at another time";
  const bool fresh = !held.fresh || *held.fresh > now_;
  if ((answer == Answer::kFresh) != fresh) return "it is fresh where it is stale, or the reverse";
  return {};
}

std::string Model::ApplyPut(const Operation& operation, const Ending& ending, Held held) {
  const std::size_t bytes = held.bytes.size();
  switch (ending.outcome) {
    case Outcome::kDone:
      if (bytes > bytes_max_) return "it is too large";
      held_[operation.key] = std::move(held);
      return {};
    case Outcome::kTooLarge:
      if (!held.kept) held_.erase(operation.key);
      return bytes > bytes_max_ ? "" : "it is not too large";
    case Outcome::kFull:
      return held.kept ? "" : "what may give way has always room";
    default:
      return "no way for a put to end";
  }
}

std::string Model::ApplySet(const Operation& operation, const Ending& ending) {
  const bool there = IsThere(operation.key);
  const bool surely = there && held_.at(operation.key).kept;
  const bool holds = MayHold(operation, there);
  const bool holds_if_gone = surely ? holds : MayHold(operation, false);
  if (ending.outcome == Outcome::kRefused) {
    if (holds && holds_if_gone) return "refused, and the condition holds";
    if (!holds_if_gone && holds) Forget(operation.key);
    return {};
  }
  if (!holds && !holds_if_gone) return "done, and the condition does not hold";
  if (!holds) Forget(operation.key);
  claims_.erase(operation.key);
  return ApplyPut(operation, ending, HeldOf(operation));
}

std::string Model::ApplyChange(const Operation& operation, const Ending& ending) {
  const bool there = IsThere(operation.key);
  const bool holds = there && MayHold(operation, true);
  const bool remove = operation.what == What::kRemove;
  if (remove) claims_.erase(operation.key);
  if (ending.outcome == Outcome::kRefused) {
    if (holds && held_.at(operation.key).kept) return "refused, and it is kept";
    if (holds) Forget(operation.key);
    return {};
  }
  if (ending.outcome != Outcome::kDone || !holds) return "done, and nothing is there";
  if (remove) {
    Forget(operation.key);
  } else {
    SetLifetime(held_.at(operation.key), operation);
  }
  return {};
}

std::string Model::ApplyAdd(const Operation& operation, const Ending& ending) {
  const bool there = IsThere(operation.key);
  const Held* held = there ? &held_.at(operation.key) : nullptr;
  const bool number =
      there && held->codec == kNumberCodec && held->bytes.size() == sizeof ending.sum;
  std::int64_t sum = 0;
  if (number) std::memcpy(&sum, held->bytes.data(), sizeof sum);
  const bool range = there && number && !__builtin_add_overflow(sum, operation.number, &sum);
  if (there && !number && ending.outcome == Outcome::kNotANumber) return {};
  if (there && number && !range && ending.outcome == Outcome::kOutOfRange) return {};
  if (there && range && ending.outcome == Outcome::kDone && ending.sum == sum) {
    claims_.erase(operation.key);
    held_.at(operation.key).bytes = NumberBytes(sum);
    return {};
  }
  if (there && held->kept) return "not what adding to it gives";
  // It is not there, or not any more.
  Forget(operation.key);
  if (!operation.begins)
    return ending.outcome == Outcome::kRefused ? "" : "a number, and nothing was there";
  if (__builtin_add_overflow(operation.number / 2, operation.number, &sum))
    return ending.outcome == Outcome::kOutOfRange ? "" : "a sum that is none";
  if (ending.outcome == Outcome::kDone && ending.sum != sum) return "another sum at first";
  claims_.erase(operation.key);
  Held first = HeldOf(operation);
  first.bytes = NumberBytes(sum);
  first.codec = kNumberCodec;
  return ApplyPut(operation, ending, std::move(first));
}

std::string Model::ApplyToClaim(const Operation& operation, const Ending& ending) {
  if (operation.what == What::kClaim) {
    if (ending.outcome == Outcome::kDone) {
      claims_[operation.key] = {operation.token,
                                now_ + operation.lasts.value_or(milliseconds(500))};
    }
    return ending.outcome == Outcome::kDone || ending.outcome == Outcome::kFull ? "" : "no claim";
  }
  if (ending.claim != ClaimOf(operation.key)) return "another claim";
  if (!ending.claim) return ending.outcome == Outcome::kRefused ? "" : "done, and no claim stands";
  claims_.erase(operation.key);
  if (operation.what == What::kFulfil) return ApplyPut(operation, ending, HeldOf(operation));
  return ending.outcome == Outcome::kDone ? "" : "not given up";
}

std::string Model::Apply(const Operation& operation, const Ending& ending) {
  switch (operation.what) {
    case What::kGet:
      return Compare(operation.key, ending.answer, ending.value);
    case What::kSet:
      return ApplySet(operation, ending);
    case What::kRemove:
    case What::kTouch:
      return ApplyChange(operation, ending);
    case What::kAdd:
      return ApplyAdd(operation, ending);
    case What::kClaim:
    case What::kFulfil:
    case What::kGiveUp:
      return ApplyToClaim(operation, ending);
    case What::kPurge:
      ++generations_[static_cast<std::uint32_t>(operation.key) % kTags];
      return {};
    case What::kWait:
      now_ += operation.lasts.value_or(Duration(1));
      return {};
    case What::kLook:
      return {};
  }
  return "no operation";
}

// Whether everything that is found agrees with the model; what may give way and has is forgotten there.
std::string CompareAll(Shard& shard, Model& model, Time now) {
  std::map<std::string, int> numbers;
  for (int key = 0; key < kKeys; ++key) {
    const std::string text = Real::KeyText(key);
    numbers[text] = key;
    Value value;
    const Answer answer = shard.Get(Real::KeyOf(text), now, value);
    if (const auto wrong = model.Compare(key, answer, value); !wrong.empty())
      return fmt::format("key {}: {}", key, wrong);
    const auto claim = shard.ClaimOf(Real::KeyOf(text), now);
    if ((claim ? std::optional(claim->token) : std::nullopt) != model.ClaimOf(key))
      return fmt::format("key {}: another claim", key);
  }
  std::string wrong;
  shard.ForEach(now, [&](const Entry&, std::string_view key) {
    if (numbers.erase(std::string(key)) == 0) wrong = "an entry twice, or of no key";
  });
  return wrong;
}

TEST(RandomOperations, DoWhatAPlainMapDoes) {
  const std::uint64_t seed = DrawSeed();
  SCOPED_TRACE(fmt::format("ONEBOX_SEED={}", seed));
  int full = 0, evicted = 0;
  for (std::uint64_t round = 0; round < 4; ++round) {
    Real real;
    Shard& shard = real.shard();
    Model model(shard.value_bytes_max());
    Drawing drawing(seed + round, shard.value_bytes_max());
    const Holding holding(shard);
    for (int i = 0; i < 1'000; ++i) {
      Operation operation = drawing.Draw();
      model.ChooseEqual(operation);
      const Ending ending = real.Do(operation);
      const std::string wrong = operation.what == What::kLook ? CompareAll(shard, model, real.now())
                                                              : model.Apply(operation, ending);
      ASSERT_EQ(wrong, "") << "round " << round << ", operation " << i << " of kind "
                           << static_cast<int>(operation.what) << " on key " << operation.key;
      ASSERT_TRUE(shard.CheckInvariants()) << "round " << round << ", operation " << i;
      full += ending.outcome == Outcome::kFull ? 1 : 0;
    }
    ASSERT_EQ(CompareAll(shard, model, real.now()), "");
    for (const RowCounts& row : shard.head().rows)
      evicted += static_cast<int>(row.evictions.load());
    ASSERT_EQ(shard.head().emptied.load(), 0U);
  }
  EXPECT_GT(full, 0) << "else the limit of what is kept was never met";
  EXPECT_GT(evicted, 0);
}

// What a process has done, for those who come after it.
struct Diary {
  static constexpr std::size_t kMax = 20'000;
  struct Line {
    Outcome outcome;
    bool has_claim;
    std::int64_t sum;
    std::uint64_t claim;
  };
  std::atomic<std::uint32_t> done = 0;
  std::array<Line, kMax> lines{};
};

// What the test itself does, or what needs the model, is none of the killed's. Its values are all different.
Operation DrawForTheKilled(Drawing& drawing) {
  Operation operation = drawing.Draw();
  while (operation.what == What::kGet || operation.what == What::kLook ||
         operation.what == What::kWait)
    operation = drawing.Draw();
  operation.equals = false;
  operation.bytes.insert(0, fmt::format("{} ", operation.token));
  return operation;
}

[[noreturn]] void DoUntilKilled(Real& real, Drawing drawing, Diary& diary) {
  for (Diary::Line& line : diary.lines) {
    const Operation operation = DrawForTheKilled(drawing);
    while (!real.shard().Lock(std::chrono::seconds(10), real.now())) {
    }
    const Ending ending = real.Do(operation);
    real.shard().Unlock();
    line = {ending.outcome, ending.claim.has_value(), ending.sum, ending.claim.value_or(0)};
    diary.done.fetch_add(1);
  }
  ::pause();
  ::_exit(1);
}

// What may have come of the operation in flight: nothing, or any of its endings.
std::vector<Model> ModelsAfter(const Model& before, const Operation& operation) {
  std::vector<Model> models = {before};
  for (const auto outcome : {Outcome::kDone, Outcome::kTooLarge, Outcome::kFull}) {
    for (const std::int64_t sum : before.SumsOf(operation)) {
      Model after = before;
      const Ending ending{.outcome = outcome, .sum = sum, .claim = before.ClaimOf(operation.key)};
      if (after.Apply(operation, ending).empty()) models.push_back(after);
    }
  }
  return models;
}

// Chooses what agrees with what is found. A claim may have ended before anything else was done.
std::string Settle(Real& real, Model& model, const Operation& operation) {
  const std::string text = Real::KeyText(operation.key);
  Value value;
  const Answer answer = real.shard().Get(Real::KeyOf(text), real.now(), value);
  const auto claim = real.shard().ClaimOf(Real::KeyOf(text), real.now());
  bool kept = false;
  real.shard().ForEach(real.now(), [&](const Entry& entry, std::string_view key) {
    kept = kept || (key == text && entry.queue == Queue::kKept);
  });
  const std::uint32_t tag = static_cast<std::uint32_t>(operation.key) % kTags;
  std::string wrong;
  for (Model& after : ModelsAfter(model, operation)) {
    if (operation.what == What::kPurge && after.generation(tag) != real.generation(tag)) continue;
    if (!claim) after.ForgetClaim(operation.key);
    wrong = after.Compare(operation.key, answer, value);
    if (wrong.empty() && after.Kept(operation.key) != kept) wrong = "kept, or not";
    const auto token = claim ? std::optional(claim->token) : std::nullopt;
    if (wrong.empty() && after.ClaimOf(operation.key) != token) wrong = "another claim";
    if (!wrong.empty()) continue;
    model = after;
    return {};
  }
  return wrong.empty() ? "none of what may be" : wrong;
}

TEST(RandomOperations, OfTheKilledAreDoneOrAreNot) {
  const std::uint64_t seed = DrawSeed();
  SCOPED_TRACE(fmt::format("ONEBOX_SEED={}", seed));
  std::mt19937_64 random(seed);
  Real real;
  Shard& shard = real.shard();
  Model model(shard.value_bytes_max());
  const auto mapping =
      os::Mapping::Share(os::NewSharedMemory("test", sizeof(Diary)).value(), sizeof(Diary)).value();
  auto& diary = *new (mapping.data()) Diary;
  std::uint64_t operations = 0;
  for (std::uint64_t round = 0; round < 30; ++round) {
    SCOPED_TRACE(fmt::format("round {}", round));
    Drawing drawing(seed + round, shard.value_bytes_max());
    diary.done = 0;
    const pid_t child = ::fork();
    if (child == 0) DoUntilKilled(real, drawing, diary);
    while (diary.done.load() == 0)
      std::this_thread::yield();
    LetPass(std::chrono::microseconds(random() % 5'000));
    ::kill(child, SIGKILL);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    const Holding holding(shard);
    ASSERT_TRUE(shard.CheckInvariants());
    const std::uint32_t done = diary.done.load();
    operations += done;
    for (std::uint32_t i = 0; i < done; ++i) {
      const Diary::Line& line = diary.lines[i];
      const Operation operation = DrawForTheKilled(drawing);
      Ending ending{.outcome = line.outcome, .sum = line.sum};
      if (line.has_claim) ending.claim = line.claim;
      ASSERT_EQ(model.Apply(operation, ending), "") << "operation " << i;
    }
    if (done < Diary::kMax) {
      const Operation operation = DrawForTheKilled(drawing);
      ASSERT_EQ(Settle(real, model, operation), "")
          << "of kind " << static_cast<int>(operation.what);
    }
    ASSERT_EQ(CompareAll(shard, model, real.now()), "");
    Operation wait{.what = What::kWait, .lasts = milliseconds(random() % 1'000)};
    model.Apply(wait, real.Do(wait));
  }
  ASSERT_EQ(shard.head().emptied.load(), 0U);
  EXPECT_GT(operations, 100U);
}

// --- scribbling

TEST(RandomScribbling, LeavesAShardThatCanBeUsed) {
  const std::uint64_t seed = DrawSeed();
  std::mt19937_64 random(seed);
  for (int round = 0; round < 1'500; ++round) {
    std::string bytes(random() % 120, '\0');
    for (char& byte : bytes)
      byte = static_cast<char>(random());
    const std::string told = fmt::format("ONEBOX_SEED={}, round {}", seed, round);
    const CrashStory story(told);
    properties::CheckScribbled(bytes);
  }
}

// What random bytes hardly ever say.
TEST(Scribbling, OverTheMapLeadsToNoBlockThatIsNone) {
  const struct {
    const char* why;
    std::function<void(ShardMemory&)> scribble;
  } cases[] = {
      {"block 0", [](ShardMemory& memory) { memory.map().front() = 0; }},
      {"blocks behind the last", [](ShardMemory& memory) { memory.map().back() = 0; }},
      {"block 0 alone is free",
       [](ShardMemory& memory) {
         std::ranges::fill(memory.map(), ~std::uint64_t{0});
         memory.map().front() = ~std::uint64_t{1};
       }},
      {"one far behind the last alone is free",
       [](ShardMemory& memory) {
         std::ranges::fill(memory.map(), ~std::uint64_t{0});
         memory.map().back() = ~(std::uint64_t{1} << 63);
       }},
  };
  const properties::LonelyMemory memory;
  const redis::Trust trust;
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    std::ranges::fill(memory.bytes(), std::byte{0});
    Shard shard(memory.bytes(), {}, trust);
    shard.Format();
    ASSERT_TRUE(shard.TryLock());
    c.scribble(shard.memory());
    for (int i = 0; i < 2'000; ++i)
      shard.Set(Real::KeyOf(std::to_string(i)), {.bytes = std::string(100, 'x')}, {}, Time{});
    shard.Unlock();
    EXPECT_GE(shard.head().emptied.load(), 1U);
    ASSERT_TRUE(shard.TryLock());
    EXPECT_TRUE(shard.CheckInvariants());
    shard.Unlock();
  }
}

TEST(FuzzedInputs, OfScribbledShardsHoldTheirProperties) {
  EXPECT_GT(ReplayFuzzed("cache_fuzz", properties::CheckScribbled), 0);
}

}  // namespace
}  // namespace onebox::cache
