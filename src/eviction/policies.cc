#include "eviction/policies.h"

#include <algorithm>
#include <deque>
#include <limits>
#include <unordered_map>
#include <utility>

#include "eviction/sketch.h"

namespace onebox::eviction {
namespace {

constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

std::uint64_t ShareOf(std::uint64_t budget, double share) {
  return static_cast<std::uint64_t>(static_cast<double>(budget) * share);
}

// A list of entries with its charge; an entry is on one queue at most.
class Queue {
 public:
  Queue(Shelf& shelf, std::uint8_t id) : shelf_(shelf), id_(id) {}

  bool empty() const { return oldest_ == kNone; }
  std::uint64_t size() const { return size_; }
  std::uint64_t charge() const { return charge_; }
  std::uint32_t oldest() const { return oldest_; }
  bool Has(std::uint32_t key) const { return shelf_.entries[key].queue == id_; }

  void Push(std::uint32_t key) {
    Entry& entry = shelf_.entries[key];
    entry.queue = id_;
    entry.older = newest_;
    entry.newer = kNone;
    (newest_ == kNone ? oldest_ : shelf_.entries[newest_].newer) = key;
    newest_ = key;
    charge_ += shelf_.objects[key].charge;
    ++size_;
  }

  void Remove(std::uint32_t key) {
    Entry& entry = shelf_.entries[key];
    entry.queue = 0;
    (entry.newer == kNone ? newest_ : shelf_.entries[entry.newer].older) = entry.older;
    (entry.older == kNone ? oldest_ : shelf_.entries[entry.older].newer) = entry.newer;
    charge_ -= shelf_.objects[key].charge;
    --size_;
  }

  std::uint32_t Pop() {
    const std::uint32_t key = oldest_;
    Remove(key);
    return key;
  }

 private:
  Shelf& shelf_;
  std::uint8_t id_;
  std::uint32_t newest_ = kNone, oldest_ = kNone;
  std::uint64_t size_ = 0, charge_ = 0;
};

// What all have in common: the look-up, and values that are made anew where they stand.
class OnShelf : public Policy {
 public:
  OnShelf(Shelf& shelf, std::uint64_t budget) : shelf_(shelf), budget_(budget) {}

  bool Ask(std::uint32_t key, std::uint32_t now) final {
    now_ = now;
    Hear(key);
    Entry& entry = At(key);
    const bool held = entry.queue != 0;
    const bool found = held && !Expired(key);
    if (held) Touch(key);
    if (!found) {
      const std::uint32_t ttl = shelf_.objects[key].ttl;
      entry.expires = ttl == 0 ? kNone : now + ttl;
      if (!held && Charge(key) <= budget_) Insert(key);
    }
    return found;
  }

 protected:
  // Any request, found or not; then one of the others.
  virtual void Hear(std::uint32_t /*key*/) {}
  virtual void Touch(std::uint32_t key) = 0;
  virtual void Insert(std::uint32_t key) = 0;

  Shelf& shelf() { return shelf_; }
  std::uint64_t budget() const { return budget_; }
  Entry& At(std::uint32_t key) { return shelf_.entries[key]; }
  const Entry& At(std::uint32_t key) const { return shelf_.entries[key]; }
  std::uint32_t Charge(std::uint32_t key) const { return shelf_.objects[key].charge; }
  bool Expired(std::uint32_t key) const { return At(key).expires <= now_; }

 private:
  Shelf& shelf_;
  std::uint64_t budget_;
  std::uint32_t now_ = 0;
};

class Lru final : public OnShelf {
 public:
  using OnShelf::OnShelf;

 private:
  void Touch(std::uint32_t key) override {
    queue_.Remove(key);
    queue_.Push(key);
  }

  void Insert(std::uint32_t key) override {
    while (queue_.charge() + Charge(key) > budget())
      queue_.Pop();
    queue_.Push(key);
  }

  Queue queue_{shelf(), 1};
};

class Sieve final : public OnShelf {
 public:
  using OnShelf::OnShelf;

 private:
  void Touch(std::uint32_t key) override { At(key).touched = true; }

  void Insert(std::uint32_t key) override {
    while (queue_.charge() + Charge(key) > budget())
      Evict();
    At(key).touched = false;
    queue_.Push(key);
  }

  void Evict() {
    if (hand_ == kNone) hand_ = queue_.oldest();
    while (At(hand_).touched && !Expired(hand_)) {
      At(hand_).touched = false;
      hand_ = At(hand_).newer == kNone ? queue_.oldest() : At(hand_).newer;
    }
    const std::uint32_t next = At(hand_).newer;
    queue_.Remove(hand_);
    hand_ = next;
  }

  Queue queue_{shelf(), 1};
  std::uint32_t hand_ = kNone;
};

// Keys that were evicted lately, as many as have `budget` charge.
class Ghost {
 public:
  Ghost(Shelf& shelf, std::uint64_t budget) : shelf_(shelf), budget_(budget) {}

