#pragma once
// Election: which of several boxes fires the jobs.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <variant>

#include "base/clock.h"
#include "database/address.h"
#include "election/candidate.h"
#include "election/registry.h"
#include "os/fd.h"
#include "redis/address.h"

namespace onebox::election {

// A thread that steps a Candidate. Who acts asks leadership() for it and the clock for the time, right before:
//
//   if (election.leadership().Holds(clock.Now())) ... fire, with its fence ...
//
// So a thread that hangs, or a machine that stops, leads no more when its lease is over, and needs nobody to
// tell it. When the server is not heard within `timeout` it does not lead until it is.
//
// It is made after the last fork. Its end resigns, so that another leads at once: nobody acts by it any more
// when that begins. It takes at most some timeouts, or as long as a resolver that does not answer. The clock
// outlives it.
class Election final {
 public:
  struct Options {
    std::variant<redis::Address, database::Address> server;
    std::string name;  // of the election: boxes with the same one have one leader
    std::string box;   // for people: who this is
    Duration lease = std::chrono::seconds(5);
    Duration interval =
        std::chrono::seconds(1);  // between two steps. REQUIRES: a third of the lease at most
    Duration timeout = std::chrono::seconds(1);  // of each call to the server
    // From this thread: one line for the log for each change.
    std::function<void(std::string_view line)> note = [](std::string_view) {};
  };

  Election(Options options, const Clock& clock);
  ~Election();
  Election(const Election&) = delete;
  Election& operator=(const Election&) = delete;

  // From any thread.
  Leadership leadership() const;
  struct Look {
    Leadership leadership;
    std::string holder;      // who leads, by its box and a number; empty: nobody is known to
    std::string last_error;  // empty: the server was heard at the last step
    std::uint64_t wins_total = 0;
    std::uint64_t errors_total = 0;  // steps without an answer
  };
  Look look() const;
  // An eventfd, readable after each change of leadership() but a longer time: for a loop that waits.
  const os::Fd& wakeup() const { return wakeup_; }

 private:
  std::unique_ptr<Registry> NewRegistry() const;
  void Run();
  void Publish(const Candidate& candidate, const Status& stepped);
  void NoteChange(const Look& before, const Look& now) const;

  const Options options_;
  const std::string holder_;  // of this object alone
  const Clock& clock_;
  std::atomic<bool> ending_ = false;
  os::Fd end_;     // wakes the thread
  os::Fd wakeup_;  // wakes who acts

  mutable std::mutex mutex_;
  Look look_;  // under mutex_

  std::thread thread_;
};

}  // namespace onebox::election
