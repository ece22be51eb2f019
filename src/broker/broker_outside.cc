// What comes from other servers: tasks that the app has left in its database, and who of several boxes
// fires the jobs.
#include <algorithm>
#include <utility>

#include <sys/epoll.h>

#include "base/check.h"
#include "broker/broker.h"
#include "broker/words.h"

namespace onebox::broker {
namespace {

// What another box has fired is not taken for missed here. What it did in its last moments is not known:
// there the job's own rule for what was missed decides.
constexpr Duration kLastMoments = std::chrono::seconds(10);
constexpr std::uint32_t kJobsPerTick = 10'000;

}  // namespace

Status Broker::OpenOutside() {
  const auto note = [this](std::string_view line) { handover_.log.Info("{}", line); };
  if (settings_.outbox) {
    outbox_ = std::make_unique<database::OutboxThread>(
        database::OutboxThread::Options{.address = *settings_.outbox, .note = note},
        handover_.clock);
    TRY(reactor_->Watch(outbox_->wakeup().get(), outside_, EPOLLIN));
    TellWorkersWanted();
  }
  if (settings_.election) {
    election_ = std::make_unique<election::Election>(
        election::Election::Options{.server = *settings_.election,
                                    .name = settings_.election_name,
                                    .box = settings_.box,
                                    .note = note},
        handover_.clock);
    TRY(reactor_->Watch(election_->wakeup().get(), outside_, EPOLLIN));
  }
  return Done();
}

bool Broker::FiresJobs() const {
  return election_ == nullptr || election_->leadership().Holds(reactor_->now());
}

// Ever larger from run to run of a job, also from box to box.
std::int64_t Broker::FenceOf(const schedule::Firing& firing) const {
  return election_ == nullptr ? firing.fence : election_->leadership().fence;
}

void Broker::FollowLeader() {
  if (election_ == nullptr || FiresJobs()) return;
  const Status left = jobs_->LeaveToAnother(now_ - kLastMoments, kJobsPerTick);
  if (!left.ok()) handover_.log.Error("jobs cannot be written: {}", left.error().message);
}

// --- the outbox

void Broker::TakeFromOutbox() {
  if (outbox_ == nullptr || from_outbox_) return;
  from_outbox_ = outbox_->TakeBatch();
}

// In the group. What is refused for good is set aside; what has no room now stays where it is.
Status Broker::EnqueueFromOutbox() {
  outbox_answer_ = {};
  if (!from_outbox_) return Done();
  for (const database::OutboxRow& row : from_outbox_->rows) {
    const json value = json::parse(row.task, nullptr, /*allow_exceptions=*/false);
    auto task = ReadTask(value, settings_.timeout, now_);
    if (!task.ok()) {
      outbox_answer_.refused.push_back({row.id, task.error().message});
      continue;
    }
    // A key of the task's own does as well: the row's second coming has it too.
    if (task.value().dedupe_key.empty()) task.value().dedupe_key = row.dedupe_key;
    const auto admitted = TRY(store_->Enqueue({&task.value(), 1}, now_));
    if (admitted.front().ok()) {
      outbox_answer_.done.push_back(row.id);
      turns_.Wake(task.value().queue);
    } else if (admitted.front().error().retry == Retry::kNever) {
      outbox_answer_.refused.push_back({row.id, admitted.front().error().message});
    }
  }
  return Done();
}

void Broker::AnswerOutbox(bool written) {
  if (!from_outbox_) return;
  outbox_->Answer(from_outbox_->number,
                  written ? std::move(outbox_answer_) : database::OutboxAnswer());
  from_outbox_.reset();
}

json Broker::ShowOutside() const {
  json shown = json::object();
  if (outbox_ != nullptr) {
    const database::OutboxThread::Look look = outbox_->look();
    constexpr std::string_view kStates[] = {"connecting", "up", "down"};
    shown["outbox"] = {{"state", kStates[static_cast<std::size_t>(look.state)]},
                       {"last_error", look.last_error},
                       {"done_total", look.done_total},
                       {"refused_total", look.refused_total},
                       {"set_aside", look.set_aside}};
  }
  if (election_ != nullptr) {
    const election::Election::Look look = election_->look();
    shown["election"] = {{"leads", look.leadership.Holds(reactor_->now())},
                         {"holder", look.holder},
                         {"last_error", look.last_error},
                         {"wins_total", look.wins_total}};
  }
  return shown;
}

}  // namespace onebox::broker
