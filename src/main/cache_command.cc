#include "main/cache_command.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/units.h"
#include "cache/cache.h"
#include "cache/key_text.h"
#include "cache/second_level.h"
#include "main/cache_metrics.h"
#include "main/command_line.h"
#include "main/status_command.h"
#include "os/clock.h"
#include "redis/address.h"
#include "supervise/status.h"

namespace onebox::main {
namespace {

using nlohmann::json;

constexpr std::string_view kUsage =
    R"help(onebox cache [--state DIR] [--json]: what is in the cache of a running box, and how often it helps.

  onebox cache get KEY         print a value
  onebox cache delete KEY      remove it
  onebox cache purge TAG       remove all with that tag
  onebox cache clear           remove all of the namespace, but what is kept until it expires

  --namespace NAME             of the key or tag [app]
  --state DIR                  of the box; else that of the current folder's app, or the only one
  --json                       as JSON

A key is written as Python writes it: prices, 3, "('prices', 3)".
)help";
constexpr std::size_t kTopMax = 10;

// The cache of a box, with what it has behind it.
struct Opened {
  explicit Opened(cache::Cache of_box)
      : cache(std::move(of_box)), settings(cache::ReadSettings(cache)) {
    if (settings.url.empty()) return;
    second.emplace(cache, settings, clock);
    second->Connect(1);
  }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  ~Opened() = default;

  os::SystemClock clock;
  cache::Cache cache;
  cache::SecondSettings settings;
  std::optional<cache::SecondLevel> second;
};

// --- what is there

struct Asked {
  std::uint32_t hits = 0;
  std::uint32_t bytes = 0;
  std::optional<Duration> left;
  std::string name_space, key;
};

struct Contents {
  cache::Cache::Figures figures;
  std::array<std::uint64_t, cache::kRows> entries{}, bytes{};  // by row
  std::vector<Asked> top;                                      // the most asked for first
  std::size_t left_out = 0;                                    // parts whose holder does not go on
};

void TakeTop(const cache::Entry& entry, std::string_view key, Time now, std::vector<Asked>& top) {
  if (top.size() == kTopMax && entry.hits <= top.back().hits) return;
  const auto text = cache::DescribeKey(key);
  Asked asked{.hits = entry.hits,
              .bytes = entry.value_bytes,
              .left = {},
              .name_space = text ? text->name_space : "",
              .key = text ? text->value : fmt::format("{} bytes", key.size())};
  if (entry.expires != cache::kNever) asked.left = Time(Duration(entry.expires)) - now;
  const auto more = [](const Asked& one, const Asked& other) { return one.hits > other.hits; };
  top.insert(std::upper_bound(top.begin(), top.end(), asked, more), asked);
  if (top.size() > kTopMax) top.pop_back();
}

Contents Look(cache::Cache& cache) {
  Contents contents;
  const Time now = os::SystemClock().Now();
  contents.figures = cache.Count(now, cache::Wait::kForOthers);
  contents.left_out = cache.ForEach(now, [&](const cache::Entry& entry, std::string_view key) {
    contents.entries[entry.row] += 1;
    contents.bytes[entry.row] += entry.blocks * cache::kBlockBytes;
    TakeTop(entry, key, now, contents.top);
  });
  return contents;
}

double RateOf(const cache::Cache::Row& row) {
  const std::uint64_t asked = row.hits + row.misses;
  return asked == 0 ? 0 : 100.0 * static_cast<double>(row.hits) / static_cast<double>(asked);
}

std::string NameOf(const cache::Cache::Row& row) {
  return row.name.empty() ? "(others)" : row.name;
}

// Nobody wants to know of more than that.
std::string Rounded(std::uint64_t bytes) {
  const unsigned unit = bytes < std::uint64_t{4} << 20U ? 10 : 20;
  return FormatBytes((bytes + (1U << unit) - 1) >> unit << unit);
}

std::string DescribeWhole(const Contents& contents) {
  const cache::Cache::Figures& figures = contents.figures;
  std::string text = fmt::format("cache of {}, {} in use by {} entries",
                                 Rounded(figures.bytes),
                                 Rounded(figures.bytes_used),
                                 figures.entries);
  if (figures.entries_kept > 0) {
    text += fmt::format(
        "; kept until they expire: {} ({})", figures.entries_kept, Rounded(figures.bytes_kept));
  }
  text += '\n';
  if (figures.undone > 0) {
    text += fmt::format("  {} changes were undone whose process had died\n", figures.undone);
  }
  if (figures.emptied > 0) {
    text += fmt::format("  a part that made no sense any more was emptied, {} times\n",
                        figures.emptied);
  }
  if (contents.left_out > 0) {
    text +=
        fmt::format("  {} parts are held by a process that does not go on\n", contents.left_out);
  }
  return text;
}

std::string DescribeNames(const Contents& contents) {
  constexpr std::string_view kRow = "  {:<24} {:>12} {:>12} {:>8} {:>12} {:>10} {:>9} {:>10}\n";
  std::string text = fmt::format(
      kRow, "name", "hits", "misses", "hit rate", "sets", "evicted", "entries", "memory");
  for (const cache::Cache::Row& row : contents.figures.rows) {
    text += fmt::format(kRow,
                        NameOf(row),
                        row.hits,
                        row.misses,
                        fmt::format("{:.1f} %", RateOf(row)),
                        row.sets,
                        row.evictions,
                        contents.entries[row.number],
                        Rounded(contents.bytes[row.number]));
  }
  return text;
}

std::string DescribeTop(const std::vector<Asked>& top) {
  constexpr std::string_view kRow = "  {:>12} {:>10} {:>10}  {}\n";
  std::string text = fmt::format(kRow, "asked for", "bytes", "goes in", "key");
  for (const Asked& one : top) {
    const std::string left =
        one.left ? FormatDuration(std::chrono::ceil<std::chrono::seconds>(*one.left)) : "-";
    text += fmt::format(
        kRow, one.hits, one.bytes, left, fmt::format("{}: {}", one.name_space, one.key));
  }
  return text;
}

std::string DescribeSecond(const Opened& box) {
  if (!box.second) return "";
  const cache::SecondHead& head = box.cache.second();
  std::string text =
      fmt::format("behind it {}: {}, {}\n",
                  redis::Address::Parse(box.settings.url).value().text(),
                  SecondState(head),
                  IsTrusted(head, box.clock.Now()) ? "what was read from it is used"
                                                   : "nothing that was read from it is used");
  text += fmt::format(
      "  {} hits, {} misses, {} writes, {} refusals, {} without an answer ({} not asked)\n",
      head.hits.load(),
      head.misses.load(),
      head.writes.load(),
      head.refusals.load(),
      head.failures.load(),
      head.not_asked.load());
  if (const std::uint64_t untold = head.lost.load() - head.settled.load(); untold > 0) {
    text += fmt::format("  changes that it could not be told yet: {}\n", untold);
  }
  return text;
}

std::string Describe(const Contents& contents, const Opened& box) {
  std::string text = DescribeWhole(contents) + DescribeSecond(box);
  if (!contents.figures.rows.empty()) text += '\n' + DescribeNames(contents);
  if (!contents.top.empty()) text += '\n' + DescribeTop(contents.top);
  return text;
}

std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace) + '\n';
}

