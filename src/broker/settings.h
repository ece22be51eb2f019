#pragma once
// What the broker is told when it is started.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "database/address.h"
#include "queue/store.h"
#include "redis/address.h"
#include "schedule/job.h"

namespace onebox::broker {

// So many within so long: "10/s", "100/m", "5/h".
struct Rate {
  std::uint32_t count = 1;
  Duration per = std::chrono::seconds(1);

  // Nothing where it is not written like this. `count` is 1 to 1,000,000.
  static std::optional<Rate> Parse(std::string_view text);
  std::string text() const;

  bool operator==(const Rate&) const = default;
};

// What a queue may do; what is not named is not limited.
struct QueueRule {
  std::optional<Rate> rate = {};  // of tasks that are begun
  std::uint32_t concurrency = 0;  // tasks that run at the same time; 0: no limit
};

struct Settings {
  std::string folder = {};  // of what outlives a restart; it is there, and ours
  queue::Limits limits{};
  Duration timeout = std::chrono::hours(1);  // of a task that names none
  Duration drain_timeout = std::chrono::seconds(30);
  std::uint32_t jobs_parallel = 1;  // jobs that run at the same time
  // As the operator has them; a queue that is not named has what the app says.
  std::vector<std::pair<std::string, QueueRule>> rules = {};
  std::vector<schedule::JobSpec> jobs = {};      // beside those that the app declares
  std::optional<database::Address> outbox = {};  // its table; nothing: there is none
  // Who fires the jobs of several boxes; nothing: this one does.
  std::optional<std::variant<redis::Address, database::Address>> election = {};
  std::string election_name = {};  // boxes with the same one elect together
  std::string box = {};            // this one's name, for people
};

inline constexpr std::string_view kJobsQueue = "onebox.jobs";
inline constexpr std::string_view kTasksFile = "tasks.db";
inline constexpr std::string_view kJobsFile = "jobs.db";

}  // namespace onebox::broker
