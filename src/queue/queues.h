#pragma once
// Queues: the queues of the file with their counts, in memory.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "queue/task.h"
#include "queue/task_row.h"

namespace onebox::queue {

// How many tasks a queue has in each state, and what it has done. They follow every change, so that
// asking costs nothing; the file is counted once, when it is opened.
struct Counts {
  std::uint64_t held = 0;
  std::array<std::uint64_t, kPriorityMax + 1> waiting{};  // by priority
  std::uint64_t due = 0;  // of those that wait: their ETA is not after what was counted up to
  std::uint64_t running = 0;
  std::uint64_t dead = 0;
  std::uint64_t bytes = 0;  // payloads of those that are held, wait or run
  std::uint64_t enqueued_total = 0;
  std::uint64_t done_total = 0;
  std::uint64_t failed_total = 0;
  std::uint64_t expired_total = 0;
  std::uint64_t cancelled_total = 0;
  std::uint64_t dead_total = 0;
  std::int64_t minute = 0;  // the last in which a task was done, since 1970
  std::uint64_t done_in_minute = 0;
  std::uint64_t done_before = 0;  // in the minute before it

  // Tasks of that state and priority, or one that leaves it. What is due is the store's.
  void Add(const TaskRow& row, std::uint64_t tasks, std::uint64_t payload_bytes);
  void Take(const TaskRow& row);

  std::uint64_t waiting_all() const;
  std::uint64_t live() const { return held + waiting_all() + running; }
  void Done(WallTime now);
  double DonePerMinute(WallTime now) const;  // over the last one to two minutes

 private:
  std::uint64_t* CountOf(const TaskRow& row);
};

struct Queue {
  std::int64_t id = 0;
  std::string name;
  QueueFigures::Paused paused = QueueFigures::Paused::kNo;
  Counts counts;

 private:
  friend class Queues;
  Counts kept_;
  QueueFigures::Paused kept_paused_ = QueueFigures::Paused::kNo;
  enum class Touched : unsigned char { kNo, kYes, kAdded } touched_ = Touched::kNo;
};

// What is changed in a queue is undone with the transaction that it belongs to.
class Queues final {
 public:
  Queue* Find(std::string_view name);
  const Queue* Find(std::string_view name) const;
  const Queue* FindById(std::int64_t id) const;  // null: there is none
  std::size_t size() const { return by_id_.size(); }

  // In the order of their ids, which are from 1 without gaps.
  const std::vector<std::unique_ptr<Queue>>& all() const { return by_id_; }

  // A queue of the file, when it is opened; false where its id or name is not as it has to be.
  [[nodiscard]] bool Load(std::int64_t id, std::string_view name, QueueFigures::Paused paused);
  Queue& Add(std::string_view name);  // which is not there
  Queue& ToChange(std::int64_t id);   // which is there
  void Keep();                        // the transaction is committed
  void Undo();                        // it is not

 private:
  std::vector<std::unique_ptr<Queue>> by_id_;
  std::map<std::string_view, Queue*> by_name_;  // views of the queues' own names
  std::vector<Queue*> touched_;
};

}  // namespace onebox::queue
