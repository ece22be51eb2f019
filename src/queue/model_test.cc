// Random operations on the store and on a plain model of it, with crashes, losses of power, full disks
// and restarts between and in the midst of them. ONEBOX_QUEUE_SEED=N repeats a run;
// ONEBOX_QUEUE_SECONDS=N makes it longer.
#include <csignal>
#include <cstdlib>
#include <functional>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/random.h"
#include "queue/testing.h"
#include "queue/testing_model.h"

namespace onebox::queue {
namespace {

using std::chrono::seconds;

Limits SmallLimits() {
  return {.tasks_max = 40,
          .log_bytes = 64 << 10,  // so that it is copied into the file now and then
          .deaths_max = 2,
          .dedupe_keep = seconds(200),
          .dead_keep = seconds(300)};
}

// The store, with its results as the model writes them. After the first Error nothing is asked of it.
class StoreSide final {
 public:
  explicit StoreSide(Store& store) : store_(store) {}

  bool failed() const { return failed_; }
  const std::string& why() const { return why_; }
  void Recover() { failed_ = false; }
  void Begin() { in_group_ = Worked(store_.BeginGroup()); }
  void Commit() {
    if (std::exchange(in_group_, false)) (void)Worked(store_.CommitGroup());
  }

  std::string Enqueue(const std::vector<OwnTask>& tasks, WallTime now) {
    const std::vector<NewTask> views = ViewsOf(tasks);
    return Each(store_.Enqueue(views, now), [](const Store::Admission& admission) {
      return (admission.ok() ? Model::Text(admission.value()) : "refused") + ' ';
    });
  }
  std::string EnqueueGroup(const std::vector<OwnTask>& members,
                           const OwnTask& callback,
                           WallTime now) {
    const std::vector<NewTask> views = ViewsOf(members);
    const auto group = store_.EnqueueGroup(views, callback.View(), now);
    if (!group.ok() && group.error().blame == Blame::kApp) return "refused";
    if (!Worked(group)) return "";
    std::string text = "group " + std::to_string(group.value().callback);
    for (const TaskId id : group.value().members) {
      text += ' ' + std::to_string(id);
    }
    return text;
  }
  std::string Lease(const std::string& queue, const Store::LeaseTerms& terms, WallTime now) {
    return Each(store_.Lease(queue, terms, now), [&](const Leased& task) {
      EXPECT_LE(task.eta, now) << "leased before its ETA";
      return fmt::format("{}/{}/{}/{} ", task.held.id, task.held.token, task.attempt, task.payload);
    });
  }
  std::string Acknowledge(const Held& held,
                          const std::string& result,
                          const std::vector<OwnTask>& next,
                          WallTime now) {
    std::vector<NextTask> views;
    for (const OwnTask& task : next) {
      views.push_back({task.View(), NextTask::Membership::kInherited});
    }
    const Acknowledgement done{held, result, views};
    return Each(store_.Acknowledge({&done, 1}, now), [](const Acknowledged& acknowledged) {
      std::string text = Model::Text(acknowledged.outcome);
      for (const Enqueued& one : acknowledged.next) {
        text += ' ' + Model::Text(one);
      }
      return text;
    });
  }
  std::string Fail(const Held& held, std::optional<WallTime> retry_at, WallTime now) {
    const Failure failure{held, "traceback", retry_at};
    return Outcomes(store_.Fail({&failure, 1}, now));
  }
  std::string Release(const Held& held, WallTime now) {
    return Outcomes(store_.Release({&held, 1}, now));
  }
  std::string ReturnOfDead(const Held& held, WallTime now) {
    return Outcomes(store_.ReturnOfDead({&held, 1}, now));
  }
  std::string ReturnPassed(WallTime now) { return Count(store_.ReturnPassed(1000, now)); }
  std::string Renew(const Held& held, WallTime until, std::optional<double> progress) {
    const Renewal renewal{held, until, progress};
    return Outcomes(store_.Renew({&renewal, 1}));
  }
  std::string Cancel(TaskId id, WallTime now) { return Outcomes(store_.Cancel({&id, 1}, now)); }
  std::string RetryDead(TaskId id, WallTime now) {
    return Outcomes(store_.RetryDead({&id, 1}, now));
  }
  std::string Purge(const std::string& queue, State state, WallTime now) {
    return Count(state == State::kDead ? store_.PurgeDead(queue, 1000, now)
                                       : store_.Purge(queue, 1000, now));
  }
  std::string SetPaused(const std::string& queue, QueueFigures::Paused paused) {
    (void)Worked(store_.SetPaused(queue, paused));
    return "";
  }
  std::string Sweep(WallTime now) { return Count(store_.Sweep(1000, now)); }