  void Remember(std::uint32_t key) {
    turns_[key] = ++turn_;
    queue_.emplace_back(key, turn_);
    charge_ += shelf_.objects[key].charge;
    while (charge_ > budget_) {
      const auto [oldest, turn] = queue_.front();
      queue_.pop_front();
      charge_ -= shelf_.objects[oldest].charge;
      const auto found = turns_.find(oldest);
      if (found != turns_.end() && found->second == turn) turns_.erase(found);
    }
  }

  // Whether `key` was remembered; it is no longer.
  bool Recall(std::uint32_t key) { return turns_.erase(key) != 0; }

 private:
  Shelf& shelf_;
  std::uint64_t budget_, charge_ = 0, turn_ = 0;
  std::unordered_map<std::uint32_t, std::uint64_t> turns_;
  std::deque<std::pair<std::uint32_t, std::uint64_t>> queue_;
};

class S3Fifo final : public OnShelf {
 public:
  S3Fifo(Shelf& all, std::uint64_t most)
      : OnShelf(all, most),
        small_max_(std::max<std::uint64_t>(ShareOf(most, 0.1), 1)),
        ghost_(all, most - small_max_) {}

 private:
  static constexpr std::uint8_t kCountMax = 3, kPromoted = 2;

  void Touch(std::uint32_t key) override {
    if (At(key).count < kCountMax) ++At(key).count;
  }

  void Insert(std::uint32_t key) override {
    while (small_.charge() + main_.charge() + Charge(key) > budget())
      small_.charge() >= small_max_ || main_.empty() ? EvictSmall() : EvictMain();
    At(key).count = 0;
    (ghost_.Recall(key) ? main_ : small_).Push(key);
  }

  void EvictSmall() {
    while (!small_.empty()) {
      const std::uint32_t key = small_.Pop();
      if (Expired(key)) return;
      if (At(key).count < kPromoted) return ghost_.Remember(key);
      At(key).count = 0;
      main_.Push(key);
      if (main_.charge() > budget() - small_max_) EvictMain();
    }
  }

  void EvictMain() {
    while (!main_.empty()) {
      const std::uint32_t key = main_.Pop();
      if (At(key).count == 0 || Expired(key)) return;
      --At(key).count;
      main_.Push(key);
    }
  }

  std::uint64_t small_max_;
  Queue small_{shelf(), 1}, main_{shelf(), 2};
  Ghost ghost_;
};

double MeanCharge(const Shelf& shelf) {
  double sum = 0;
  for (const Object& object : shelf.objects)
    sum += object.charge;
  return sum / static_cast<double>(shelf.objects.size());
}

class WTinyLfu final : public OnShelf {
 public:
  WTinyLfu(Shelf& all, std::uint64_t most)
      : OnShelf(all, most),
        fit_(static_cast<double>(most) / MeanCharge(all)),
        window_max_(std::max<std::uint64_t>(ShareOf(most, 0.01), 1)),
        main_max_(most - window_max_),
        protected_max_(ShareOf(main_max_, 0.8)),
        sketch_(16 * fit_, Sketch::Layout::kRows) {}

 private:
  void Hear(std::uint32_t key) override {
    sketch_.Increment(key);
    if (static_cast<double>(++heard_) < std::max(10 * fit_, 16.0)) return;
    heard_ /= 2;  // as the counts of all those requests are
    sketch_.Halve();
  }

  void Touch(std::uint32_t key) override {
    Queue& from = window_.Has(key) ? window_ : probation_.Has(key) ? probation_ : protected_;
    from.Remove(key);
    (&from == &window_ ? window_ : protected_).Push(key);
    while (protected_.charge() > protected_max_)
      probation_.Push(protected_.Pop());
  }

  void Insert(std::uint32_t key) override {
    window_.Push(key);
    while (window_.charge() > window_max_)
      Admit(window_.Pop());
  }

  void Admit(std::uint32_t candidate) {
    if (Expired(candidate) || Charge(candidate) > main_max_) return;
    while (probation_.charge() + protected_.charge() + Charge(candidate) > main_max_) {
      Queue& from = probation_.empty() ? protected_ : probation_;
      const std::uint32_t victim = from.oldest();
      if (!Expired(victim) && sketch_.Estimate(candidate) <= sketch_.Estimate(victim)) return;
      from.Remove(victim);
    }
    probation_.Push(candidate);
  }

  double fit_;
  std::uint64_t window_max_, main_max_, protected_max_;
  Queue window_{shelf(), 1}, probation_{shelf(), 2}, protected_{shelf(), 3};
  Sketch sketch_;
  std::uint64_t heard_ = 0;
};

class LazyWTinyLfu final : public OnShelf {
 public:
  LazyWTinyLfu(Shelf& all, std::uint64_t most, const LazyShape& shape)
      : OnShelf(all, most),
        sample_(shape.sample),
        window_max_(std::max<std::uint64_t>(ShareOf(most, shape.window), 1)),
        main_max_(most - window_max_),
        protected_max_(ShareOf(main_max_, shape.protect)),
        sketch_(static_cast<double>(most) * shape.cells_per_charge, Sketch::Layout::kLines) {}

