#include "upstream/balance.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <xxhash.h>

#include "base/check.h"

namespace onebox::upstream {
namespace {

// The one at which the sum of weights, without that of `skipped`, goes over `point`.
std::size_t At(std::span<const Candidate> candidates, std::uint64_t point, std::size_t skipped) {
  std::size_t last = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (i == skipped) continue;
    last = i;
    if (point < candidates[i].weight) return i;
    point -= candidates[i].weight;
  }
  return last;
}

}  // namespace

std::size_t ChooseLeast(std::span<const Candidate> candidates, std::uint64_t random) {
  CHECK(!candidates.empty());
  if (candidates.size() == 1) return 0;
  std::uint64_t total = 0;
  for (const Candidate& candidate : candidates)
    total += candidate.weight;
  const std::size_t one = At(candidates, (random & UINT32_MAX) % total, candidates.size());
  const Candidate& a = candidates[one];
  const std::size_t other = At(candidates, (random >> 32) % (total - a.weight), one);
  const Candidate& b = candidates[other];
  // b.outstanding / b.weight against a.outstanding / a.weight; where they are equal, as the draw was.
  return std::uint64_t{b.outstanding} * a.weight < std::uint64_t{a.outstanding} * b.weight ? other
                                                                                           : one;
}

std::uint64_t SeedOf(std::string_view name) {
  return XXH3_64bits(name.data(), name.size());
}

// With a number evenly drawn from (0, 1) for each, the highest of -weight / ln(number) is each
// server's as often as its weight says (weighted rendezvous).
std::size_t ChooseByHash(std::span<const Candidate> candidates, std::string_view key) {
  CHECK(!candidates.empty());
  std::size_t best = 0;
  double best_score = -1;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const std::uint64_t hash =
        XXH3_64bits_withSeed(key.data(), key.size(), candidates[i].seed) >> 11;  // 53 bits
    const double number = (static_cast<double>(hash) + 0.5) / 9007199254740992.0;
    const double score = -static_cast<double>(candidates[i].weight) / std::log(number);
    if (score <= best_score) continue;
    best = i;
    best_score = score;
  }
  return best;
}

// Each turn, each server gains its weight, and the richest pays for all (nginx's smooth order).
std::vector<std::uint32_t> Turns(std::span<const std::uint32_t> weights) {
  CHECK(!weights.empty());
  std::uint32_t divisor = 0;
  for (const std::uint32_t weight : weights)
    divisor = std::gcd(divisor, weight);
  CHECK(divisor > 0);
  const std::int64_t total = std::accumulate(weights.begin(), weights.end(), std::int64_t{0});
  std::vector<std::int64_t> wealth(weights.size());
  std::vector<std::uint32_t> turns(static_cast<std::size_t>(total / divisor));
  for (std::uint32_t& turn : turns) {
    for (std::size_t i = 0; i < weights.size(); ++i)
      wealth[i] += weights[i];
    const auto richest = std::max_element(wealth.begin(), wealth.end());
    *richest -= total;
    turn = static_cast<std::uint32_t>(richest - wealth.begin());
  }
  return turns;
}

}  // namespace onebox::upstream
