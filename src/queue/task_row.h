#pragma once
// TaskRow: what is read of a task's row before it is changed.

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "queue/task.h"

namespace onebox::queue {

// Which of a task's keys: numbers are in the file.
enum class KeyKind : unsigned char { kUnique = 1, kDedupe = 2 };

struct TaskRow {
  TaskId id = kNoTask;
  std::int64_t queue = 0;
  State state = State::kWaiting;
  int priority = 0;
  WallTime eta{};
  Token token = 0;
  std::uint32_t attempts = 0;
  std::uint32_t deaths = 0;
  enum class Cancel : unsigned char { kNo, kAsked } cancel = Cancel::kNo;
  TaskId group = kNoTask;
  std::uint32_t retries = 0;
  Duration result_keep{};
  std::uint64_t bytes = 0;
  std::string unique_key;
  std::string dedupe_key;
};

}  // namespace onebox::queue
