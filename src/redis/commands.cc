#include "redis/commands.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

namespace onebox::redis {
namespace {

// Numbers go as texts: Lua's are exact up to 2^53.
constexpr Script kIncrement = {
    "4f97fbf2fc4afef200498ea85a0999ab7a5420b1",
    "if redis.call('EXISTS',KEYS[1])==1 then "
    "redis.call('INCRBY',KEYS[1],ARGV[1]) return redis.call('GET',KEYS[1]) end "
    "if ARGV[2]=='' then return false end "
    "if ARGV[3]=='' then redis.call('SET',KEYS[1],ARGV[2]) "
    "else redis.call('SET',KEYS[1],ARGV[2],'PX',ARGV[3]) end "
    "return ARGV[2]"};
constexpr Script kDeleteIf = {
    "5c714dd8ed5b943a1f472132e06290c53ab22693",
    "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) end return 0"};
constexpr Script kExpireIf = {
    "68acc660facaa8309b44ff34c73caa7e7a12688a",
    "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('PEXPIRE',KEYS[1],ARGV[2]) end "
    "return 0"};
constexpr std::array kScripts = {kIncrement, kDeleteIf, kExpireIf};

using Kind = Reply::Kind;

Error Strange() {
  return {Blame::kSystem, Retry::kNever, EPROTO, "Redis answered what the command cannot answer"};
}

Error Unexpected(const Reply& reply) {
  return reply.is(Kind::kError) ? RefusalOf(reply) : Strange();
}

std::string Milliseconds(Duration ttl) {
  constexpr std::int64_t kOne = 1'000'000;  // std::chrono::ceil overflows for the longest times
  const std::int64_t whole = ttl.count() / kOne + (ttl.count() % kOne > 0 ? 1 : 0);
  return std::to_string(std::max<std::int64_t>(whole, 1));
}

Result<std::int64_t> IntegerOf(Result<Reply> answer) {
  const Reply reply = TRY(std::move(answer));
  if (!reply.is(Kind::kInteger)) return Unexpected(reply);
  return reply.integer;
}

Result<std::optional<std::string>> TextOf(Result<Reply> answer) {
  Reply reply = TRY(std::move(answer));
  if (reply.is(Kind::kNil)) return std::optional<std::string>();
  if (!reply.is(Kind::kBulk)) return Unexpected(reply);
  return std::optional(std::move(reply.text));
}

Result<Reply> Call(Link& link,
                   std::array<std::string_view, 4> begin,
                   std::span<const std::string_view> arguments) {
  std::vector<std::string_view> words(begin.begin(), begin.end());
  words.insert(words.end(), arguments.begin(), arguments.end());
  Commands command;
  command.Add(words);
  return link.Call(command);
}

Result<Reply> Run(Link& link,
                  const Script& script,
                  std::string_view key,
                  std::initializer_list<std::string_view> arguments) {
  return redis::Run(link, script, key, std::span(arguments.begin(), arguments.size()));
}

}  // namespace

Result<Reply> Run(Link& link,
                  const Script& script,
                  std::string_view key,
                  std::span<const std::string_view> arguments) {
  Reply reply = TRY(Call(link, {"EVALSHA", script.sha1, "1", key}, arguments));
  const bool unknown = reply.is(Kind::kError) && reply.text.starts_with("NOSCRIPT");
  if (!unknown) return reply;
  return Call(link, {"EVAL", script.text, "1", key}, arguments);
}

std::span<const Script> Scripts() {
  return kScripts;
}

Result<std::optional<Found>> Get(Link& link, std::string_view key) {
  Commands commands{"GET", key};
  commands.Add({"PTTL", key});
  std::vector<Reply> replies = TRY(link.CallAll(commands));
  auto value = TRY(TextOf(std::move(replies[0])));
  const std::int64_t left = TRY(IntegerOf(replies[1]));
  constexpr std::int64_t kGone = -2, kNever = -1, kSoon = 0;
  if (!value || left == kGone) return std::optional<Found>();
  Found found{.value = *std::move(value), .remaining = {}};
  constexpr std::int64_t kMost = Duration::max() / std::chrono::milliseconds(1);
  if (left != kNever) found.remaining = std::chrono::milliseconds(std::clamp(left, kSoon, kMost));
  return std::optional(std::move(found));
}

Result<std::vector<std::optional<std::string>>> GetMany(Link& link,
                                                        std::span<const std::string_view> keys) {
  std::vector<std::optional<std::string>> values;
  if (keys.empty()) return values;
  std::vector<std::string_view> words{"MGET"};
  words.insert(words.end(), keys.begin(), keys.end());
  Commands command;
  command.Add(words);
  Reply reply = TRY(link.Call(command));
  if (!reply.is(Kind::kArray)) return Unexpected(reply);
  if (reply.elements.size() != keys.size()) return Strange();
  values.reserve(keys.size());
  for (Reply& element : reply.elements)
    values.push_back(TRY(TextOf(std::move(element))));
  return values;
}

Result<bool> Set(Link& link,
                 std::string_view key,
                 std::string_view value,
                 std::optional<Duration> ttl,
                 Only only) {
  std::vector<std::string_view> words{"SET", key, value};
  const std::string milliseconds = ttl ? Milliseconds(*ttl) : std::string();
  if (ttl) words.insert(words.end(), {"PX", milliseconds});
  if (only == Only::kIfAbsent) words.emplace_back("NX");
  if (only == Only::kIfPresent) words.emplace_back("XX");
  Commands command;
  command.Add(words);
  const Reply reply = TRY(link.Call(command));
  if (reply.is(Kind::kNil)) return false;
  if (!reply.is_status("OK")) return Unexpected(reply);
  return true;
}

Result<bool> Delete(Link& link, std::string_view key) {
  return TRY(IntegerOf(link.Call({"DEL", key}))) != 0;
}

Result<std::optional<std::int64_t>> Increment(Link& link,
                                              std::string_view key,
                                              std::int64_t by,
                                              const std::optional<Initial>& initial) {
  std::string first, ttl;
  if (initial) {
    std::int64_t sum = 0;
    if (__builtin_add_overflow(initial->number, by, &sum)) {
      return Error{Blame::kApp, Retry::kNever, ERANGE, "the sum is none of 64 bits"};
    }
    first = std::to_string(sum);
    if (initial->ttl) ttl = Milliseconds(*initial->ttl);
  }
  const auto text = TRY(TextOf(Run(link, kIncrement, key, {std::to_string(by), first, ttl})));
  if (!text) return std::optional<std::int64_t>();
  std::int64_t sum = 0;
  const char* const end = text->data() + text->size();
  if (std::from_chars(text->data(), end, sum).ptr != end) return Strange();
  return std::optional(sum);
}

Result<bool> DeleteIf(Link& link, std::string_view key, std::string_view value) {
  return TRY(IntegerOf(Run(link, kDeleteIf, key, {value}))) != 0;
}

Result<bool> ExpireIf(Link& link, std::string_view key, std::string_view value, Duration ttl) {
  return TRY(IntegerOf(Run(link, kExpireIf, key, {value, Milliseconds(ttl)}))) != 0;
}

}  // namespace onebox::redis
