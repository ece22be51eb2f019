#include "plan/workers.h"

#include <algorithm>

#include <fmt/format.h>

namespace onebox::plan {
namespace {

constexpr unsigned kWorkersMin = 2;
constexpr unsigned kKeptFreeMin = 2;

std::string Counted(unsigned number, std::string_view noun) {
  return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s");
}

}  // namespace

WorkersPlan PlanWorkers(const MachineFacts& facts) {
  const unsigned third = (facts.logical_cores + 2) / 3;
  const unsigned kept_free = std::max(kKeptFreeMin, third);
  const std::string others = facts.database.empty()
                                 ? "the front and the system"
                                 : fmt::format("the front, {} and the system", facts.database);
  if (facts.logical_cores < kept_free + kWorkersMin) {
    return {kWorkersMin,
            fmt::format("{} for {}: the least that can replace one while another serves",
                        kWorkersMin,
                        Counted(facts.logical_cores, "core"))};
  }
  return {facts.logical_cores - kept_free,
          fmt::format("one for each of {} logical cores but {}, which are left to {}",
                      facts.logical_cores,
                      kept_free,
                      others)};
}

std::string DescribeMachine(const MachineFacts& facts) {
  constexpr double kGiB = 1ULL << 30;
  std::string cores = Counted(facts.logical_cores, "core");
  if (facts.physical_cores != 0 && facts.physical_cores < facts.logical_cores) {
    cores = fmt::format(
        "{} ({})", Counted(facts.physical_cores, "core"), Counted(facts.logical_cores, "thread"));
  }
  return fmt::format("{}, {:.1f} GiB{}",
                     cores,
                     static_cast<double>(facts.memory_bytes) / kGiB,
                     facts.database.empty() ? "" : fmt::format(", {} on this box", facts.database));
}

}  // namespace onebox::plan