 private:
  // Halved by each epoch since it was written, when it is read.
  int Frequency(const Entry& entry) const {
    return entry.count >> std::min<int>(static_cast<std::uint8_t>(epoch_ - entry.epoch), 7);
  }

  void Count(std::uint32_t key, int frequency) {
    Entry& entry = At(key);
    entry.count = static_cast<std::uint8_t>(std::min(frequency, Sketch::kMost));
    entry.epoch = epoch_;
  }

  void Hear(std::uint32_t /*key*/) override {
    const std::uint64_t held = window_.size() + probation_.size() + protected_.size();
    if (static_cast<double>(++heard_) < std::max(sample_ * static_cast<double>(held), 160.0))
      return;
    heard_ = 0;
    ++epoch_;
    sketch_.Halve();
  }

  void Touch(std::uint32_t key) override {
    Count(key, Frequency(At(key)) + 1);
    At(key).touched = true;
  }

  void Insert(std::uint32_t key) override {
    Count(key, sketch_.Estimate(key) + 1);
    At(key).touched = false;
    window_.Push(key);
    while (window_.charge() > window_max_)
      Admit(window_.Pop());
  }

  void Admit(std::uint32_t candidate) {
    if (Expired(candidate) || Charge(candidate) > main_max_) return Leave(candidate);
    while (probation_.charge() + protected_.charge() + Charge(candidate) > main_max_) {
      const std::uint32_t victim = Victim();
      probation_.Remove(victim);
      if (!At(candidate).touched && !Expired(victim) &&
          Frequency(At(candidate)) <= Frequency(At(victim))) {
        probation_.Push(victim);  // it has won: others are looked at first
        return Leave(candidate);
      }
      Leave(victim);
    }
    At(candidate).touched = false;
    probation_.Push(candidate);
  }

  // The oldest on probation, when those that were touched there are protected.
  std::uint32_t Victim() {
    for (;;) {
      if (probation_.empty()) Demote();
      const std::uint32_t key = probation_.oldest();
      if (!At(key).touched || Expired(key)) return key;
      At(key).touched = false;
      probation_.Remove(key);
      protected_.Push(key);
      while (protected_.charge() > protected_max_)
        Demote();
    }
  }

  // The oldest protected one that was not touched goes back on probation.
  void Demote() {
    std::uint32_t key = protected_.Pop();
    for (; At(key).touched && !Expired(key); key = protected_.Pop()) {
      At(key).touched = false;
      protected_.Push(key);
    }
    probation_.Push(key);
  }

  void Leave(std::uint32_t key) { sketch_.Raise(key, Frequency(At(key))); }

  double sample_;
  std::uint64_t window_max_, main_max_, protected_max_;
  Queue window_{shelf(), 1}, probation_{shelf(), 2}, protected_{shelf(), 3};
  Sketch sketch_;
  std::uint64_t heard_ = 0;
  std::uint8_t epoch_ = 0;
};

}  // namespace

std::unique_ptr<Policy> NewLru(Shelf& shelf, std::uint64_t budget) {
  return std::make_unique<Lru>(shelf, budget);
}

std::unique_ptr<Policy> NewSieve(Shelf& shelf, std::uint64_t budget) {
  return std::make_unique<Sieve>(shelf, budget);
}

std::unique_ptr<Policy> NewS3Fifo(Shelf& shelf, std::uint64_t budget) {
  return std::make_unique<S3Fifo>(shelf, budget);
}

std::unique_ptr<Policy> NewWTinyLfu(Shelf& shelf, std::uint64_t budget) {
  return std::make_unique<WTinyLfu>(shelf, budget);
}

std::unique_ptr<Policy> NewLazyWTinyLfu(Shelf& shelf,
                                        std::uint64_t budget,
                                        const LazyShape& shape) {
  return std::make_unique<LazyWTinyLfu>(shelf, budget, shape);
}

double HitRate(const Trace& trace, std::uint64_t budget, const NewPolicy& make, int shards) {
  Shelf shelf(trace.objects);
  std::vector<std::unique_ptr<Policy>> policies;
  policies.reserve(static_cast<std::size_t>(shards));
  for (int i = 0; i < shards; ++i)
    policies.push_back(make(shelf, budget / static_cast<std::uint64_t>(shards)));
  const std::size_t warm = trace.requests.size() / 2;
  std::uint64_t hits = 0;
  for (std::size_t i = 0; i < trace.requests.size(); ++i) {
    const auto [key, now] = trace.requests[i];
    const bool hit = policies[Mix(key) % policies.size()]->Ask(key, now);
    if (hit && i >= warm) ++hits;
  }
  return static_cast<double>(hits) / static_cast<double>(trace.requests.size() - warm);
}

}  // namespace onebox::eviction
