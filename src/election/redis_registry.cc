#include "election/redis_registry.h"

#include <cerrno>
#include <charconv>

namespace onebox::election {
namespace {

using Kind = redis::Reply::Kind;

// KEYS[1] is the record, ARGV[1] our name. Lua's numbers are exact up to 2^53; milliseconds need 41 bits.
constexpr std::string_view kTake =
    "local r=redis.call('HMGET',KEYS[1],'holder','fence','beat') "
    "if (r[1] or '')~=ARGV[2] or (r[2] or '')~=ARGV[3] or (r[3] or '')~=ARGV[4] then return false "
    "end "
    "local t=redis.call('TIME') "
    "local fence=math.max(tonumber(r[2] or 0)+1,t[1]*1000+math.floor(t[2]/1000)) "
    "fence=string.format('%.0f',fence) "
    "redis.call('HSET',KEYS[1],'holder',ARGV[1],'fence',fence,'beat','0') "
    "return fence";
constexpr std::string_view kRenew =
    "local r=redis.call('HMGET',KEYS[1],'holder','fence') "
    "if r[1]~=ARGV[1] or r[2]~=ARGV[2] then return 0 end "
    "redis.call('HINCRBY',KEYS[1],'beat',1) return 1";
constexpr std::string_view kResign =
    "local r=redis.call('HMGET',KEYS[1],'holder','fence') "
    "if r[1]==ARGV[1] and r[2]==ARGV[2] then redis.call('HSET',KEYS[1],'holder','') end "
    "return 1";

Error Unexpected(const redis::Reply& reply) {
  if (reply.is(Kind::kError)) return redis::RefusalOf(reply);
  return {Blame::kSystem, Retry::kNever, EPROTO, "Redis answered what an election cannot be told"};
}

Result<std::int64_t> NumberOf(const redis::Reply& reply) {
  std::int64_t number = 0;
  const char* const end = reply.text.data() + reply.text.size();
  if (!reply.is(Kind::kBulk) || std::from_chars(reply.text.data(), end, number).ptr != end) {
    return Unexpected(reply);
  }
  return number;
}

}  // namespace

Result<std::optional<Record>> RedisRegistry::Read() {
  const redis::Reply reply = TRY(Ask({"HMGET", options_.key, "holder", "fence", "beat"}));
  if (!reply.is(Kind::kArray) || reply.elements.size() != 3) return Unexpected(reply);
  const auto& parts = reply.elements;
  if (parts[0].is(Kind::kNil)) return std::optional<Record>();
  return std::optional(Record{
      .holder = parts[0].text, .fence = TRY(NumberOf(parts[1])), .beat = TRY(NumberOf(parts[2]))});
}

Result<std::optional<std::int64_t>> RedisRegistry::Take(const std::optional<Record>& seen) {
  const redis::Reply reply =
      TRY(seen ? Run(kTake, seen->holder, std::to_string(seen->fence), std::to_string(seen->beat))
               : Run(kTake, {}));
  if (reply.is(Kind::kNil)) return std::optional<std::int64_t>();
  return std::optional(TRY(NumberOf(reply)));
}

Result<bool> RedisRegistry::Renew(std::int64_t fence) {
  const redis::Reply reply = TRY(Run(kRenew, std::to_string(fence)));
  if (!reply.is(Kind::kInteger)) return Unexpected(reply);
  return reply.integer != 0;
}

Status RedisRegistry::Resign(std::int64_t fence) {
  const redis::Reply reply = TRY(Run(kResign, std::to_string(fence)));
  if (!reply.is(Kind::kInteger)) return Unexpected(reply);
  return Done();
}

Result<redis::Reply> RedisRegistry::Run(std::string_view script,
                                        std::string_view first,
                                        std::string_view second,
                                        std::string_view third) {
  return Ask({"EVAL", script, "1", options_.key, options_.holder, first, second, third});
}

Result<redis::Reply> RedisRegistry::Ask(const redis::Commands& command) {
  if (!connection_) {
    connection_ = TRY(redis::Connection::OpenAny(
        options_.address, {.name = "onebox-election"}, clock_, options_.timeout));
  }
  auto reply = connection_->Call(command, clock_.Now() + options_.timeout);
  // What refuses may be no master any more, and another be at its address.
  if (!reply.ok() || reply.value().is(Kind::kError)) connection_.reset();
  return reply;
}

}  // namespace onebox::election
