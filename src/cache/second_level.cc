#include "cache/second_level.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/ascii.h"
#include "base/check.h"
#include "cache/key_text.h"
#include "os/random.h"

namespace onebox::cache {
namespace {

// A loader that began before a key was removed, and has not ended so long after, may store what is old.
constexpr Duration kTombstone = std::chrono::seconds(60);
// Where Redis takes nothing, others cannot be told either: what was loaded is given for no longer than
// anything may be old.
constexpr Duration kWhileFull = std::chrono::seconds(2);
constexpr std::string_view kNotes = "onebox/untold";

std::string NotesPrefix() {
  std::string prefix;
  AppendNamespace(kNotes, prefix);
  return prefix;
}

// One for each key of Redis, however long that is.
std::string KeyOfNote(std::string_view remote_key) {
  const XXH128_hash_t hash = XXH3_128bits(remote_key.data(), remote_key.size());
  std::string bytes = NotesPrefix();
  AppendBytes({reinterpret_cast<const char*>(&hash), sizeof hash}, bytes);
  return bytes;
}

Lifetime AtMost(Lifetime lifetime, Time end) {
  lifetime.expires = std::min(lifetime.expires.value_or(end), end);
  return lifetime;
}

std::string Field(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string field(text.substr(0, end));
  text.remove_prefix(std::min(end + 1, text.size()));
  return field;
}

}  // namespace

Status WriteSettings(const SecondSettings& settings, Cache& cache) {
  const std::string text = fmt::format("{}\n{}\n{}\n{}{}{}\n",
                                       settings.url,
                                       settings.prefix,
                                       settings.timeout.count(),
                                       settings.sessions ? "s" : "",
                                       settings.locks ? "l" : "",
                                       settings.limits ? "i" : "");
  SecondHead& second = cache.second();
  if (text.size() > second.settings.size()) {
    return OperatorError("[cache] redis and redis_prefix are too long");
  }
  std::copy(text.begin(), text.end(), second.settings.begin());
  second.settings_bytes = settings.url.empty() ? 0 : static_cast<std::uint32_t>(text.size());
  return Done();
}

SecondSettings ReadSettings(const Cache& cache) {
  const SecondHead& second = cache.second();
  std::string_view text(second.settings.data(),
                        std::min<std::size_t>(second.settings_bytes, second.settings.size()));
  SecondSettings settings;
  settings.url = Field(text);
  if (!redis::Address::Parse(settings.url).ok()) return {};  // there is none, or somebody scribbled
  settings.prefix = Field(text);
  settings.timeout =
      Duration(static_cast<std::int64_t>(ParseDecimal(Field(text), INT64_MAX).value_or(0)));
  const std::string kept = Field(text);
  settings.sessions = kept.find('s') != kept.npos;
  settings.locks = kept.find('l') != kept.npos;
  settings.limits = kept.find('i') != kept.npos;
  return settings;
}

std::string TrackedPrefix(const SecondSettings& settings) {
  return settings.prefix + "c:";
}

// Read before Redis is asked.
struct SecondLevel::Begun {
  std::uint64_t generation = 0, purges = 0;
};

SecondLevel::SecondLevel(Cache& first, const SecondSettings& settings, const Clock& clock)
    : first_(first),
      settings_(settings),
      clock_(clock),
      shared_({.values = TrackedPrefix(settings) + "v:",
               .tags = TrackedPrefix(settings) + "t:",
               .scratch = settings.prefix + "n",
               .tombstone = kTombstone},
              clock),
      kept_({.values = settings.prefix + "k:",
             .tags = settings.prefix + "kt:",
             .scratch = settings.prefix + "n",
             .tombstone = {}},
            clock) {}

void SecondLevel::Connect(std::size_t connections_max) {
  const auto address = redis::Address::Parse(settings_.url);
  CHECK(address.ok());  // as ReadSettings() gives it
  link_ = std::make_unique<redis::Link>(redis::Link::Options{.address = address.value(),
                                                             .connection = {.name = "onebox-cache"},
                                                             .timeout = settings_.timeout,
                                                             .connections_max = connections_max},
                                        clock_);
  shared_.Use(link_.get());
  kept_.Use(link_.get());
  link_->AwaitFirst();
}

// --- what was asked, and what came of it

void SecondLevel::Count(const Error* error) {
  if (error == nullptr) return;
  SecondHead& head = first_.second();
  if (Remote::Answered(*error)) {
    head.refusals.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  head.failures.fetch_add(1, std::memory_order_relaxed);
  if (error->system_error == EHOSTDOWN) head.not_asked.fetch_add(1, std::memory_order_relaxed);
}

// Nobody is asked of whom others know that he would say what is old.
template <typename Ask>
auto SecondLevel::Asked(Ask ask) -> decltype(ask()) {
  if (auto settled = Settle(); !settled.ok()) {
    Count(&settled.error());
    return std::move(settled).error();
  }
  return Counted(ask());
}

SecondLevel::Begun SecondLevel::Begin() const {
  const SecondHead& head = first_.second();
  return {head.trust.Generation(), head.purges.load(std::memory_order_acquire)};
}

std::vector<TagMark> SecondLevel::MarksOf(std::span<const TagId> tags) const {
  std::vector<TagMark> marks;
  marks.reserve(tags.size());
  for (const TagId tag : tags)
    marks.push_back(first_.MarkOf(tag));
  return marks;
}

// For as long as the claim stands: where the key was told since, it does not. A purge of a tag that was told
// since may be of one of its tags, whose mark would be the one behind it: then it is not kept.
void SecondLevel::Keep(const Key& key,
                       std::uint64_t token,
                       const RemoteValue& found,
                       const Begun& begun,
                       bool supply) {
  if (token == 0) return;
  const std::vector<TagMark> marks = MarksOf(found.tags);
  const Time now = clock_.Now();
  if (first_.second().purges.load(std::memory_order_acquire) != begun.purges) {
    if (!supply) first_.GiveUp(key, token, now, Wait::kForOthers);
    return;
  }
  const NewValue value{.bytes = found.bytes,
                       .codec = found.codec,
                       .lifetime = LifetimeOf(found, clock_),
                       .tags = marks,
                       .origin = Origin::Read(begun.generation)};
  if (supply) {
    first_.Supply(key, token, value, now, Wait::kForOthers);
  } else {
    first_.Fulfil(key, token, value, now, Wait::kForOthers);
  }
}

// --- one key

Answer SecondLevel::Get(const Key& key, Value& value) {
  const Begun begun = Begin();
  // Where another loads it, what he finds is kept, and not what we do.
  const std::uint64_t token =
      first_.Claim(key, 2 * settings_.timeout, clock_.Now(), Wait::kForOthers);
  auto asked = Asked([&] { return shared_.Get(key.bytes); });
  if (!asked.ok() || !asked.value()) {
    if (asked.ok()) first_.second().misses.fetch_add(1, std::memory_order_relaxed);
    if (token != 0) first_.GiveUp(key, token, clock_.Now(), Wait::kForOthers);
    return Answer::kAbsent;
  }
  RemoteValue& found = *asked.value();
  first_.second().hits.fetch_add(1, std::memory_order_relaxed);
  Keep(key, token, found, begun, false);
  return Take(std::move(found), clock_, value);
}

Outcome SecondLevel::SetAlone(const Key& key,
                              const NewValue& value,
                              std::span<const TagId> tags,
                              const Condition& condition) {
  const std::vector<TagMark> marks = MarksOf(tags);
  NewValue alone = value;
  alone.tags = marks;
  alone.origin = Origin::AloneIn(first_.second().trust);
  return first_.Set(key, alone, condition, clock_.Now(), Wait::kForOthers);
}

Outcome SecondLevel::Set(const Key& key,
                         const NewValue& value,
                         std::span<const TagId> tags,
                         const Condition& condition) {
  if (value.bytes.size() > first_.value_bytes_max()) return Outcome::kTooLarge;
  const bool conditional = condition.presence != Condition::Presence::kAny || condition.equals;
  if (conditional && first_.IsOwn(key, clock_.Now(), Wait::kForOthers)) {
    const std::vector<TagMark> marks = MarksOf(tags);
    NewValue own = value;
    own.tags = marks;
    return first_.Set(key, own, condition, clock_.Now(), Wait::kForOthers);
  }
  const auto set = Asked([&] { return shared_.Set(key.bytes, value, tags, condition, nullptr); });
  if (set.ok()) {
    first_.second().writes.fetch_add(1, std::memory_order_relaxed);
    first_.Remove(key, {}, clock_.Now(), Wait::kPatiently);
    return set.value();
  }
  if (Remote::Answered(set.error())) {
    // What is there, and was to be replaced, goes; that takes no room.
    if (conditional || Remove(key, {}) != Outcome::kBusy) return Outcome::kFull;
    return Outcome::kBusy;
  }
  const Outcome noted = Note(shared_.names().values + std::string(key.bytes));
  if (!conditional) first_.Remove(key, {}, clock_.Now(), Wait::kPatiently);
  return noted == Outcome::kDone ? SetAlone(key, value, tags, condition) : Outcome::kBusy;
}

Outcome SecondLevel::Remove(const Key& key, const Condition& condition) {
  if (condition.equals && first_.IsOwn(key, clock_.Now(), Wait::kForOthers)) {
    return first_.Remove(key, condition, clock_.Now(), Wait::kPatiently);
  }
  const auto removed = Asked([&] { return shared_.Remove(key.bytes, condition); });
  if (!removed.ok()) {
    const Outcome noted = Note(shared_.names().values + std::string(key.bytes));
    const Outcome here = first_.Remove(key, condition, clock_.Now(), Wait::kPatiently);
    return noted == Outcome::kDone ? here : Outcome::kBusy;
  }
  first_.second().writes.fetch_add(1, std::memory_order_relaxed);
  if (condition.equals && removed.value() != Outcome::kDone) {
    first_.Forget(key, clock_.Now(), Wait::kPatiently);
    return removed.value();
  }
  const bool own = first_.IsOwn(key, clock_.Now(), Wait::kForOthers);
  const Outcome here = first_.Remove(key, {}, clock_.Now(), Wait::kPatiently);
  if (here == Outcome::kBusy) return here;
  return own ? Outcome::kDone : removed.value();
}

Outcome SecondLevel::Touch(const Key& key, Lifetime lifetime, const Condition& condition) {
  const auto here = [&] {
    return first_.Touch(key, lifetime, condition, clock_.Now(), Wait::kPatiently);
  };
  if (first_.IsOwn(key, clock_.Now(), Wait::kForOthers)) return here();
  const auto touched = Asked([&] { return shared_.Touch(key.bytes, lifetime, condition); });
  if (!touched.ok()) return here();  // in Redis it goes sooner, and is not old
  first_.second().writes.fetch_add(1, std::memory_order_relaxed);
  first_.Forget(key, clock_.Now(), Wait::kPatiently);
  return touched.value();
}

Outcome SecondLevel::Add(const Key& key,
                         std::int64_t number,
                         const NewValue* initial,
                         std::span<const TagId> tags,
                         std::int64_t& sum) {
  const auto here = [&](Origin origin) {
    const std::vector<TagMark> marks = MarksOf(tags);
    NewValue begin = initial != nullptr ? *initial : NewValue{};
    begin.tags = marks;
    begin.origin = origin;
    return first_.Add(
        key, number, initial != nullptr ? &begin : nullptr, clock_.Now(), Wait::kPatiently, sum);
  };
  if (first_.IsOwn(key, clock_.Now(), Wait::kForOthers)) return here({});
  const auto added = Asked([&] { return shared_.Add(key.bytes, number, initial, tags, sum); });
  if (added.ok()) {
    first_.second().writes.fetch_add(1, std::memory_order_relaxed);
    first_.Forget(key, clock_.Now(), Wait::kPatiently);
    return added.value();
  }
  if (Remote::Answered(added.error())) return Outcome::kFull;
  if (Note(shared_.names().values + std::string(key.bytes)) != Outcome::kDone)
    return Outcome::kBusy;
  // What was read from Redis is not what may be counted on alone.
  if (first_.second().trust.Holds(first_.second().trust.Generation(), clock_.Now())) {
    first_.Forget(key, clock_.Now(), Wait::kPatiently);
  }
  return here(Origin::AloneIn(first_.second().trust));
}

Outcome SecondLevel::Purge(TagId tag) {
  first_.Purge(tag);
  const Status purged = Asked([&] { return shared_.Purge(tag); });
  if (purged.ok()) {
    first_.Purge(tag);  // who has read meanwhile what was there
    return Outcome::kDone;
  }
  const std::string_view bytes(reinterpret_cast<const char*>(&tag), sizeof tag);
  const Outcome noted = Note(shared_.names().tags + std::string(bytes));
  return noted == Outcome::kDone ? noted : Outcome::kBusy;
}

// --- loading

void SecondLevel::AskToLoad(const Key& key,
                            std::span<const TagId> tags,
                            Value& value,
                            Cache::Loading& loading,
                            Ticket& ticket) {
  const Begun begun = Begin();
  ticket = {.kind = Ticket::Kind::kAlone,
            .origin = Origin::AloneIn(first_.second().trust),
            .tags = {tags.begin(), tags.end()},
            .seen = {}};
  auto asked = Asked([&] { return shared_.GetToLoad(key.bytes, tags); });
  if (!asked.ok()) {
    if (Remote::Answered(asked.error())) {
      ticket.kind = Ticket::Kind::kRefused;
      ticket.origin = Origin::Read(begun.generation);
    }
    return;
  }
  ticket.kind = Ticket::Kind::kShared;
  ticket.origin = Origin::Read(begun.generation);
  ticket.seen = std::move(asked.value().seen);
  auto& found = asked.value().value;
  auto& counted = found ? first_.second().hits : first_.second().misses;
  counted.fetch_add(1, std::memory_order_relaxed);
  if (!found) return;
  const bool fresh = !found->fresh || *found->fresh > clock_.WallNow();
  Keep(key, loading.token, *found, begun, !fresh);
  Take(*std::move(found), clock_, value);
  loading.answer = fresh ? Answer::kFresh : Answer::kStale;
  if (fresh) loading.next = Cache::Loading::Next::kUse;
}

Outcome SecondLevel::Fulfil(const Key& key,
                            std::uint64_t token,
                            const NewValue& value,
                            const Ticket& ticket) {
  const Time now = clock_.Now();
  if (value.bytes.size() > first_.value_bytes_max()) {
    first_.GiveUp(key, token, now, Wait::kForOthers);
    return Outcome::kTooLarge;
  }
  NewValue here = value;
  here.origin = ticket.origin;
  if (ticket.kind == Ticket::Kind::kShared) {
    const auto set =
        Asked([&] { return shared_.Set(key.bytes, value, ticket.tags, {}, &ticket.seen); });
    if (set.ok()) {
      first_.second().writes.fetch_add(1, std::memory_order_relaxed);
      first_.Forget(key, clock_.Now(), Wait::kForOthers);  // and the claim with it
      return set.value();
    }
    if (!Remote::Answered(set.error())) here.origin = Origin::AloneIn(first_.second().trust);
  }
  if (here.origin.kind() == Origin::Kind::kRedis) {
    here.lifetime = AtMost(here.lifetime, now + kWhileFull);
  }
  return first_.Fulfil(key, token, here, now, Wait::kForOthers);
}

// --- what Redis has not heard

Outcome SecondLevel::Note(const std::string& remote_key) {
  // Whoever makes it good removes what he has read, and not what was noted since.
  const std::uint64_t nonce = os::Random64();
  std::string note(reinterpret_cast<const char*>(&nonce), sizeof nonce);
  note += remote_key;
  const Outcome noted = first_.Set(first_.KeyOf(KeyOfNote(remote_key), ""),
                                   {.bytes = note, .keep = Keep::kUntilItExpires},
                                   {},
                                   clock_.Now(),
                                   Wait::kPatiently);
  if (noted == Outcome::kDone) first_.second().lost.fetch_add(1, std::memory_order_acq_rel);
  return noted;
}

Status SecondLevel::MakeGood(const std::string& note) {
  const std::string_view remote_key =
      std::string_view(note).substr(std::min(sizeof(std::uint64_t), note.size()));
  const std::string &values = shared_.names().values, &tags = shared_.names().tags;
  if (remote_key.starts_with(values)) {
    TRY(shared_.Remove(remote_key.substr(values.size()), {}));
  } else if (remote_key.size() == tags.size() + sizeof(TagId)) {
    TagId tag{};
    std::memcpy(&tag, remote_key.data() + tags.size(), sizeof tag);
    TRY(shared_.Purge(tag));
  }
  first_.Remove(
      first_.KeyOf(KeyOfNote(remote_key), ""), {.equals = note}, clock_.Now(), Wait::kPatiently);
  return Done();
}

Status SecondLevel::Settle() {
  const Time until = clock_.Now() + settings_.timeout;
  SecondHead& head = first_.second();
  std::uint64_t settled = head.settled.load(std::memory_order_acquire);
  const std::uint64_t lost = head.lost.load(std::memory_order_acquire);
  if (settled == lost) return Done();
  const Error not_now{
      Blame::kSystem, Retry::kYes, EHOSTDOWN, "Redis does not know yet what has changed"};
  if (!shared_.Up()) return not_now;
  const std::unique_lock alone(settling_, std::try_to_lock);
  if (!alone.owns_lock()) return not_now;
  std::vector<std::string> notes;
  if (!first_.ListKept(NotesPrefix(), clock_.Now(), notes)) return not_now;
  for (const std::string& note : notes) {
    if (clock_.Now() > until) return not_now;
    TRY(MakeGood(note));
  }
  while (settled < lost && !head.settled.compare_exchange_weak(settled, lost)) {
  }
  return Done();
}

void SecondLevel::Hear(std::string_view key) {
  const std::string &values = shared_.names().values, &tags = shared_.names().tags;
  if (key.starts_with(values)) {
    const std::string_view bytes = key.substr(values.size());
    if (bytes.size() > kKeyBytesMax) return;  // none of ours
    const Outcome outcome = first_.Forget(first_.KeyOf(bytes, ""), clock_.Now(), Wait::kPatiently);
    // A part whose holder does not go on: then all that was read is read anew.
    if (outcome == Outcome::kBusy) first_.second().trust.Raise();
  } else if (key.starts_with(tags) && key.size() == tags.size() + sizeof(TagId)) {
    TagId tag{};
    std::memcpy(&tag, key.data() + tags.size(), sizeof tag);
    first_.Purge(tag);
  }
}

}  // namespace onebox::cache
