#pragma once
// How often keys were asked for lately: a count-min sketch of 4-bit counters with minimal increment.

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <vector>

#include "eviction/trace.h"

namespace onebox::eviction {

// Cormode and Muthukrishnan (2005), with the 4-bit counters and the halving of TinyLFU. It may say
// too much of a key, never too little (but for the halving). A counter takes a byte here.
class Sketch {
 public:
  enum class Layout {
    kRows,  // four rows as long as the sketch: the paper's
    kLines,  // the four counters of a key in one cache line of 128: one miss of the processor's cache
  };

  Sketch(double cells, Layout layout)
      : layout_(layout),
        lines_(std::bit_ceil(static_cast<std::uint64_t>(std::max(cells / kLine, 1.0)))),
        cells_(lines_ * kLine) {}

  int Estimate(std::uint32_t key) const { return Least(PlacesOf(key)); }

  void Increment(std::uint32_t key) {
    const Places places = PlacesOf(key);
    RaiseAll(places, std::min(Least(places) + 1, kMost));
  }

  // The estimate is at least `count` from now on.
  void Raise(std::uint32_t key, int count) { RaiseAll(PlacesOf(key), std::min(count, kMost)); }

  void Halve() {
    for (std::uint8_t& cell : cells_)
      cell /= 2;
  }

  static constexpr int kMost = 15;

 private:
  static constexpr std::uint64_t kRows = 4, kLine = 128;
  using Places = std::array<std::uint64_t, kRows>;

  Places PlacesOf(std::uint32_t key) const {
    const std::uint64_t hash = Mix(key + 0x5851f42d4c957f2dULL);
    Places places;
    for (std::uint64_t row = 0; row < kRows; ++row) {
      if (layout_ == Layout::kLines) {
        const std::uint64_t width = kLine / kRows;
        const std::uint64_t line = hash & (lines_ - 1);
        places[row] = line * kLine + row * width + (hash >> (32 + 5 * row)) % width;
      } else {
        const std::uint64_t width = cells_.size() / kRows;
        const std::uint64_t step = Mix(hash) | 1;
        places[row] = row * width + ((hash + row * step) >> 20 & (width - 1));
      }
    }
    return places;
  }

  int Least(const Places& places) const {
    int least = kMost;
    for (const std::uint64_t place : places)
      least = std::min<int>(least, cells_[place]);
    return least;
  }

  void RaiseAll(const Places& places, int count) {
    for (const std::uint64_t place : places)
      cells_[place] = std::max(cells_[place], static_cast<std::uint8_t>(count));
  }

  Layout layout_;
  std::uint64_t lines_;
  std::vector<std::uint8_t> cells_;
};

}  // namespace onebox::eviction
