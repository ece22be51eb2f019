#include "broker/turns.h"

#include <algorithm>
#include <cmath>

namespace onebox::broker {
namespace {

double SecondsOf(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

double PerSecond(const Rate& rate) {
  return rate.count / SecondsOf(rate.per);
}

// What may begin at once after a pause.
double BurstOf(const Rate& rate) {
  return std::max(1.0, PerSecond(rate));
}

}  // namespace

Turns::Queue& Turns::Find(std::string_view name) {
  const auto found = queues_.find(name);
  if (found != queues_.end()) return found->second;
  Queue& made = queues_[std::string(name)];
  made.name = name;
  return made;
}

void Turns::SetRule(std::string_view name, const QueueRule& rule, Time now) {
  Queue& queue = Find(name);
  if (rule.rate && queue.rule.rate != rule.rate) {
    queue.tokens = BurstOf(*rule.rate);
    queue.filled = now;
  }
  queue.rule = rule;
}

void Turns::WakeAll() {
  for (auto& [name, queue] : queues_)
    queue.hungry = true;
}

void Turns::Fill(Time now) {
  for (auto& [name, queue] : queues_) {
    if (!queue.rule.rate) continue;
    const Rate& rate = *queue.rule.rate;
    if (now > queue.filled) queue.tokens += SecondsOf(now - queue.filled) * PerSecond(rate);
    queue.tokens = std::min(queue.tokens, BurstOf(rate));
    queue.filled = now;
  }
}

std::uint32_t Turns::Allowed(const Queue& queue, std::uint32_t most) {
  if (queue.rule.concurrency > 0) {
    most = std::min(most, queue.rule.concurrency - std::min(queue.rule.concurrency, queue.running));
  }
  if (queue.rule.rate) {
    // A hair below a whole one is rounding.
    most = std::min(most, static_cast<std::uint32_t>(std::floor(queue.tokens + 1e-6)));
  }
  return most;
}

void Turns::Begun(Queue& queue, std::uint32_t tasks) {
  queue.running += tasks;
  if (queue.rule.rate) queue.tokens -= tasks;
}

std::optional<Time> Turns::NextByRate() const {
  std::optional<Time> next;
  for (const auto& [name, queue] : queues_) {
    if (!queue.hungry || !queue.rule.rate || queue.tokens >= 1) continue;
    const double wait = (1 - queue.tokens) / PerSecond(*queue.rule.rate);
    const Time at = queue.filled + Duration(static_cast<Duration::rep>(std::ceil(wait * 1e9)));
    if (!next || at < *next) next = at;
  }
  return next;
}

std::vector<Turns::Queue*> Turns::InTurn() {
  std::vector<Queue*> hungry;
  for (auto& [name, queue] : queues_) {
    if (queue.hungry) hungry.push_back(&queue);
  }
  if (hungry.empty()) return hungry;
  const auto first = std::find_if(
      hungry.begin(), hungry.end(), [this](const Queue* queue) { return queue->name > last_; });
  std::rotate(hungry.begin(), first == hungry.end() ? hungry.begin() : first, hungry.end());
  last_ = hungry.front()->name;
  return hungry;
}

}  // namespace onebox::broker