 private:
  static std::vector<NewTask> ViewsOf(const std::vector<OwnTask>& tasks) {
    std::vector<NewTask> views;
    for (const OwnTask& task : tasks) {
      views.push_back(task.View());
    }
    return views;
  }
  template <typename T>
  bool Worked(const Result<T>& result) {
    if (result.ok()) return true;
    failed_ = true;
    why_ = result.error().message;
    return false;
  }
  template <typename T, typename Written>
  std::string Each(const Result<std::vector<T>>& results, const Written& written) {
    std::string text;
    if (!Worked(results)) return text;
    for (const T& result : results.value()) {
      text += written(result);
    }
    return text;
  }
  std::string Outcomes(const Result<std::vector<Outcome>>& outcomes) {
    return Each(outcomes, [](Outcome outcome) { return Model::Text(outcome); });
  }
  std::string Count(const Result<std::uint32_t>& count) {
    return Worked(count) ? std::to_string(count.value()) : "";
  }

  Store& store_;
  bool failed_ = false;
  bool in_group_ = false;
  std::string why_;  // it failed last
};

std::string DumpOf(Store& store, const std::vector<TaskId>& given, WallTime now) {
  std::string text;
  for (const TaskId id : given) {
    const auto task = store.StatusOf(id).value();
    if (!task) continue;
    const std::string outcome = task->outcome.substr(0, task->outcome.find_first_of(": "));
    text += fmt::format(
        "task {} state {} eta {} attempts {} deaths {} token {} until {} left {} group {} progress "
        "{}{}{}\n",
        id,
        static_cast<int>(task->state),
        Model::Text(std::optional(task->eta)),
        task->attempts,
        task->deaths,
        task->token,
        Model::Text(task->lease_end),
        task->members_left,
        task->group,
        std::to_string(task->progress.value_or(-1)),
        task->cancel_asked ? " cancel " : " ",
        outcome);
  }
  std::map<std::string, QueueFigures> queues;  // in the order of their names
  const auto figures = store.Figures(now).value();
  for (const QueueFigures& queue : figures) {
    queues[queue.name] = queue;
  }
  for (const auto& [name, queue] : queues) {
    text += Model::QueueLine(
        name,
        queue.paused == QueueFigures::Paused::kYes,
        {queue.held, queue.waiting, queue.due, queue.running, queue.dead, queue.bytes});
  }
  store.CheckInvariants();
  return text + Model::Moments(store.NextDue().value(), store.NextLeaseEnd().value());
}

// The model, the time, and who holds what: a copy of it goes the same way again.
class World {
 public:
  explicit World(std::uint64_t seed) : model_(SmallLimits()), random_(seed) {}

  Model& model() { return model_; }
  const Model& model() const { return model_; }
  WallTime now() const { return now_; }
  void SetNow(WallTime now) { now_ = now; }
  std::mt19937_64& random() { return random_; }
  bool told() const { return told_; }

