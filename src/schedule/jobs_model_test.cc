// Random operations on a box's jobs and on a plain model of them, with crashes, losses of power, a
// failing disk and clocks that are put back. ONEBOX_JOBS_SEED=N repeats a run; ONEBOX_JOBS_SECONDS=N
// makes it longer.
#include <cstdlib>
#include <functional>
#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "os/clock.h"
#include "os/random.h"
#include "schedule/jobs_testing_model.h"
#include "sqlite/testing_disk.h"

namespace onebox::schedule {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Duration kKeep = hours(48);

std::uint64_t NumberOf(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class JobsModel : public testing::Test {
 protected:
  JobsModel() : seed_(NumberOf("ONEBOX_JOBS_SEED", os::Random64() % 1'000'000)) {
    std::printf("ONEBOX_JOBS_SEED=%llu\n", static_cast<unsigned long long>(seed_));
    random_.seed(seed_);
    Keep();
  }

  std::uint64_t Below(std::uint64_t bound) { return random_() % bound; }

  JobSpec RandomSpec(const std::string& name) {
    constexpr std::pair<TriggerKind, const char*> kTriggers[] = {
        {TriggerKind::kEvery, "1 minute"},
        {TriggerKind::kEvery, "7 minutes"},
        {TriggerKind::kEvery, "10 seconds"},
        {TriggerKind::kCron, "*/5 * * * *"},
        {TriggerKind::kCron, "30 2 * * *"},
        {TriggerKind::kAt, "2026-03-30 12:00"}};
    const auto& [kind, text] = kTriggers[Below(std::size(kTriggers))];
    JobSpec spec = Job(name, text, static_cast<Overlap>(Below(4)));
    spec.kind = kind;
    spec.zone = "Europe/Berlin";
    if (Below(3) == 0) spec.jitter = seconds(1 + Below(300));
    spec.catch_up.which = static_cast<CatchUp>(Below(3));
    spec.catch_up.all_max = static_cast<std::uint32_t>(1 + Below(Below(2) == 0 ? 5 : 100));
    return spec;
  }

  // --- operations, on both

  void Declare() {
    const auto source = static_cast<Source>(Below(2));
    std::vector<JobSpec> specs;
    for (const char* const name : {"a", "b", "c", "d", "e", "f"}) {
      const auto known = model_.jobs().find(name);
      if (Below(4) == 0) continue;
      const bool same = known != model_.jobs().end() && Below(3) != 0;
      specs.push_back(same ? known->second.spec : RandomSpec(name));
    }
    if (!box_.jobs().Declare(source, 1, specs, now_).ok()) return;
    // A name that the configuration has is refused, and counts as named.
    model_.Declare(source, specs, now_);
  }

  void Take() {
    const std::uint32_t limit = small_steps_ ? 2 : 1000;
    std::vector<Firing> due;
    for (int i = 0; box_.jobs().NextDue() && *box_.jobs().NextDue() <= now_; ++i) {
      ASSERT_LT(i, 10'000) << "it gives out nothing, and says that there is something";
      auto taken = box_.jobs().TakeDue(now_, limit);
      if (!taken.ok()) {
        ASSERT_TRUE(due.empty() && broken_);
        return;
      }
      ASSERT_LE(taken.value().size(), limit);
      std::move(taken.value().begin(), taken.value().end(), std::back_inserter(due));
    }
    const auto expected = model_.TakeDue(now_);
    ASSERT_EQ(due.size(), expected.size());
    for (const Firing& firing : due) {
      Match(firing, expected);
    }
  }

  void Match(const Firing& firing,
             const std::vector<std::pair<std::string, Model::Waiting*>>& expected) {
    const auto found = std::find_if(expected.begin(), expected.end(), [&](const auto& one) {
      return one.first == firing.job->name && one.second->firing == firing.time &&
             one.second->manual == firing.manual &&
             (one.second->fence == firing.fence || one.second->fence == 0);
    });
    ASSERT_NE(found, expected.end()) << firing.key;
    ASSERT_EQ(fences_.emplace(firing.fence, firing.key).first->second, firing.key)
        << "a fence that was another firing's";
    found->second->fence = firing.fence;
    given_out_[firing.fence] = firing;
  }

  // Those that were given out: into the queue, and then confirmed, or not yet.
  void Enqueue(bool all) {
    std::vector<Jobs::Confirmation> confirmed;
    for (const auto& [fence, firing] : given_out_) {
      if (!all && Below(3) == 0) continue;
      const RunId run = box_.queue().Enqueue(firing.key);
      if (all || Below(4) != 0) confirmed.push_back({fence, run});
    }
    if (!box_.jobs().Enqueued(confirmed).ok()) {
      ASSERT_TRUE(broken_);
      return;
    }
    for (const auto& [fence, run] : confirmed) {
      model_.Enqueued(fence, run);
      given_out_.erase(fence);
    }
  }

  void Refuse() {
    for (auto at = given_out_.begin(); at != given_out_.end(); ++at) {
      // The queue has it: it does not refuse it any more.
      if (box_.queue().tasks().count(at->second.key) > 0 || Below(2) == 0) continue;
      if (!box_.jobs().Refused(at->first, now_).ok()) return;
      model_.Refused(at->first, now_);
      given_out_.erase(at);
      return;
    }
  }

  void BeginOrEnd() {
    const auto left = box_.jobs().RunsLeft();
    if (left.empty()) return;
    const RunId run = left[Below(left.size())];
    Model::Entry& job = *model_.OfRun(run);
    if (Below(2) == 0) {
      if (box_.jobs().Begun(run, 1, now_).ok()) job.runs[run] = true;
      return;
    }
    const auto state = static_cast<RunState>(3 + Below(5));
    if (state != RunState::kDone) box_.queue().Fail(run);
    ended_.insert(run);  // the queue is told first
    if (Below(5) == 0) return;
    if (box_.jobs().Ended(run, state, "traceback", now_).ok()) job.runs.erase(run);
  }

  void People() {
    const std::string name(1, static_cast<char>('a' + Below(6)));
    const auto found = model_.jobs().find(name);
    const bool there = found != model_.jobs().end() && !found->second.removed;
    Model::Entry* const job = there ? &found->second : nullptr;
    switch (Below(3)) {
      case 0:
        if (box_.jobs().Pause(name, now_).ok()) model_.Pause(*job);
        return;
      case 1:
        if (there && job->handled > now_) return;  // it would fire what it has fired
        if (box_.jobs().Resume(name, now_).ok()) job->paused = false;
        return;
      default:
        RunNow(name, job);
    }
  }

  void RunNow(const std::string& name, Model::Entry* job) {
    auto firing = box_.jobs().RunNow(name, now_);
    if (job == nullptr) {
      ASSERT_FALSE(firing.ok());
      return;
    }
    std::size_t unended = job->runs.size();
    for (const Model::Waiting& one : job->pending) {
      if (one.taken || job->spec.overlap != Overlap::kReplace) ++unended;
    }
    const bool may = unended <= (model_.RunsAlone(*job) ? 0 : kQueuedMax);
    if (!firing.ok()) {
      ASSERT_TRUE(broken_ || !may);
      return;
    }
    ASSERT_TRUE(may);
    auto& made = job->pending.emplace_back(Model::Waiting{now_, true, true, 0});
    Match(firing.value(), {{name, &made}});
  }

  void Sweep() {
    for (int i = 0; i < 1000; ++i) {
      const auto swept = box_.jobs().Sweep(100, now_);
      if (!swept.ok()) {
        ASSERT_TRUE(broken_);
        return;
      }
      if (swept.value() == 0) break;
      if (swept.value() < 100) break;
    }
    model_.Swept(kKeep, now_);
  }

  // --- ends and starts

  void Reopened() {
    disk_.Mend();
    broken_ = false;
    model_.Reopened();
    given_out_.clear();
    if (Below(4) == 0) now_ -= seconds(Below(1800));
    ASSERT_EQ(Model::DumpOf(box_.jobs()), model_.Dump());
    // What a broker does at its start.
    for (const RunId run : box_.jobs().RunsLeft()) {
      if (ended_.count(run) == 0) continue;
      ASSERT_TRUE(box_.jobs().Ended(run, RunState::kDone, "", now_).ok());
      model_.OfRun(run)->runs.erase(run);
    }
    Take();
    if (HasFatalFailure()) return;
    Enqueue(true);
  }

  void Reopen() {
    box_.Reopen();
    Reopened();
  }

  void Kill() {
    box_.Kill();
    Reopened();
  }

  // What is found is the state after one of the steps since the last that was on the disk.
  void LosePower() {
    if (small_steps_) return;
    box_.Replace([&](const std::string& from, const std::string& to) {
      disk_.LosePower(from, to, random_);
    });
    const std::string found = Model::DumpOf(box_.jobs());
    for (auto at = possible_.rbegin(); at != possible_.rend(); ++at) {
      if (at->Dump() != found) continue;
      model_ = *at;
      return Reopened();
    }
    FAIL() << "found:\n" << found << "\nthe last was:\n" << model_.Dump();
  }

  void BreakOrMend() {
    broken_ = !broken_ && !small_steps_;
    if (!broken_) return disk_.Mend();
    const auto at = Below(2) == 0 ? sqlite::TestDisk::At::kWrite : sqlite::TestDisk::At::kSync;
    disk_.Break(at, static_cast<std::uint32_t>(Below(4)), SQLITE_IOERR_WRITE);
  }

  void Advance() {
    const std::uint64_t kind = Below(20);
    const std::uint64_t most = kind == 0 ? 2 * 24 * 3600 : kind < 5 ? 3600 : 120;
    now_ += seconds(Below(most)) + Duration(Below(2));
  }

  void Keep() {
    if (!disk_.Unsynced(box_.path() + "-wal")) possible_.clear();
    possible_.push_back(model_);
  }

  void Step() {
    const std::uint64_t what = Below(100);
    if (what < 25)
      Advance();
    else if (what < 50)
      Take();
    else if (what < 65)
      Enqueue(false);
    else if (what < 68)
      Refuse();
    else if (what < 85)
      BeginOrEnd();
    else if (what < 88)
      Declare();
    else if (what < 91)
      People();
    else if (what < 92)
      Sweep();
    else if (what < 94)
      Reopen();
    else if (what < 96)
      Kill();
    else if (what < 98)
      LosePower();
    else
      BreakOrMend();
  }

  void Check() {
    ASSERT_EQ(Model::DumpOf(box_.jobs()), model_.Dump());
    for (const auto& [key, tasks] : box_.queue().tasks()) {
      ASSERT_EQ(tasks, 1) << key << " has run twice";
    }
    Keep();
  }

  const std::uint64_t seed_;
  std::mt19937_64 random_;
  sqlite::TestDisk disk_;
  TestBox box_{{.history_max = 5, .removed_keep = kKeep, .log_bytes = 64 << 10}};
  Model model_;
  std::vector<Model> possible_;  // after a loss of power
  std::map<std::int64_t, Firing> given_out_;
  std::set<RunId> ended_;                       // as the queue knows
  std::map<std::int64_t, std::string> fences_;  // and the keys of their firings
  WallTime now_ = Utc("2026-03-28 20:00");
  bool small_steps_ = Below(2) == 0;
  bool broken_ = false;
};

TEST_F(JobsModel, SaysTheSame) {
  const os::SystemClock clock;
  const Time end = clock.Now() + seconds(NumberOf("ONEBOX_JOBS_SECONDS", 3));
  std::uint64_t steps = 0;
  for (; clock.Now() < end && !HasFatalFailure(); ++steps) {
    SCOPED_TRACE(steps);
    Step();
    if (!HasFatalFailure()) Check();
  }
  RecordProperty("steps", static_cast<int>(steps));
  std::printf("%llu steps, %zu tasks\n",
              static_cast<unsigned long long>(steps),
              box_.queue().tasks().size());
}

}  // namespace
}  // namespace onebox::schedule
