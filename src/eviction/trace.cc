#include "eviction/trace.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string_view>

#include <fmt/core.h>

namespace onebox::eviction {

std::uint64_t Mix(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

std::uint64_t Random::Next() {
  return Mix(state_ += 0x9e3779b97f4a7c15ULL);
}

std::uint64_t Trace::Footprint() const {
  std::vector<bool> asked(objects.size());
  std::uint64_t sum = 0;
  for (const Request& request : requests) {
    if (asked[request.key]) continue;
    asked[request.key] = true;
    sum += objects[request.key].charge;
  }
  return sum;
}

Zipf::Zipf(std::uint32_t ranks, double alpha) : up_to_(ranks) {
  double sum = 0;
  for (std::uint32_t rank = 0; rank < ranks; ++rank)
    up_to_[rank] = sum += std::pow(rank + 1.0, -alpha);
}

std::uint32_t Zipf::Draw(Random& random) const {
  const double point = random.Unit() * up_to_.back();
  const auto found = std::upper_bound(up_to_.begin(), up_to_.end() - 1, point);
  return static_cast<std::uint32_t>(found - up_to_.begin());
}

namespace {

std::vector<Object> Objects(std::uint32_t keys, Sizes sizes) {
  std::vector<Object> objects(keys);
  Random random(7);
  for (Object& object : objects) {
    const double bytes = 64 + 100 * std::pow(204.8, random.Unit());  // 64 for key and entry
    object.charge = static_cast<std::uint32_t>(sizes == Sizes::kEqual   ? 4
                                               : sizes == Sizes::kMixed ? std::ceil(bytes / 64)
                                                                        : std::ceil(bytes));
  }
  return objects;
}

std::string Name(std::string_view what, Sizes sizes) {
  return fmt::format("{}{}", what, sizes == Sizes::kEqual ? "" : ", sizes");
}

// The cache keys of examples/nation as numbers, a family after the other. Charges are those of a key
// and its pickled value, recorded in a run, with 64 B for the entry itself, in blocks of 64 B.
class Game {
 public:
  explicit Game(std::uint32_t players) {
    countries_ = Family(1, {30, 300});
    resources_ = Family(1, {12, 3600});
    boards_ = Family(4, {24, 300});
    requirements_ = Family(10, {4, 3600});
    country_ = Family(kCountries, {14, 300});
    prices_ = Family(kCountries, {15, 60});
    region_ = Family(kRegions, {4, 300});
    history_ = Family(kCountries * kResources, {13, 300});
    session_ = Family(players, {2, 300});
    bonus_ = Family(players, {3, 300});
  }

  // The keys that one request of `player` asks for: load/prepare.py's mix, app/queries.py's keys.
  void Play(std::uint32_t player, Random& random, std::vector<std::uint32_t>& keys) const {
    keys.clear();
    const auto below = [&](std::uint32_t bound) {
      return static_cast<std::uint32_t>(random.Below(bound));
    };
    const std::uint32_t own = player % kCountries;
    const std::uint32_t country = below(2) == 0 ? own : below(kCountries);
    const std::uint32_t dice = below(100);
    bool known = true;  // whether the answer looks at who asks
    if (dice < 12) {
      keys = {country_ + country};
    } else if (dice < 24) {
      keys = {country_ + country, prices_ + country};
    } else if (dice < 36) {
      keys = {prices_ + country};
      known = false;
    } else if (dice < 42) {
      keys = {countries_, boards_};
    } else if (dice < 47) {
      keys = {region_ + below(kRegions)};
    } else if (dice < 51) {
      keys = {boards_, boards_ + 1, boards_ + 2, boards_ + 3};
    } else if (dice < 53) {
      keys = {boards_ + below(2)};
      known = false;
    } else if (dice < 55) {
      keys = {history_ + country * kResources + below(kResources)};
      known = false;
    } else if (dice < 60) {
      keys = {resources_};
    } else if (dice < 63) {
      known = false;
    } else if (dice < 66) {
      keys = {requirements_ + below(10)};
    } else if (dice < 88) {
      if (dice >= 70) keys = {bonus_ + player};  // /me, /api/me, /me/nfts, the bonus
    } else if (dice < 91) {
      keys = {bonus_ + player};  // work
    }
    if (known) keys.push_back(session_ + player);
  }

  std::vector<Object> objects;

 private:
  static constexpr std::uint32_t kCountries = 50, kRegions = 400, kResources = 20;

  std::uint32_t Family(std::uint32_t count, Object object) {
    const auto first = static_cast<std::uint32_t>(objects.size());
    objects.resize(objects.size() + count, object);
    return first;
  }
  std::uint32_t countries_, resources_, boards_, requirements_, country_, prices_, region_,
      history_, session_, bonus_;
};

}  // namespace

Trace GameTrace(std::uint32_t players, std::uint32_t requests) {
  Game game(players);
  Trace trace{"game", game.objects, {}};
  const Zipf zipf(players, 0.8);
  Random random(6);
  constexpr std::uint32_t kOnline = 1000, kPerSecond = 140, kVisit = 40;
  std::vector<std::uint32_t> online(kOnline);
  for (std::uint32_t& player : online)
    player = zipf.Draw(random);
  std::vector<std::uint32_t> keys;
  for (std::uint32_t i = 0; trace.requests.size() < requests; ++i) {
    std::uint32_t& player = online[random.Below(kOnline)];
    if (random.Below(kVisit) == 0) player = zipf.Draw(random);
    game.Play(player, random, keys);
    for (const std::uint32_t key : keys)
      trace.requests.push_back({key, i / kPerSecond});
  }
  return trace;
}

Trace ZipfTrace(std::uint32_t keys, double alpha, std::uint32_t requests, Sizes sizes) {
  Trace trace{Name(fmt::format("zipf {:.1f}", alpha), sizes), Objects(keys, sizes), {}};
  const Zipf zipf(keys, alpha);
  Random random(1);
  for (std::uint32_t i = 0; i < requests; ++i)
    trace.requests.push_back({zipf.Draw(random), 0});
  return trace;
}

Trace ScanTrace(std::uint32_t keys, std::uint32_t requests, std::uint32_t length, Sizes sizes) {
  Trace trace{Name("scan", sizes), {}, {}};
  const Zipf zipf(keys, 0.9);
  Random random(2);
  std::uint32_t fresh = keys;
  while (trace.requests.size() < requests) {
    if (random.Below(std::uint64_t{length} * 4) == 0) {
      for (std::uint32_t i = 0; i < length; ++i) {  // in turns with the others
        trace.requests.push_back({fresh++, 0});
        trace.requests.push_back({zipf.Draw(random), 0});
      }
    } else {
      trace.requests.push_back({zipf.Draw(random), 0});
    }
  }
  trace.objects = Objects(fresh, sizes);
  return trace;
}

Trace LoopTrace(std::uint32_t keys, std::uint32_t requests, std::uint32_t length, Sizes sizes) {
  Trace trace{Name("loop", sizes), Objects(keys + length, sizes), {}};
  const Zipf zipf(keys, 0.9);
  Random random(3);
  for (std::uint32_t i = 0; i < requests; i += 2) {
    trace.requests.push_back({zipf.Draw(random), 0});
    trace.requests.push_back({keys + i / 2 % length, 0});
  }
  return trace;
}

Trace DriftTrace(std::uint32_t keys, std::uint32_t requests, std::uint32_t every, Sizes sizes) {
  Trace trace{Name("drift", sizes), {}, {}};
  const Zipf zipf(keys, 0.9);
  Random random(4);
  std::vector<std::uint32_t> of_rank(keys);
  std::iota(of_rank.begin(), of_rank.end(), 0u);
  std::uint32_t fresh = keys;
  for (std::uint32_t i = 0; i < requests; ++i) {
    if (i % every == 0) of_rank[zipf.Draw(random)] = fresh++;
    trace.requests.push_back({of_rank[zipf.Draw(random)], 0});
  }
  trace.objects = Objects(fresh, sizes);
  return trace;
}

Trace ShiftTrace(std::uint32_t keys, std::uint32_t requests, std::uint32_t every, Sizes sizes) {
  Trace trace{Name("shift", sizes), Objects(keys, sizes), {}};
  const Zipf zipf(keys, 0.9);
  Random random(5);
  std::vector<std::uint32_t> of_rank(keys);
  std::iota(of_rank.begin(), of_rank.end(), 0u);
  for (std::uint32_t i = 0; i < requests; ++i) {
    if (i % every == every - 1)
      for (std::uint32_t j = keys - 1; j > 0; --j)
        std::swap(of_rank[j], of_rank[random.Below(j + 1)]);
    trace.requests.push_back({of_rank[zipf.Draw(random)], 0});
  }
  return trace;
}

}  // namespace onebox::eviction
