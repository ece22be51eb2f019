#pragma once
// Tasks as the broker's socket has them: JSON. docs/internals/broker.md lists every member.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "queue/store.h"
#include "queue/task.h"

namespace onebox::broker {

using nlohmann::json;

// Unix seconds, with their fraction.
double SecondsOf(WallTime time);
std::optional<WallTime> TimeOf(const json& value);      // nothing: no number, or none that fits
std::optional<Duration> DurationOf(const json& value);  // likewise; not negative

// The views are of `value`, which stays. An Error says what is wrong in it.
Result<queue::NewTask> ReadTask(const json& value, Duration default_timeout, WallTime now);
queue::Held ReadHeld(const json& value);
// Numbers that are none are left out.
std::vector<queue::TaskId> ReadIds(const json& value);

// "limit" of a question: 1 to `most`, or `otherwise` where it says none.
std::uint32_t ReadLimit(const json& body, std::uint32_t otherwise, std::uint32_t most);

// Of whoever asks: trying it again does not help.
Error Wrong(std::string message);

std::string_view NameOf(queue::State state);
std::string_view NameOf(queue::Outcome outcome);
std::string_view NameOf(queue::Enqueued::As as);

json Show(const queue::TaskStatus& status);
json Show(const queue::QueueFigures& figures);
json Show(const queue::Enqueued& enqueued);
// Who has a lease, as the store keeps it: two workers of one number have different pids.
std::int64_t HolderOf(std::uint32_t worker, std::int32_t pid);
std::uint32_t WorkerOf(std::int64_t holder);
std::int32_t PidOf(std::int64_t holder);

// What a task worker is sent.
struct Sender {
  std::string_view queue;
  std::string_view broker;  // which one: see reporter.py
};
json Show(const queue::Leased& leased, const Sender& from);
json ShowError(const Error& error);

}  // namespace onebox::broker
