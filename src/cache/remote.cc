#include "cache/remote.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

#include "os/process.h"
#include "os/random.h"

namespace onebox::cache {
namespace {

using redis::Reply;
using Kind = Reply::Kind;

// A value is "V", its seal, codec, freshness (ms of the wall clock, 0: none), how many stamps, the stamps,
// its bytes; numbers are decimal. A key that was removed is "T" and a seal.
constexpr std::size_t kCodecAt = 9, kFreshAt = 10, kCountAt = 18, kStampsAt = 19;
constexpr std::size_t kFreshBytes = 8;

// Numbers go as texts, and Redis adds them: Lua's are exact up to 2^53. A seal is new in each call, so it
// serves as the number of a tag that is not there, too.
constexpr redis::Script kScript = {"03da39e54aa4a896b25910dc93fb1f1890cbe08c",
                                   R"lua(local verb,tags,seal=ARGV[1],ARGV[2],ARGV[3]
local key=KEYS[1]
local raw=redis.call('GET',key) or ''
local count=string.byte(raw,19) or 0
local there=#raw>=19+16*count and string.sub(raw,1,1)=='V'
for i=0,count-1 do
  local at=20+16*i
  there=there and redis.call('GET',tags..string.sub(raw,at,at+7))==string.sub(raw,at+8,at+15)
end
local body=there and string.sub(raw,20+16*count)
local function stamps(ids)
  local all=''
  for i=1,#ids,8 do
    local id=string.sub(ids,i,i+7)
    local number=redis.call('GET',tags..id)
    if not number then
      number=seal
      redis.call('SET',tags..id,number)
    end
    all=all..id..number
  end
  return all
end
local function put(value,ms)
  if ms=='' then redis.call('SET',key,value) else redis.call('SET',key,value,'PX',ms) end
end
local function unlike(flag,bytes) return flag=='1' and body~=bytes end
if verb=='get' then
  if not there then return false end
  return {raw,redis.call('PTTL',key)}
end
if verb=='load' then
  local marks=stamps(ARGV[4])
  return {there and raw or '',redis.call('PTTL',key),string.sub(raw,2,9),marks}
end
if verb=='set' then
  if ARGV[8]=='1' and there or ARGV[8]=='2' and not there then return 0 end
  if there and unlike(ARGV[9],ARGV[10]) then return 0 end
  local marks=stamps(ARGV[4])
  if ARGV[11]=='1' and (string.sub(raw,2,9)~=ARGV[12] or marks~=ARGV[13]) then return 0 end
  put('V'..seal..ARGV[5]..string.char(#marks/16)..marks..ARGV[6],ARGV[7])
  return 1
end
if verb=='remove' then
  if unlike(ARGV[5],ARGV[6]) then return 0 end
  local kept=ARGV[4]~='' and redis.pcall('SET',key,'T'..seal,'PX',ARGV[4])
  if not kept or kept.err then redis.call('DEL',key) end
  return there and 1 or 0
end
if verb=='touch' then
  if not there or unlike(ARGV[6],ARGV[7]) then return 0 end
  put(string.sub(raw,1,10)..ARGV[4]..string.sub(raw,19),ARGV[5])
  return 1
end
if verb=='add' then
  if not there and ARGV[6]=='0' then return false end
  if there and string.byte(raw,10)~=255 then return 'kind' end
  local scratch=ARGV[5]
  redis.call('SET',scratch,there and body or ARGV[7])
  local sum=redis.pcall('INCRBY',scratch,ARGV[4])
  local text=redis.call('GET',scratch)
  redis.call('DEL',scratch)
  if type(sum)=='table' then return 'range' end
  if there then
    redis.call('SET',key,'V'..seal..string.sub(raw,10,19+16*count)..text,'KEEPTTL')
  else
    local marks=stamps(ARGV[8])
    put('V'..seal..ARGV[9]..string.char(#marks/16)..marks..text,ARGV[10])
  end
  return text
end
return redis.error_reply('no such verb')
)lua"};

std::string_view Bytes(const std::uint64_t& word) {
  return {reinterpret_cast<const char*>(&word), sizeof word};
}

std::string_view BytesOf(std::span<const TagId> tags) {
  return {reinterpret_cast<const char*>(tags.data()), tags.size_bytes()};
}

// As they lie in Redis: a number as Redis would add to it.
std::string Written(std::string_view bytes, std::uint8_t codec) {
  std::int64_t number = 0;
  if (codec != kNumberCodec || bytes.size() != sizeof number) return std::string(bytes);
  std::memcpy(&number, bytes.data(), sizeof number);
  return std::to_string(number);
}

bool NumberOf(std::string_view text, std::int64_t& number) {
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  return read.ec == std::errc() && read.ptr == end;
}

Error Strange() {
  return {Blame::kSystem, Retry::kNever, EPROTO, "Redis answered what the cache cannot have asked"};
}

Result<Reply> Understood(Result<Reply> answer) {
  Reply reply = TRY(std::move(answer));
  if (reply.is(Kind::kError)) return redis::RefusalOf(reply);
  return reply;
}

Result<Outcome> DoneOrNot(Result<Reply> answer) {
  const Reply reply = TRY(std::move(answer));
  if (!reply.is(Kind::kInteger)) return Strange();
  return reply.integer == 1 ? Outcome::kDone : Outcome::kRefused;
}

// What RemoveAll() finds by: no character of it is a pattern's.
std::string Pattern(std::string_view prefix) {
  std::string pattern;
  for (const char c : prefix) {
    if (std::string_view("*?[]\\^-").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern + '*';
}

}  // namespace

const redis::Script& RemoteScript() {
  return kScript;
}

Lifetime LifetimeOf(const RemoteValue& found, const Clock& clock) {
  constexpr Duration kForEver = std::chrono::hours(24 * 365 * 100);
  Lifetime lifetime;
  if (found.remaining && *found.remaining < kForEver) {
    lifetime.expires = clock.Now() + *found.remaining;
  }
  if (found.fresh) lifetime.fresh = clock.Now() + (*found.fresh - clock.WallNow());
  return lifetime;
}

Answer Take(RemoteValue found, const Clock& clock, Value& value) {
  const Lifetime lifetime = LifetimeOf(found, clock);
  value.bytes = std::move(found.bytes);
  value.codec = found.codec;
  value.expires = lifetime.expires;
  return !lifetime.fresh || *lifetime.fresh > clock.Now() ? Answer::kFresh : Answer::kStale;
}

void Remote::Use(redis::Link* link) {
  link_ = link;
  process_ = static_cast<std::uint64_t>(os::ThisProcess());
}

// A child that was forked since has the sockets too: its answers would be its parent's.
Result<redis::Link*> Remote::Connected() const {
  if (link_ != nullptr && process_ == static_cast<std::uint64_t>(os::ThisProcess())) return link_;
  return Error{Blame::kSystem, Retry::kYes, EHOSTDOWN, "this process is not connected to Redis"};
}

bool Remote::Up() const {
  const auto link = Connected();
  return link.ok() && link.value()->look().state == redis::State::kUp;
}

Result<Reply> Remote::Run(std::string_view verb,
                          std::string_view key,
                          std::initializer_list<std::string_view> more) {
  redis::Link* const link = TRY(Connected());
  const std::uint64_t seal = os::Random64();
  std::vector<std::string_view> words{verb, names_.tags, Bytes(seal)};
  words.insert(words.end(), more.begin(), more.end());
  return Understood(redis::Run(*link, kScript, names_.values + std::string(key), words));
}

// What others have written there is nothing of ours.
Result<std::optional<RemoteValue>> Remote::Parse(const Reply& raw, const Reply& remaining) {
  if (!raw.is(Kind::kBulk) || !remaining.is(Kind::kInteger)) return Strange();
  const std::string_view text = raw.text;
  if (text.size() < kStampsAt) return std::optional<RemoteValue>();
  const std::size_t count = static_cast<std::uint8_t>(text[kCountAt]);
  if (count > kTagsMax || text.size() < kStampsAt + count * kStampBytes) {
    return std::optional<RemoteValue>();
  }
  RemoteValue value{.bytes = std::string(text.substr(kStampsAt + count * kStampBytes)),
                    .codec = static_cast<std::uint8_t>(text[kCodecAt])};
  if (value.codec == kClaimCodec) return std::optional<RemoteValue>();
  if (std::int64_t number = 0; value.codec == kNumberCodec) {
    if (!NumberOf(value.bytes, number)) return std::optional<RemoteValue>();
    value.bytes.assign(reinterpret_cast<const char*>(&number), sizeof number);
  }
  std::int64_t fresh = 0;
  std::memcpy(&fresh, text.data() + kFreshAt, sizeof fresh);
  constexpr std::int64_t kMost = Duration::max() / std::chrono::milliseconds(1);
  if (fresh > 0 && fresh < kMost) value.fresh = WallTime(std::chrono::milliseconds(fresh));
  if (remaining.integer >= 0) {
    value.remaining = std::chrono::milliseconds(std::min(remaining.integer, kMost));
  }
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(
        &value.tags.emplace_back(), text.data() + kStampsAt + i * kStampBytes, sizeof(TagId));
  }
  return std::optional(std::move(value));
}

// Boxes have one wall clock, nearly, and each its own steady one.
std::string Remote::Fresh(const Lifetime& lifetime) const {
  std::int64_t until = 0;
  if (lifetime.fresh && (!lifetime.expires || *lifetime.fresh < *lifetime.expires)) {
    const WallTime then = clock_.WallNow() + (*lifetime.fresh - clock_.Now());
    until = std::chrono::floor<std::chrono::milliseconds>(then.time_since_epoch()).count();
  }
  return {reinterpret_cast<const char*>(&until), kFreshBytes};
}

std::string Remote::Lasts(const Lifetime& lifetime) const {
  if (!lifetime.expires) return "";
  constexpr std::int64_t kMillisecond = 1'000'000;
  const std::int64_t left = (*lifetime.expires - clock_.Now()).count();
  return std::to_string(std::max<std::int64_t>((left + kMillisecond - 1) / kMillisecond, 1));
}

Result<std::optional<RemoteValue>> Remote::Get(std::string_view key) {
  const Reply reply = TRY(Run("get", key, {}));
  if (reply.is(Kind::kNil)) return std::optional<RemoteValue>();
  if (reply.elements.size() != 2) return Strange();
  return Parse(reply.elements[0], reply.elements[1]);
}

Result<Remote::Claimed> Remote::GetToLoad(std::string_view key, std::span<const TagId> tags) {
  const Reply reply = TRY(Run("load", key, {BytesOf(tags)}));
  if (reply.elements.size() != 4) return Strange();
  Claimed claimed{.value = TRY(Parse(reply.elements[0], reply.elements[1])),
                  .seen = {reply.elements[2].text, reply.elements[3].text}};
  return claimed;
}

Result<Outcome> Remote::Set(std::string_view key,
                            const NewValue& value,
                            std::span<const TagId> tags,
                            const Condition& condition,
                            const Seen* seen) {
  std::string codec_and_fresh(1, static_cast<char>(value.codec));
  codec_and_fresh += Fresh(value.lifetime);
  return DoneOrNot(Run("set",
                       key,
                       {BytesOf(tags),
                        codec_and_fresh,
                        Written(value.bytes, value.codec),
                        Lasts(value.lifetime),
                        std::to_string(static_cast<int>(condition.presence)),
                        condition.equals ? "1" : "0",
                        Written(condition.equals.value_or(""), condition.codec),
                        seen != nullptr ? "1" : "0",
                        seen != nullptr ? std::string_view(seen->seal) : "",
                        seen != nullptr ? std::string_view(seen->stamps) : ""}));
}

Result<Outcome> Remote::Remove(std::string_view key, const Condition& condition) {
  std::string remembered;
  if (names_.tombstone)
    remembered = std::to_string(*names_.tombstone / std::chrono::milliseconds(1));
  return DoneOrNot(Run("remove",
                       key,
                       {remembered,
                        condition.equals ? "1" : "0",
                        Written(condition.equals.value_or(""), condition.codec)}));
}

Result<Outcome> Remote::Touch(std::string_view key, Lifetime lifetime, const Condition& condition) {
  return DoneOrNot(Run("touch",
                       key,
                       {Fresh(lifetime),
                        Lasts(lifetime),
                        condition.equals ? "1" : "0",
                        Written(condition.equals.value_or(""), condition.codec)}));
}

Result<Outcome> Remote::Add(std::string_view key,
                            std::int64_t number,
                            const NewValue* initial,
                            std::span<const TagId> tags,
                            std::int64_t& sum) {
  std::string meta(1, static_cast<char>(kNumberCodec)), first, lasts;
  if (initial != nullptr) {
    meta += Fresh(initial->lifetime);
    first = Written(initial->bytes, initial->codec);
    lasts = Lasts(initial->lifetime);
  }
  const Reply reply = TRY(Run("add",
                              key,
                              {std::to_string(number),
                               names_.scratch,
                               initial != nullptr ? "1" : "0",
                               first,
                               BytesOf(tags),
                               meta,
                               lasts}));
  if (reply.is(Kind::kNil)) return Outcome::kRefused;
  if (!reply.is(Kind::kBulk)) return Strange();
  if (reply.text == "kind") return Outcome::kNotANumber;
  if (reply.text == "range") return Outcome::kOutOfRange;
  if (!NumberOf(reply.text, sum)) return Strange();
  return Outcome::kDone;
}

Status Remote::Purge(TagId tag) {
  const std::string key = names_.tags + std::string(BytesOf({&tag, 1}));
  redis::Link* const link = TRY(Connected());
  const std::uint64_t number = os::Random64();
  auto set = Understood(link->Call({"SET", key, Bytes(number)}));
  // A Redis that is full takes nothing new; a tag that is not there is nobody's mark as well.
  if (!set.ok() && Answered(set.error())) set = Understood(link->Call({"DEL", key}));
  TRY(std::move(set));
  return Done();
}

Result<std::size_t> Remote::RemoveAll(std::string_view prefix, Time deadline) {
  redis::Link* const link = TRY(Connected());
  const std::string pattern = Pattern(names_.values + std::string(prefix));
  std::size_t removed = 0;
  std::string cursor = "0";
  do {
    const Reply found =
        TRY(Understood(link->Call({"SCAN", cursor, "MATCH", pattern, "COUNT", "1000"})));
    if (found.elements.size() != 2) return Strange();
    for (const Reply& key : found.elements[1].elements) {
      removed += TRY(redis::Delete(*link, key.text)) ? 1U : 0U;
    }
    cursor = found.elements[0].text;
    if (clock_.Now() > deadline) {
      return Error{
          Blame::kSystem, Retry::kYes, ETIMEDOUT, "Redis has too many keys to look through"};
    }
  } while (cursor != "0");
  return removed;
}

}  // namespace onebox::cache
