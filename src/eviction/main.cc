// Prints the hit rates of the eviction policies on each trace, as Markdown: ./do hitrates [KEYS REQUESTS]

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "eviction/policies.h"
#include "eviction/real_cache.h"
#include "eviction/trace.h"

namespace {

namespace eviction = onebox::eviction;
using eviction::Sizes;
using eviction::Trace;

struct Contender {
  std::string_view name;
  eviction::NewPolicy make;
};

const std::vector<Contender>& Contenders() {
  static const std::vector<Contender> all = {
      {"LRU", eviction::NewLru},
      {"SIEVE", eviction::NewSieve},
      {"S3-FIFO", eviction::NewS3Fifo},
      {"W-TinyLFU", eviction::NewWTinyLfu},
      {"lazy W-TinyLFU",
       [](eviction::Shelf& shelf, std::uint64_t budget) {
         return eviction::NewLazyWTinyLfu(shelf, budget);
       }},
      {"the cache", eviction::NewRealCache},
  };
  return all;
}

std::uint64_t Part(const Trace& trace, double share) {
  return static_cast<std::uint64_t>(static_cast<double>(trace.Footprint()) * share);
}

// Last: the cache less the better of S3-FIFO and W-TinyLFU.
void PrintHead(std::string_view title) {
  fmt::print("\n{} |", title);
  for (const Contender& contender : Contenders())
    fmt::print(" {} |", contender.name);
  fmt::print(" less the better reference |\n|---|---|");
  for (std::size_t i = 0; i <= Contenders().size(); ++i)
    fmt::print("---:|");
  fmt::print("\n");
}

void PrintRow(const Trace& trace, std::string_view label, std::uint64_t budget, int shards) {
  fmt::print("| {} | {} |", trace.name, label);
  std::vector<double> rates;
  for (const Contender& contender : Contenders()) {
    if (contender.name == "the cache" &&
        !eviction::IsRealBudget(budget / static_cast<std::uint64_t>(shards))) {
      fmt::print(" no shard has this size | |\n");
      return;
    }
    rates.push_back(100 * eviction::HitRate(trace, budget, contender.make, shards));
    fmt::print(" {:.2f} |", rates.back());
  }
  const std::size_t last = rates.size() - 1;
  fmt::print(" {:+.2f} |\n", rates[last] - std::max(rates[last - 2], rates[last - 3]));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const auto number = [&](int index, std::uint32_t otherwise) {
    return argc > index ? static_cast<std::uint32_t>(std::strtoul(argv[index], nullptr, 10))
                        : otherwise;
  };
  const std::uint32_t keys = number(1, 100'000), requests = number(2, 2'000'000);
  std::vector<std::function<Trace()>> traces;
  for (const Sizes sizes : {Sizes::kEqual, Sizes::kMixed}) {
    for (const double alpha : {0.7, 0.9, 1.0, 1.2})
      traces.emplace_back([=] { return eviction::ZipfTrace(keys, alpha, requests, sizes); });
    traces.emplace_back([=] { return eviction::ScanTrace(keys, requests, keys / 5, sizes); });
    traces.emplace_back([=] { return eviction::LoopTrace(keys, requests, keys / 20, sizes); });
    traces.emplace_back([=] { return eviction::DriftTrace(keys, requests, 50, sizes); });
    traces.emplace_back([=] { return eviction::ShiftTrace(keys, requests, requests / 5, sizes); });
  }
  traces.emplace_back([=] { return eviction::GameTrace(keys / 5, requests); });

  PrintHead("| trace | cache");
  for (const auto& make : traces) {
    const Trace trace = make();
    for (const auto& [label, share] : {std::pair{"0.1 %", 0.001}, {"1 %", 0.01}, {"10 %", 0.1}})
      PrintRow(trace, label, Part(trace, share), 1);
  }

  PrintHead("| trace, a cache of 10 % | shards");
  for (const Sizes sizes : {Sizes::kEqual, Sizes::kMixed}) {
    const Trace trace = eviction::ZipfTrace(keys, 0.9, requests, sizes);
    for (const int shards : {1, 8, 32})
      PrintRow(trace, std::to_string(shards), Part(trace, 0.1), shards);
  }
  const Trace game = eviction::GameTrace(keys / 5, requests);
  for (const int shards : {1, 8, 32})
    PrintRow(game, std::to_string(shards), Part(game, 0.1), shards);

  // The same cache in bytes, where a value is charged to the byte and where to the block of 64 B.
  PrintHead("| trace, a cache of 10 % | charge");
  const Trace bytes = eviction::ZipfTrace(keys, 0.9, requests, Sizes::kBytes);
  Trace blocks = eviction::ZipfTrace(keys, 0.9, requests, Sizes::kMixed);
  for (eviction::Object& object : blocks.objects)
    object.charge *= 64;
  PrintRow(bytes, "bytes", Part(bytes, 0.1), 1);
  PrintRow(blocks, "blocks", Part(bytes, 0.1), 1);
  return EXIT_SUCCESS;
}
