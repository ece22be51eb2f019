#include "telemetry/metrics.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

#include "base/check.h"

namespace onebox::telemetry {
namespace {

// The head of the memory; the lanes follow, each on cache lines of its own. The version of the
// layout is its size: processes of one server are one program.
struct alignas(64) MetricsHead {
  std::uint64_t magic = 0;
  std::uint64_t lane_cells = 0;
  std::uint64_t lanes = 0;
};
static_assert(sizeof(MetricsHead) == 64 && std::is_trivially_copyable_v<MetricsHead>);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free,
              "a cell works between processes only without a lock");

constexpr std::uint64_t kMagic = 0x6f6e65626f786d31;  // "oneboxm1"
constexpr std::size_t kLanesMax = 65'536;
constexpr std::size_t kLaneBytes = (kLaneCells * sizeof(std::uint64_t) + 63) / 64 * 64;

std::size_t BytesOf(std::size_t lanes) {
  return sizeof(MetricsHead) + lanes * kLaneBytes;
}

}  // namespace

void Lane::Observe(Histogram histogram, Duration duration) {
  const auto bound = std::lower_bound(kBucketBounds.begin(), kBucketBounds.end(), duration);
  const std::size_t first = CellOf(histogram);
  Raise(first + static_cast<std::size_t>(bound - kBucketBounds.begin()), 1);
  Raise(first + kBuckets, static_cast<std::uint64_t>(std::max(duration, Duration(0)).count()));
}

void Lane::CountAnswer(int status, Step ended_in) {
  CHECK(status >= 100 && status <= 599);
  const auto number = static_cast<std::size_t>(status);
  Raise(CellOf(Family::kAnswers) + number - 100, 1);
  Raise(CellOf(Family::kAnswerClasses) + number / 100 - 1, 1);
  CountEnd(ended_in);
}

void Lane::CountEnd(Step step) {
  Raise(CellOf(Family::kSteps) + static_cast<std::size_t>(step), 1);
}

void Lane::CountRefusal(std::size_t refusal) {
  CHECK(refusal < kRefusalsMax);
  Raise(CellOf(Family::kRefusals) + refusal, 1);
}

void Lane::ClearGauges() {
  for (std::size_t i = 0; i < kGauges; ++i)
    Store(CellOf(Gauge{static_cast<std::uint8_t>(i)}), 0);
}

Result<Metrics> Metrics::Create(std::size_t lanes) {
  CHECK(lanes > 0 && lanes <= kLanesMax);
  os::Fd memory = TRY(os::NewSharedMemory("onebox-metrics", BytesOf(lanes)));
  os::Mapping mapping = TRY(os::Mapping::Share(memory, BytesOf(lanes)));
  new (mapping.data()) MetricsHead{kMagic, kLaneCells, lanes};
  return Metrics(std::move(memory), std::move(mapping), lanes);
}

Result<Metrics> Metrics::Open(os::Fd memory) {
  MetricsHead head;
  {
    const os::Mapping start = TRY(os::Mapping::Share(memory, sizeof head));
    std::memcpy(&head, start.data(), sizeof head);
  }
  if (head.magic != kMagic || head.lane_cells != kLaneCells || head.lanes == 0 ||
      head.lanes > kLanesMax) {
    return OperatorError("the metrics' memory is of another version of this program");
  }
  os::Mapping mapping = TRY(os::Mapping::Share(memory, BytesOf(head.lanes)));
  return Metrics(std::move(memory), std::move(mapping), head.lanes);
}

Lane Metrics::lane(std::size_t number) {
  CHECK(number < lanes_);
  return Lane(CellsOf(number));
}

Lane::Cell* Metrics::CellsOf(std::size_t lane) const {
  std::byte* cells = mapping_.data() + sizeof(MetricsHead) + lane * kLaneBytes;
  return reinterpret_cast<Lane::Cell*>(cells);
}

std::uint64_t Metrics::SumCell(std::size_t cell) const {
  std::uint64_t sum = 0;
  for (std::size_t lane = 0; lane < lanes_; ++lane)
    sum += CellsOf(lane)[cell].load(std::memory_order_relaxed);
  return sum;
}

std::uint64_t Metrics::Sum(Counter counter) const {
  return SumCell(CellOf(counter));
}

std::uint64_t Metrics::Sum(Gauge gauge) const {
  // Lanes are read one after the other: what one raised and another lowered may be seen half.
  const std::uint64_t sum = SumCell(CellOf(gauge));
  return static_cast<std::int64_t>(sum) < 0 ? 0 : sum;
}

std::uint64_t Metrics::Sum(Family family, std::size_t index) const {
  CHECK(index < kFamilySizes[static_cast<std::size_t>(family)]);
  return SumCell(CellOf(family) + index);
}

std::uint64_t Metrics::Sum(Limit limit) const {
  return Sum(Family::kLimits, static_cast<std::size_t>(limit));
}

std::uint64_t Metrics::SumAnswers(int status) const {
  CHECK(status >= 100 && status <= 599);
  return Sum(Family::kAnswers, static_cast<std::size_t>(status) - 100);
}

std::uint64_t Metrics::SumAnswerClass(int hundred) const {
  CHECK(hundred >= 1 && hundred <= 5);
  return Sum(Family::kAnswerClasses, static_cast<std::size_t>(hundred) - 1);
}

std::uint64_t Metrics::SumEnded(Step step) const {
  return Sum(Family::kSteps, static_cast<std::size_t>(step));
}

HistogramSum Metrics::Sum(Histogram histogram) const {
  HistogramSum sum;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    sum.buckets[i] = SumCell(CellOf(histogram) + i);
    sum.count += sum.buckets[i];
  }
  sum.sum = Duration(static_cast<Duration::rep>(SumCell(CellOf(histogram) + kBuckets)));
  return sum;
}

}  // namespace onebox::telemetry
