#pragma once
// How many app workers a machine gets.

#include <cstdint>
#include <string>

namespace onebox::plan {

struct MachineFacts {
  unsigned logical_cores = 1;      // that this process may run on
  unsigned physical_cores = 1;     // of the machine; 0 where it does not say
  std::uint64_t memory_bytes = 0;  // of the machine, or of the container if that is less
  std::string database{};          // "MySQL" where one listens on this box, else empty
};

struct WorkersPlan {
  unsigned workers;    // at least 2: one can be replaced while another serves
  std::string reason;  // one sentence, without a full stop
};

WorkersPlan PlanWorkers(const MachineFacts& facts);

// "6 cores (12 threads), 62.6 GiB, MySQL on this box"
std::string DescribeMachine(const MachineFacts& facts);

}  // namespace onebox::plan
