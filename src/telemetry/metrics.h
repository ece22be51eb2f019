#pragma once
// Counters, gauges and histograms in memory that all processes share; one writer a cell.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/clock.h"
#include "base/result.h"
#include "os/fd.h"
#include "os/mapping.h"
#include "telemetry/metric_table.h"

namespace onebox::telemetry {

// Where a metric's cells are in a lane: counters, gauges, families, histograms. A histogram has its
// buckets, then the sum in nanoseconds.
inline constexpr std::array<std::size_t, kFamilies> kFamilySizes = {kAnswerStatuses,
                                                                    kAnswerClassNames.size(),
                                                                    kStepNames.size(),
                                                                    kLimitNames.size(),
                                                                    kRefusalsMax,
                                                                    kCachedNames.size(),
                                                                    kNotStoredNames.size(),
                                                                    kHandshakeNames.size()};
constexpr std::size_t CellOf(Counter counter) {
  return static_cast<std::size_t>(counter);
}
constexpr std::size_t CellOf(Gauge gauge) {
  return kCounters + static_cast<std::size_t>(gauge);
}
constexpr std::size_t CellOf(Family family) {
  std::size_t cell = kCounters + kGauges;
  for (std::size_t i = 0; i < static_cast<std::size_t>(family); ++i)
    cell += kFamilySizes[i];
  return cell;
}
constexpr std::size_t CellOf(Histogram histogram) {
  return CellOf(Family{kFamilies}) + static_cast<std::size_t>(histogram) * (kBuckets + 1);
}
inline constexpr std::size_t kLaneCells = CellOf(Histogram{kHistograms});

// One writer's cells. A copy is as good as the original; the Metrics it came from outlives it. All
// calls on one lane come from one thread at a time: a cell is raised by a load and a store.
class Lane {
 public:
  void Add(Counter counter, std::uint64_t n = 1) { Raise(CellOf(counter), n); }
  void Add(Limit limit) { Raise(CellOf(Family::kLimits) + static_cast<std::size_t>(limit), 1); }

  void Add(Cached cached) { Raise(CellOf(Family::kCached) + static_cast<std::size_t>(cached), 1); }
  void CountNotStored(std::size_t reason) { Raise(CellOf(Family::kNotStored) + reason, 1); }

  // A gauge is the sum of what the lanes say; a lane may count down what it counted up.
  void Set(Gauge gauge, std::uint64_t value) { Store(CellOf(gauge), value); }
  void Add(Gauge gauge, std::int64_t n) { Raise(CellOf(gauge), static_cast<std::uint64_t>(n)); }

  void Observe(Histogram histogram, Duration duration);

  // An answer with this status, 100 to 599, and the step it came from.
  void CountAnswer(int status, Step ended_in);
  // A request that got no answer.
  void CountEnd(Step step);
  // A refusal by its place in the list of names that the exposition is given, below kRefusalsMax.
  void Add(Handshake result) {
    Raise(CellOf(Family::kHandshakes) + static_cast<std::size_t>(result), 1);
  }
  void CountRefusal(std::size_t refusal);

  // What a dead process left in its gauges, for the supervisor; counters stay.
  void ClearGauges();

 private:
  friend class Metrics;
  using Cell = std::atomic<std::uint64_t>;
  explicit Lane(Cell* cells) : cells_(cells) {}

  void Store(std::size_t cell, std::uint64_t value) {
    cells_[cell].store(value, std::memory_order_relaxed);
  }
  void Raise(std::size_t cell, std::uint64_t n) {
    Store(cell, cells_[cell].load(std::memory_order_relaxed) + n);
  }

  Cell* cells_;
};

// What one histogram saw, all lanes together.
struct HistogramSum {
  std::array<std::uint64_t, kBuckets> buckets{};  // not cumulative; the last is beyond the bounds
  std::uint64_t count = 0;                        // the buckets together
  Duration sum{};
};

// Every lane of every process. The supervisor creates it and hands the descriptor to its children;
// each maps it. The layout is of one version of the program: Open refuses another.
class Metrics {
 public:
  static Result<Metrics> Create(std::size_t lanes);
  static Result<Metrics> Open(os::Fd memory);

  const os::Fd& memory() const { return memory_; }
  std::size_t lanes() const { return lanes_; }
  Lane lane(std::size_t number);  // below lanes()

  std::uint64_t Sum(Counter counter) const;
  std::uint64_t Sum(Gauge gauge) const;
  std::uint64_t Sum(Family family, std::size_t index) const;
  std::uint64_t Sum(Limit limit) const;
  std::uint64_t SumAnswers(int status) const;       // 100 to 599
  std::uint64_t SumAnswerClass(int hundred) const;  // 1 to 5
  std::uint64_t SumEnded(Step step) const;
  HistogramSum Sum(Histogram histogram) const;

 private:
  Metrics(os::Fd memory, os::Mapping mapping, std::size_t lanes)
      : memory_(std::move(memory)), mapping_(std::move(mapping)), lanes_(lanes) {}

  Lane::Cell* CellsOf(std::size_t lane) const;
  std::uint64_t SumCell(std::size_t cell) const;

  os::Fd memory_;
  os::Mapping mapping_;
  std::size_t lanes_;
};

}  // namespace onebox::telemetry
