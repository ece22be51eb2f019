#pragma once
// Turns: which queue gives the next task to a worker that is free.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "broker/settings.h"

namespace onebox::broker {

// Each queue in its turn, so that a long one holds up no other; within what its rule allows. A queue
// that had nothing is not asked again before something has happened in it.
class Turns final {
 public:
  struct Queue {
    std::string name;
    QueueRule rule;
    std::uint32_t running = 0;
    bool hungry = true;  // it may have a task that is due
    double tokens = 1;   // tasks that its rate lets begin now
    Time filled{};       // when they were counted
  };

  // Makes it where it is not there.
  Queue& Find(std::string_view name);
  const std::map<std::string, Queue, std::less<>>& all() const { return queues_; }

  // Its rate begins with a full second's worth, or one.
  void SetRule(std::string_view name, const QueueRule& rule, Time now);
  // Something has come to it, or may have become due.
  void Wake(std::string_view name) { Find(name).hungry = true; }
  void WakeAll();

  // What its time has brought each queue with a rate.
  void Fill(Time now);
  // How many tasks this queue may begin now, up to `most`.
  static std::uint32_t Allowed(const Queue& queue, std::uint32_t most);
  static void Begun(Queue& queue, std::uint32_t tasks);
  // When a queue that is hungry, and held up by its rate alone, may begin the next.
  std::optional<Time> NextByRate() const;

  // The queues that may have something, beginning with the one whose turn it is.
  std::vector<Queue*> InTurn();

 private:
  std::map<std::string, Queue, std::less<>> queues_;
  std::string last_;  // the one that was first the last time
};

}  // namespace onebox::broker
