#pragma once
// TaskChannel: the broker's end of the channel to one task worker. A task reaches it as a request does.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "channel/front_end.h"
#include "event/reactor.h"
#include "queue/task.h"

namespace onebox::broker {

// attached -> dead. Its owner frees it, not within one of its calls.
class TaskChannel final {
 public:
  struct Owner {
    std::function<void(TaskChannel&, queue::TaskId)> ended;  // its thread is free again
    std::function<void(TaskChannel&, channel::Stuck)> stuck;
    std::function<void(TaskChannel&)> died;  // once; nothing comes afterwards
  };
  TaskChannel(std::unique_ptr<channel::FrontEnd> end, event::Reactor& reactor, const Owner& owner)
      : end_(std::move(end)), reactor_(reactor), owner_(owner), slots_(end_->slots()) {}

  Status Watch();

  std::uint32_t number() const { return end_->worker_number(); }
  std::int32_t pid() const { return end_->pid(); }
  std::uint32_t threads() const { return end_->threads(); }
  std::uint32_t slots() const { return end_->slots(); }
  std::uint32_t in_use() const { return end_->slots() - end_->free_slots(); }
  bool dead() const { return dead_; }
  bool draining() const { return end_->draining(); }

  struct Sending {
    queue::TaskId id = queue::kNoTask;
    std::string_view name;  // for the log
    std::string_view body;
    std::optional<Time> deadline;
  };
  // False: it takes none now, and nothing was changed.
  bool Send(const Sending& task);
  // True: no thread has begun it, and it is back. Also of one that is dead.
  bool Revoke(queue::TaskId id);
  // Raises what ends a task in its thread; false where none has it.
  bool Interrupt(queue::TaskId id);
  // The tasks that no thread has begun.
  std::vector<queue::TaskId> Waiting() const;

  // Once a turn: what has come.
  void Read();
  // The last of a turn. Whether more waits.
  bool Settle();
  void Die(std::string_view why);

 private:
  class Socket final : public event::Watcher {
   public:
    explicit Socket(TaskChannel& channel) : channel_(channel) {}
    void OnReady(std::uint32_t events) override;

   private:
    TaskChannel& channel_;
  };
  class Wakeup final : public event::Watcher {
   public:
    void OnReady(std::uint32_t /*events*/) override {}  // the turn's end reads the frames
  };

  std::optional<std::uint32_t> SlotOf(queue::TaskId id) const;
  void Hear();

  std::unique_ptr<channel::FrontEnd> end_;
  event::Reactor& reactor_;
  const Owner& owner_;
  std::vector<queue::TaskId> slots_;  // kNoTask: free
  Socket socket_{*this};
  Wakeup wakeup_;
  channel::Stuck heard_ = channel::Stuck::kNo;
  bool dead_ = false;
};

}  // namespace onebox::broker