json SecondAsJson(const Opened& box) {
  if (!box.second) return nullptr;
  const cache::SecondHead& head = box.cache.second();
  return {{"url", redis::Address::Parse(box.settings.url).value().text()},
          {"state", SecondState(head)},
          {"trusted", IsTrusted(head, box.clock.Now())},
          {"hits", head.hits.load()},
          {"misses", head.misses.load()},
          {"writes", head.writes.load()},
          {"refusals", head.refusals.load()},
          {"failures", head.failures.load()},
          {"not_asked", head.not_asked.load()},
          {"untold", head.lost.load() - head.settled.load()}};
}

std::string AsJson(const Contents& contents, const Opened& box) {
  const cache::Cache::Figures& figures = contents.figures;
  json names = json::object();
  for (const cache::Cache::Row& row : figures.rows) {
    names[NameOf(row)] = {{"hits", row.hits},
                          {"misses", row.misses},
                          {"sets", row.sets},
                          {"evictions", row.evictions},
                          {"entries", contents.entries[row.number]},
                          {"bytes", contents.bytes[row.number]}};
  }
  json top = json::array();
  for (const Asked& one : contents.top) {
    json expires;
    if (one.left) expires = std::chrono::duration<double>(*one.left).count();
    top.push_back({{"hits", one.hits},
                   {"bytes", one.bytes},
                   {"expires", expires},
                   {"namespace", one.name_space},
                   {"key", one.key}});
  }
  return Dump({{"bytes", figures.bytes},
               {"bytes_used", figures.bytes_used},
               {"bytes_kept", figures.bytes_kept},
               {"entries", figures.entries},
               {"entries_kept", figures.entries_kept},
               {"undone", figures.undone},
               {"emptied", figures.emptied},
               {"left_out", contents.left_out},
               {"redis", SecondAsJson(box)},
               {"names", names},
               {"top", top}});
}

// --- one key, one tag

