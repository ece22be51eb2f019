#pragma once
// What the reactors of a front share of the kept answers, and what the fronts of a box do.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/result.h"
#include "os/mapping.h"
#include "webcache/flights.h"
#include "webcache/marks.h"
#include "webcache/store.h"

namespace onebox::front {

class ResponseCache;

// How often the fronts of a box have purged. At a reload there are two for a while, each hears only the purges that
// come to it, and the other learns by this that there was one. In memory that whoever is forked later shares.
class PurgeCount {
 public:
  static Result<std::shared_ptr<PurgeCount>> Create();
  explicit PurgeCount(os::Mapping mapping);

  std::atomic<std::uint64_t>& number() { return *number_; }

 private:
  os::Mapping mapping_;
  std::atomic<std::uint64_t>* number_;
};

// Outlives the reactors.
class SharedResponses {
 public:
  // `purges`: null where no other front can be.
  SharedResponses(const webcache::Store::Limits& limits,
                  std::uint64_t seed,
                  std::shared_ptr<PurgeCount> purges);

  // Does that to the store, and lets the other fronts know. From any thread; what `purge` returns.
  std::size_t Purge(const std::function<std::size_t(webcache::Store&)>& purge);
  // Forgets everything where another front has purged: what it was is not known here. From any thread, before
  // anything is looked for.
  void CatchUp();

  webcache::Store store;
  webcache::Flights flights;
  // Keys whose answer was not shared lately: nobody waits for another's request there.
  webcache::Marks passes{std::chrono::seconds(5)};
  // URLs without their query whose answers said that they may be kept, though no route does.
  webcache::Marks opted_in{std::chrono::hours(1)};
  std::atomic<std::uint64_t> evictions_told{0};
  std::vector<ResponseCache*> reactors;  // by number; all there before the first of them runs

 private:
  std::uint64_t Everywhere() const { return purges_->number().load(std::memory_order_acquire); }

  const std::shared_ptr<PurgeCount> purges_;
  std::mutex mutex_;
  std::atomic<std::uint64_t> known_{0};  // of them; written under mutex_
};

}  // namespace onebox::front