  // One operation, or several in one transaction: `within` is called between those. Without a store,
  // on the model alone.
  void Step(StoreSide* store, const std::function<void()>& within) {
    told_ = false;
    now_ += Duration(Random(3) == 0 ? Random(40'000'000'000) : Random(1'000'000));
    if (Random(5) > 0) return Operate(store);
    if (store != nullptr) store->Begin();
    for (std::uint64_t left = 1 + Random(5); left > 0; --left) {
      Operate(store);
      within();
    }
    if (store != nullptr) store->Commit();
    told_ = true;
  }

 private:
  std::uint64_t Random(std::uint64_t below) { return random_() % below; }
  bool OneIn(std::uint64_t n) { return Random(n) == 0; }
  std::string Queue() { return OneIn(3) ? "bulk" : "mail"; }
  WallTime Soon() { return now_ + Duration(Random(60'000'000'000)); }

  // Of those given last; most of them are still held.
  Held SomeHeld() {
    if (held_.empty()) return {1, 1};
    const std::uint64_t back = Random(std::min<std::uint64_t>(held_.size(), 12));
    return held_[held_.size() - 1 - back];
  }
  TaskId SomeId() {
    const std::vector<TaskId>& given = model_.given();
    if (given.empty() || OneIn(50)) return 1'000'000'000;
    return given[given.size() - 1 - Random(std::min<std::uint64_t>(given.size(), 60))];
  }

  OwnTask NewOne() {
    OwnTask task;
    task.queue = Queue();
    task.payload = std::string(Random(OneIn(20) ? 9000 : 40), static_cast<char>('a' + Random(26)));
    task.priority = static_cast<int>(OneIn(3) ? Random(10) : 4);
    if (OneIn(3)) task.eta = Soon();
    if (OneIn(6)) task.expires = Soon();
    task.retries = static_cast<std::uint32_t>(Random(3));
    task.result_keep = OneIn(3) ? Duration(0) : Duration(Random(100'000'000'000));
    if (OneIn(6)) task.unique_key = "unique" + std::to_string(Random(4));
    if (OneIn(6)) task.dedupe_key = "dedupe" + std::to_string(Random(8));
    return task;
  }
  std::vector<OwnTask> NewOnes(std::uint64_t count_max) {
    std::vector<OwnTask> tasks(Random(count_max) + 1);
    std::generate(tasks.begin(), tasks.end(), [&] { return NewOne(); });
    return tasks;
  }
  OwnTask WithoutKeys(OwnTask task) {
    task.unique_key.clear();
    task.dedupe_key.clear();
    return task;
  }

  template <typename Work>
  void Apply(StoreSide* store, const char* what, const Work& work) {
    const std::string expected = work(model_);
    if (store == nullptr || store->failed()) return;
    const std::string got = work(*store);
    if (store->failed()) return;
    ASSERT_EQ(got, expected) << what;
  }

  void Operate(StoreSide* store) {
    static constexpr int kWeights[] = {20, 2, 26, 18, 8, 3, 3, 3, 6, 3, 3, 1, 1, 3};
    int dice = static_cast<int>(Random(100));
    int which = 0;
    while (dice >= kWeights[which]) {
      dice -= kWeights[which++];
    }
    told_ = which < 2 || which == 3 || which == 4 || (which >= 9 && which <= 12);
    Operate(store, which);
  }

  void Operate(StoreSide* store, int which) {
    const WallTime now = now_;
    switch (which) {
      case 0: {
        const auto tasks = NewOnes(4);
        return Apply(store, "enqueue", [&](auto& side) { return side.Enqueue(tasks, now); });
      }
      case 1: {
        auto members = NewOnes(3);
        for (OwnTask& member : members) {
          member = WithoutKeys(member);
        }
        const OwnTask callback = WithoutKeys(NewOne());
        return Apply(
            store, "group", [&](auto& side) { return side.EnqueueGroup(members, callback, now); });
      }
      case 2: {
        const std::string queue = Queue();
        const Store::LeaseTerms terms{static_cast<std::uint32_t>(1 + Random(5)), Soon()};
        Apply(store, "lease", [&](auto& side) { return side.Lease(queue, terms, now); });
        held_.insert(held_.end(), model_.leased().begin(), model_.leased().end());
        return;
      }
      case 3: {
        const Held held = SomeHeld();
        const std::string result(Random(4), 'r');
        const auto next = OneIn(6) ? NewOnes(2) : std::vector<OwnTask>();
        return Apply(store, "acknowledge", [&](auto& side) {
          return side.Acknowledge(held, result, next, now);
        });
      }
      case 4: {
        const Held held = SomeHeld();
        const auto retry_at = OneIn(2) ? std::optional(Soon()) : std::nullopt;
        return Apply(store, "fail", [&](auto& side) { return side.Fail(held, retry_at, now); });
      }
      case 5: {
        const Held held = SomeHeld();
        return Apply(store, "release", [&](auto& side) { return side.Release(held, now); });
      }
      case 6: {
        const Held held = SomeHeld();
        return Apply(store, "death", [&](auto& side) { return side.ReturnOfDead(held, now); });
      }
      case 7:
        return Apply(store, "return", [&](auto& side) { return side.ReturnPassed(now); });
      case 8: {
        const Held held = SomeHeld();
        const WallTime until = Soon();
        const auto progress = OneIn(2) ? std::optional(0.5) : std::nullopt;
        return Apply(store, "renew", [&](auto& side) { return side.Renew(held, until, progress); });
      }
      case 9: {
        const TaskId id = SomeId();
        return Apply(store, "cancel", [&](auto& side) { return side.Cancel(id, now); });
      }
      case 10: {
        const TaskId id = SomeId();
        return Apply(store, "retry", [&](auto& side) { return side.RetryDead(id, now); });
      }
      case 11: {
        const std::string queue = Queue();
        const State state = OneIn(2) ? State::kDead : State::kWaiting;
        return Apply(store, "purge", [&](auto& side) { return side.Purge(queue, state, now); });
      }
      case 12: {
        const std::string queue = Queue();
        const auto paused = OneIn(3) ? QueueFigures::Paused::kYes : QueueFigures::Paused::kNo;
        return Apply(store, "pause", [&](auto& side) { return side.SetPaused(queue, paused); });
      }
      default:
        return Apply(store, "sweep", [&](auto& side) { return side.Sweep(now); });
    }
  }

  Model model_;
  std::mt19937_64 random_;
  WallTime now_ = At(0);
  std::vector<Held> held_;
  bool told_ = false;  // the last step is to be on the disk
};

std::uint64_t NumberOf(const char* variable, std::uint64_t otherwise) {
  const char* const given = std::getenv(variable);
  return given != nullptr ? std::strtoull(given, nullptr, 10) : otherwise;
}

class ModelTest : public testing::Test {
 protected:
  ModelTest() : seed_(NumberOf("ONEBOX_QUEUE_SEED", os::Random64() % 1'000'000)) {
    std::printf("ONEBOX_QUEUE_SEED=%llu\n", static_cast<unsigned long long>(seed_));
  }
  bool TimeLeft() const { return clock_.Now() < end_; }

  void Close() {
    side_.reset();
    store_.reset();
  }
  void Open(const std::string& file) {
    Close();
    auto opened = Store::Open(file, SmallLimits());
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    store_ = std::move(opened).value();
    side_.emplace(*store_);
    file_ = file;
  }
  // A step that has removed old dedupe keys is not to be seen in what is found: it is done again.
  void SweepBoth(World& world) {
    world.model().Sweep(world.now());
    ASSERT_TRUE(store_->Sweep(1000, world.now()).ok());
  }
  std::string NextFile() { return folder_.path() / (std::to_string(++files_) + ".db"); }

  os::SystemClock clock_;
  std::uint64_t seed_;
  Time end_ = clock_.Now() + seconds(NumberOf("ONEBOX_QUEUE_SECONDS", 3));
  TestFolder folder_;
  std::unique_ptr<Store> store_;
  std::optional<StoreSide> side_;
  std::string file_;
  int files_ = 0;
};

// --- in this process

class Crashes : public ModelTest {
 protected:
  ~Crashes() override { Close(); }

  void Walk(std::uint64_t seed, int steps) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    random_.seed(seed);
    World world(seed);
    Open(NextFile());
    possible_ = {world};
    for (int step = 0; step < steps && TimeLeft(); ++step) {
      SCOPED_TRACE(testing::Message() << "step " << step);
      Step(world);
      if (HasFailure()) return;
      if (step % 8 == 0) Compare(world);
    }
  }

 private:
  void Step(World& world) {
    const World before = world;
    crashed_.clear();
    const bool crash_within = random_() % 40 == 0;
    const bool full = random_() % 15 == 0;
    if (full)
      disk_.Break(TestDisk::At::kWrite, static_cast<std::uint32_t>(random_() % 6), SQLITE_FULL);
    world.Step(&*side_, [&] {
      if (crash_within && crashed_.empty()) CopyStore(file_, crashed_ = NextFile());
    });
    disk_.Mend();
    if (side_->failed()) {
      ASSERT_TRUE(full) << side_->why();
      side_->Recover();
      std::mt19937_64 random = world.random();
      world = before;
      world.random() = random;
    } else if (!disk_.Unsynced(file_ + "-wal")) {
      possible_ = {world};
    } else {
      const WallTime now = world.now();
      const bool changed = world.model().Dump(now) != before.model().Dump(now);
      ASSERT_FALSE(world.told() && changed) << "said to others, and not on the disk";
      possible_.push_back(world);
    }
    if (!crashed_.empty()) return Reopen(world, before, crashed_);
    switch (random_() % 100) {
      case 0:
        return Reopen(world, world, file_);
      case 1:
        crashed_ = NextFile();
        CopyStore(file_, crashed_);
        return Reopen(world, world, crashed_);
      case 2:
      case 3:
        return LosePower(world);
      default:
        return;
    }
  }

  void Reopen(World& world, World found, const std::string& file) {
    Open(file);
    found.model().Reopened();
    world = found;
    possible_ = {world};
    Compare(world);
  }

  // What is found is the state after one of the steps since the last that was on the disk.
  void LosePower(World& world) {
    const WallTime now = world.now();
    const std::string file = NextFile();
    disk_.LosePower(file_, file, random_);
    Open(file);
    if (HasFatalFailure()) return;
    const std::string found_dump = DumpOf(*store_, world.model().given(), now);
    std::string expected;
    for (auto found = possible_.rbegin(); found != possible_.rend(); ++found) {
      const std::string dump = found->model().Dump(now);
      if (dump == found_dump) {
        std::mt19937_64 random = world.random();
        World next = *found;
        next.random() = random;
        next.SetNow(now);
        next.model().Reopened();
        possible_ = {next};
        SweepBoth(next);
        possible_.push_back(next);
        world = next;
        return;
      }
      expected = dump;
    }
    FAIL() << "none of " << possible_.size() << " states; the last that was synced:\n"
           << expected << "found:\n"
           << found_dump;
  }

  void Compare(World& world) {
    if (HasFatalFailure()) return;
    ASSERT_EQ(DumpOf(*store_, world.model().given(), world.now()), world.model().Dump(world.now()));
  }

  TestDisk disk_;
  std::mt19937_64 random_;  // of what happens to the store
  std::vector<World> possible_;
  std::string crashed_;
};

TEST_F(Crashes, LeaveWhatTheModelHas) {
  std::uint64_t seed = seed_;
  for (; TimeLeft() && !HasFailure(); ++seed) {
    Walk(seed, 150);
  }
  std::printf("%llu walks\n", static_cast<unsigned long long>(seed - seed_));
}

// --- in another, which is killed

class Killed : public ModelTest {
 protected:
  // Goes on with the world in a child, and kills it after `steps` or a little more. Gives how many it
  // has done for certain.
  int KillAfter(const World& world, const std::string& file, int steps) {
    int ends[2];
    CHECK(::pipe(ends) == 0);
    const pid_t child = ::fork();
    CHECK(child >= 0);
    if (child == 0) {
      ::close(ends[0]);
      GoOn(world, file, ends[1]);
    }
    ::close(ends[1]);
    int done = 0;
    char byte = 0;
    while (done < steps && ::read(ends[0], &byte, 1) == 1) {
      ++done;
    }
    ::kill(child, SIGKILL);
    while (::read(ends[0], &byte, 1) == 1) {
      ++done;
    }
    ::close(ends[0]);
    int status = 0;
    CHECK(::waitpid(child, &status, 0) == child);
    EXPECT_TRUE(WIFSIGNALED(status)) << "the child has found a difference";
    return done;
  }

  [[noreturn]] void GoOn(World world, const std::string& file, int out) {
    Open(file);
    while (!HasFailure()) {
      world.Step(&*side_, [] {});
      EXPECT_FALSE(side_->failed()) << side_->why();
      if (::write(out, "x", 1) != 1) break;
    }
    ::_exit(1);
  }
};

TEST_F(Killed, LeavesWhatTheModelHas) {
  World world(seed_);
  std::mt19937_64 random(seed_);
  const std::string file = NextFile();
  for (int life = 0; TimeLeft() && !HasFailure(); ++life) {
    SCOPED_TRACE(testing::Message() << "life " << life);
    const int done = KillAfter(world, file, 1 + static_cast<int>(random() % 40));
    for (int step = 0; step < done; ++step) {
      world.Step(nullptr, [] {});
    }
    World after = world;  // with the step in which it was killed
    after.Step(nullptr, [] {});
    const WallTime now = after.now();
    Open(file);
    const std::string found = DumpOf(*store_, after.model().given(), now);
    if (found == after.model().Dump(now)) {
      world = after;
    } else {
      ASSERT_EQ(found, world.model().Dump(now)) << "after " << done << " steps";
    }
    world.model().Reopened();
    world.SetNow(now);
    SweepBoth(world);
    store_.reset();
  }
}

}  // namespace
}  // namespace onebox::queue