std::string ValueText(const cache::Value& value, bool as_json) {
  std::int64_t number = 0;
  switch (value.codec) {
    case cache::kNumberCodec:
      if (value.bytes.size() == sizeof number) {
        std::memcpy(&number, value.bytes.data(), sizeof number);
      }
      return fmt::format("{}\n", number);
    case cache::kPickleCodec:
      return as_json ? Dump({{"pickle", value.bytes.size()}})
                     : fmt::format("a pickled value of {} bytes\n", value.bytes.size());
    case cache::kJsonCodec:
      return value.bytes + '\n';
    default:
      return as_json ? Dump(value.bytes) : value.bytes + '\n';
  }
}

Result<std::string> KeyBytes(const CacheLine& line) {
  std::string bytes;
  cache::AppendNamespace(line.name_space, bytes);
  bytes += TRY(cache::ParseKeyValue(line.words[1]));
  if (bytes.size() > cache::kKeyBytesMax) return OperatorError("no key is as long as this");
  return bytes;
}

Error NothingThere() {
  return OperatorError("nothing is there");
}
Error Busy() {
  return OperatorError("its part of the cache is held by a process that does not go on");
}

Result<std::string> GetKey(Opened& box, const CacheLine& line) {
  const std::string bytes = TRY(KeyBytes(line));
  cache::Value value;
  const cache::Key key = box.cache.KeyOf(bytes, "");
  auto answer = box.cache.Get(key, box.clock.Now(), cache::Wait::kForOthers, value);
  if (answer == cache::Answer::kAbsent && box.second) answer = box.second->Get(key, value);
  if (answer == cache::Answer::kAbsent) return NothingThere();
  if (answer == cache::Answer::kBusy) return Busy();
  return ValueText(value, line.json);
}

Result<std::string> DeleteKey(Opened& box, const CacheLine& line) {
  const std::string bytes = TRY(KeyBytes(line));
  const cache::Key key = box.cache.KeyOf(bytes, "");
  const auto outcome = box.second
                           ? box.second->Remove(key, {})
                           : box.cache.Remove(key, {}, box.clock.Now(), cache::Wait::kForOthers);
  if (outcome == cache::Outcome::kDone) return std::string("deleted\n");
  return outcome == cache::Outcome::kBusy ? Busy() : NothingThere();
}

Status PurgeAll(Opened& box, const std::string& tag) {
  if (!box.second) {
    box.cache.Purge(tag);
    return Done();
  }
  if (box.second->Purge(cache::Cache::IdOf(tag)) == cache::Outcome::kDone) return Done();
  return OperatorError("Redis does not answer, and there is no room to note it");
}

Result<std::string> PurgeTag(Opened& box, const CacheLine& line) {
  TRY(PurgeAll(box, cache::TagBytes(line.name_space, line.words[1])));
  return fmt::format("nothing with the tag {} is there any more\n", line.words[1]);
}

Result<std::string> Clear(Opened& box, const CacheLine& line) {
  std::string bytes;
  cache::AppendNamespace(line.name_space, bytes);
  TRY(PurgeAll(box, bytes));
  return fmt::format("nothing of the namespace {} is there any more, but what is kept\n",
                     line.name_space);
}

Result<std::string> Show(Opened& box, const CacheLine& line) {
  const Contents contents = Look(box.cache);
  return line.json ? AsJson(contents, box) : Describe(contents, box);
}

struct Verb {
  std::string_view name;
  std::size_t words = 1;
  Result<std::string> (*run)(Opened& box, const CacheLine& line);
};
constexpr std::array kVerbs = {Verb{"", 0, Show},
                               Verb{"get", 2, GetKey},
                               Verb{"delete", 2, DeleteKey},
                               Verb{"purge", 2, PurgeTag},
                               Verb{"clear", 1, Clear}};

const Verb* FindVerb(const std::vector<std::string>& words) {
  for (const Verb& verb : kVerbs) {
    if (verb.words == words.size() && (words.empty() || words.front() == verb.name)) return &verb;
  }
  return nullptr;
}

Result<std::string> Answer(const CacheLine& line, const Verb& verb, const std::string& state) {
  os::Fd memory = TRY(supervise::AskMemory(state));
  Opened box(TRY(cache::Cache::Open(std::move(memory))));
  return verb.run(box, line);
}

}  // namespace

int ShowCache(std::span<const std::string> words, const Caller& caller) {
  CacheLine line = ReadCacheLine(words, caller.folder);
  const Verb* verb = FindVerb(line.words);
  if (verb == nullptr && line.mistakes.empty()) {
    line.mistakes.push_back(fmt::format("expected get KEY, delete KEY, purge TAG or clear, got {}",
                                        fmt::join(line.words, " ")));
  }
  return AnswerLine(
      line, kUsage, caller, [&](const std::string& state) { return Answer(line, *verb, state); });
}

}  // namespace onebox::main
