#include "pyext/cache_levels.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "pyext/python.h"

namespace onebox::pyext {
namespace {

using cache::Answer;
using cache::Outcome;
using cache::Wait;
using Loading = cache::Cache::Loading;

constexpr Duration kClearPatience = std::chrono::seconds(10);

// At once where nobody else has the lock; else without the GIL.
template <typename Use>
auto WithLock(Use use, decltype(use(Wait::kNot)) busy, Wait else_wait = Wait::kForOthers) {
  auto given = use(Wait::kNot);
  if (given != busy) return given;
  const WithoutGil others;
  return use(else_wait);
}

template <typename Use>
auto Waiting(Use use) {
  const WithoutGil others;
  return use();
}

// --- tickets, as Python carries them from claim() to fulfil()

void Append(std::string_view bytes, std::string& out) {
  out.push_back(static_cast<char>(bytes.size() >> 8));
  out.push_back(static_cast<char>(bytes.size()));
  out.append(bytes);
}

bool Take(std::string_view& from, std::string_view& out) {
  if (from.size() < 2) return false;
  const std::size_t size =
      std::size_t{static_cast<std::uint8_t>(from[0])} << 8U | static_cast<std::uint8_t>(from[1]);
  if (from.size() < 2 + size) return false;
  out = from.substr(2, size);
  from.remove_prefix(2 + size);
  return true;
}

template <typename Element>
std::string_view BytesOf(const std::vector<Element>& elements) {
  return {reinterpret_cast<const char*>(elements.data()), elements.size() * sizeof(Element)};
}

template <typename Element>
bool Parse(std::string_view bytes, std::vector<Element>& out) {
  if (bytes.size() % sizeof(Element) != 0 || bytes.size() / sizeof(Element) > cache::kTagsMax) {
    return false;
  }
  out.resize(bytes.size() / sizeof(Element));
  if (!bytes.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
  return true;
}

std::string Written(const std::vector<cache::TagMark>& marks, const cache::Ticket& ticket) {
  std::string out;
  Append(BytesOf(marks), out);
  Append({reinterpret_cast<const char*>(&ticket.kind), sizeof ticket.kind}, out);
  Append({reinterpret_cast<const char*>(&ticket.origin), sizeof ticket.origin}, out);
  Append(BytesOf(ticket.tags), out);
  Append(ticket.seen.seal, out);
  Append(ticket.seen.stamps, out);
  return out;
}

bool Read(std::string_view text, std::vector<cache::TagMark>& marks, cache::Ticket& ticket) {
  std::string_view mark, kind, origin, tags, seal, stamps;
  if (!Take(text, mark) || !Take(text, kind) || !Take(text, origin) || !Take(text, tags) ||
      !Take(text, seal) || !Take(text, stamps) || !text.empty()) {
    return false;
  }
  if (!Parse(mark, marks) || !Parse(tags, ticket.tags) || kind.size() != sizeof ticket.kind ||
      origin.size() != sizeof ticket.origin || static_cast<unsigned char>(kind[0]) > 2) {
    return false;
  }
  std::memcpy(&ticket.kind, kind.data(), kind.size());
  std::memcpy(&ticket.origin, origin.data(), origin.size());
  ticket.seen = {std::string(seal), std::string(stamps)};
  return true;
}

}  // namespace

Result<Answer> CacheLevels::Get(const cache::Key& key, Time now, cache::Value& value) {
  if (in_redis()) {
    return Waiting([&]() -> Result<Answer> {
      auto found = TRY(second->Counted(second->kept().Get(key.bytes)));
      if (!found) return Answer::kAbsent;
      return Take(*std::move(found), os::SystemClock(), value);
    });
  }
  const Answer answer =
      WithLock([&](Wait wait) { return first->Get(key, now, wait, value); }, Answer::kBusy);
  if (answer != Answer::kAbsent || !second) return answer;
  return Waiting([&] { return second->Get(key, value); });
}

Result<Outcome> CacheLevels::Set(const cache::Key& key,
                                 const cache::NewValue& value,
                                 const Tags& tags,
                                 const cache::Condition& condition,
                                 Time now) {
  if (in_redis()) {
    return Waiting([&] {
      return second->Counted(second->kept().Set(key.bytes, value, {}, condition, nullptr));
    });
  }
  const bool keep = value.keep == cache::Keep::kUntilItExpires;
  if (second && !keep) {
    return Waiting([&] { return second->Set(key, value, tags.ids, condition); });
  }
  return WithLock([&](Wait wait) { return first->Set(key, value, condition, now, wait); },
                  Outcome::kBusy,
                  keep ? Wait::kPatiently : Wait::kForOthers);
}

Result<Outcome> CacheLevels::Remove(const cache::Key& key,
                                    const cache::Condition& condition,
                                    Time now) {
  if (in_redis()) {
    return Waiting([&] { return second->Counted(second->kept().Remove(key.bytes, condition)); });
  }
  if (second) return Waiting([&] { return second->Remove(key, condition); });
  return WithLock([&](Wait wait) { return first->Remove(key, condition, now, wait); },
                  Outcome::kBusy,
                  Wait::kPatiently);
}

Result<Outcome> CacheLevels::Touch(const cache::Key& key,
                                   cache::Lifetime lifetime,
                                   const cache::Condition& condition,
                                   Time now) {
  if (in_redis()) {
    return Waiting(
        [&] { return second->Counted(second->kept().Touch(key.bytes, lifetime, condition)); });
  }
  if (second) return Waiting([&] { return second->Touch(key, lifetime, condition); });
  return WithLock([&](Wait wait) { return first->Touch(key, lifetime, condition, now, wait); },
                  Outcome::kBusy,
                  Wait::kPatiently);
}

Result<Outcome> CacheLevels::Add(const cache::Key& key,
                                 std::int64_t number,
                                 const cache::NewValue* initial,
                                 const Tags& tags,
                                 Time now,
                                 std::int64_t& sum) {
  if (in_redis()) {
    return Waiting(
        [&] { return second->Counted(second->kept().Add(key.bytes, number, initial, {}, sum)); });
  }
  const bool keep = initial != nullptr && initial->keep == cache::Keep::kUntilItExpires;
  if (second && !keep) {
    return Waiting([&] { return second->Add(key, number, initial, tags.ids, sum); });
  }
  return WithLock([&](Wait wait) { return first->Add(key, number, initial, now, wait, sum); },
                  Outcome::kBusy,
                  Wait::kPatiently);
}

Result<Outcome> CacheLevels::Purge(cache::TagId tag) {
  if (second && !in_redis()) return Waiting([&] { return second->Purge(tag); });
  first->Purge(tag);
  return Outcome::kDone;
}

Result<Outcome> CacheLevels::Clear(const std::string& name_space, bool kept, Time now) {
  if (in_redis()) {
    if (!kept) return Outcome::kDone;
    return Waiting([&]() -> Result<Outcome> {
      TRY(second->Counted(second->kept().RemoveAll(name_space, now + kClearPatience)));
      return Outcome::kDone;
    });
  }
  const Outcome purged = TRY(Purge(cache::Cache::IdOf(name_space)));
  if (kept) Waiting([&] { return first->RemoveKept(name_space, now); });
  return purged;
}

Result<Loading> CacheLevels::GetOrClaim(const cache::Key& key,
                                        Duration lease,
                                        const Tags& tags,
                                        Time now,
                                        cache::Value& value,
                                        std::string& ticket) {
  Loading loading;
  WithLock(
      [&](Wait wait) {
        loading = first->GetOrClaim(key, lease, now, wait, value);
        return loading.next;
      },
      Loading::Next::kBusy);
  const bool loads =
      loading.next == Loading::Next::kLoad || loading.next == Loading::Next::kWithout;
  cache::Ticket shared;
  if (second && !in_redis() && loads) {
    Waiting([&] { return second->AskToLoad(key, tags.ids, value, loading, shared), 0; });
  }
  ticket = Written(tags.marks, shared);
  if (!in_redis() || !loads) return loading;
  // In the box one loads, and what is loaded lies in Redis.
  auto answer = Get(key, now, value);
  if (answer.ok() && answer.value() == Answer::kAbsent) return loading;
  if (loading.token != 0) first->GiveUp(key, loading.token, now, Wait::kNot);
  loading.answer = TRY(std::move(answer));
  loading.next = Loading::Next::kUse;
  return loading;
}

Result<Outcome> CacheLevels::Fulfil(const cache::Key& key,
                                    std::uint64_t token,
                                    const cache::NewValue& value,
                                    std::string_view ticket,
                                    Time now) {
  cache::Ticket shared;
  std::vector<cache::TagMark> marks;
  if (!Read(ticket, marks, shared)) return OperatorError("marks are what claim() has given");
  if (in_redis()) {
    auto set = Set(key, value, {}, {}, now);
    first->GiveUp(key, token, now, Wait::kNot);
    return set;
  }
  cache::NewValue marked = value;
  marked.tags = marks;
  if (second) return Waiting([&] { return second->Fulfil(key, token, marked, shared); });
  return WithLock([&](Wait wait) { return first->Fulfil(key, token, marked, now, wait); },
                  Outcome::kBusy);
}

}  // namespace onebox::pyext
