#include "election/election.h"

#include <utility>

#include <fmt/format.h>

#include "election/database_registry.h"
#include "election/redis_registry.h"
#include "os/random.h"
#include "os/wait.h"

namespace onebox::election {
namespace {

os::Fd NewWakeup() {
  auto wakeup = os::NewWakeup();
  CHECK(wakeup.ok());
  return std::move(wakeup).value();
}

}  // namespace

Election::Election(Options options, const Clock& clock)
    : options_(std::move(options)),
      holder_(fmt::format("{}-{:016x}", options_.box.substr(0, 64), os::Random64())),
      clock_(clock),
      end_(NewWakeup()),
      wakeup_(NewWakeup()) {
  CHECK(options_.interval * 3 <= options_.lease);
  thread_ = std::thread([this] { Run(); });
}

Election::~Election() {
  ending_ = true;
  os::Wake(end_);
  thread_.join();
}

Leadership Election::leadership() const {
  const std::lock_guard lock(mutex_);
  return look_.leadership;
}

Election::Look Election::look() const {
  const std::lock_guard lock(mutex_);
  return look_;
}

std::unique_ptr<Registry> Election::NewRegistry() const {
  const std::string key = "onebox:election:" + options_.name;
  if (const auto* const address = std::get_if<redis::Address>(&options_.server)) {
    return std::make_unique<RedisRegistry>(
        RedisRegistry::Options{*address, key, holder_, options_.timeout}, clock_);
  }
  return std::make_unique<DatabaseRegistry>(
      DatabaseRegistry::Options{
          std::get<database::Address>(options_.server), options_.name, holder_, {options_.timeout}},
      clock_);
}

void Election::Run() {
  const std::unique_ptr<Registry> registry = NewRegistry();
  Candidate candidate(*registry, options_.lease, clock_);
  while (!ending_) {
    Publish(candidate, candidate.Step());
    os::WaitReadable(end_, options_.interval);
  }
  {
    const std::lock_guard lock(mutex_);
    look_.leadership = {};
  }
  static_cast<void>(candidate.Resign());  // where it is not heard, the others wait
}

void Election::Publish(const Candidate& candidate, const Status& stepped) {
  Look now, before;
  {
    const std::lock_guard lock(mutex_);
    before = look_;
    look_.leadership = candidate.leadership();
    look_.holder = look_.leadership.fence != 0 ? holder_ : candidate.holder();
    look_.last_error = stepped.ok() ? std::string() : stepped.error().message;
    if (!stepped.ok()) ++look_.errors_total;
    if (look_.leadership.fence != 0 && before.leadership.fence != look_.leadership.fence) {
      ++look_.wins_total;
    }
    now = look_;
  }
  if (now.leadership.fence != before.leadership.fence) os::Wake(wakeup_);
  NoteChange(before, now);
}

void Election::NoteChange(const Look& before, const Look& now) const {
  const bool led = before.leadership.fence != 0, leads = now.leadership.fence != 0;
  const bool heard = before.last_error.empty(), hears = now.last_error.empty();
  if (leads && now.leadership.fence != before.leadership.fence) {
    options_.note(fmt::format(
        "election {}: this box leads, with fence {}", options_.name, now.leadership.fence));
  } else if (led && !leads) {
    options_.note(fmt::format("election {}: this box does not lead any more: {}",
                              options_.name,
                              hears ? "another does" : now.last_error));
  } else if (heard && !hears) {
    options_.note(fmt::format("election {}: {}", options_.name, now.last_error));
  } else if (!leads && now.holder != before.holder && !now.holder.empty()) {
    options_.note(fmt::format("election {}: {} leads", options_.name, now.holder));
  }
}

}  // namespace onebox::election
