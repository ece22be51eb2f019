#include "redis/link.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "os/random.h"

namespace onebox::redis {
namespace {

std::size_t ErrorsIn(const Reply& reply) {
  return reply.is(Reply::Kind::kError) ? 1 : 0;
}
std::size_t ErrorsIn(const std::vector<Reply>& replies) {
  return static_cast<std::size_t>(
      std::count_if(replies.begin(), replies.end(), [](const Reply& reply) {
        return reply.is(Reply::Kind::kError);
      }));
}

}  // namespace

Link::Link(Options options, const Clock& clock) : options_(std::move(options)), clock_(clock) {
  CHECK(options_.connections_max > 0 && options_.failures_max > 0);
  thread_ = std::thread([this] { Run(); });
}

Link::~Link() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  change_.notify_all();
  thread_.join();
}

void Link::AwaitFirst() {
  std::unique_lock lock(mutex_);
  change_.wait_for(lock, options_.timeout, [this] { return look_.state != State::kConnecting; });
}

Link::Look Link::look() const {
  const std::lock_guard lock(mutex_);
  Look look = look_;
  look.connections = open_;
  return look;
}

Result<Reply> Link::Call(const Commands& command) {
  return Ask(&Connection::Call, command);
}

Result<std::vector<Reply>> Link::CallAll(const Commands& commands) {
  return Ask(&Connection::CallAll, commands);
}

template <typename Answer>
Result<Answer> Link::Ask(Result<Answer> (Connection::*call)(const Commands&, Time),
                         const Commands& commands) {
  const Time deadline = clock_.Now() + options_.timeout;
  Held held = TRY(Take(deadline));
  Result<Answer> answer = (held.connection.*call)(commands, deadline);
  if (answer.ok()) {
    GiveBack(std::move(held), commands.count(), ErrorsIn(answer.value()));
  } else {
    const std::lock_guard lock(mutex_);
    Fail(answer.error(), held.generation);
  }
  return answer;
}

Result<Link::Held> Link::Take(Time deadline) {
  std::unique_lock lock(mutex_);
  while (true) {
    if (look_.state != State::kUp) return Refuse();
    if (!idle_.empty()) {
      Held held{std::move(idle_.back()), generation_};
      idle_.pop_back();
      lock.unlock();
      if (held.connection.Quiet()) return held;
      lock.lock();  // the server has closed it meanwhile
      if (held.generation == generation_) Drop();
      continue;
    }
    if (open_ < options_.connections_max) {
      ++open_;
      const os::SocketAddress place = *place_;
      const std::uint64_t generation = generation_;
      lock.unlock();
      return Open(place, generation, deadline);
    }
    if (free_.wait_until(lock, deadline) == std::cv_status::timeout && idle_.empty() &&
        open_ >= options_.connections_max) {
      ++look_.counters.failures;
      ++look_.counters.exhausted;
      return Error{Blame::kSystem,
                   Retry::kYes,
                   EAGAIN,
                   fmt::format("{}: none of {} connections became free in time",
                               options_.address.text(),
                               options_.connections_max)};
    }
  }
}

Result<Link::Held> Link::Open(const os::SocketAddress& place,
                              std::uint64_t generation,
                              Time deadline) {
  auto opened = Connection::Open(options_.address, place, options_.connection, clock_, deadline);
  const std::lock_guard lock(mutex_);
  if (opened.ok()) {
    ++look_.counters.connects;
    return Held{std::move(opened).value(), generation};
  }
  Fail(opened.error(), generation);
  // With others open it may be full, and answer those.
  if (generation == generation_ && open_ == 0) GoDown(opened.error());
  Error error = std::move(opened).error();
  error.retry = Retry::kYes;
  return error;
}

void Link::GiveBack(Held held, std::size_t answers, std::size_t errors) {
  const std::lock_guard lock(mutex_);
  look_.counters.commands += answers;
  look_.counters.errors += errors;
  if (held.generation != generation_) return;
  failures_in_row_ = 0;
  answered_ = true;
  idle_.push_back(std::move(held.connection));
  free_.notify_one();
}

void Link::Fail(const Error& error, std::uint64_t generation) {
  ++look_.counters.failures;
  if (IsTimeout(error)) ++look_.counters.timeouts;
  if (generation != generation_) return;
  look_.last_error = error.message;
  Drop();
  if (++failures_in_row_ >= options_.failures_max) GoDown(error);
}

void Link::Drop() {
  --open_;
  free_.notify_one();
}

void Link::GoDown(const Error& error) {
  look_.state = State::kDown;
  look_.last_error = error.message;
  ++look_.counters.losses;
  ++generation_;
  idle_.clear();
  open_ = 0;
  free_.notify_all();
  change_.notify_all();
}

Error Link::Refuse() {
  ++look_.counters.failures;
  ++look_.counters.refused;
  return {Blame::kSystem,
          Retry::kYes,
          EHOSTDOWN,
          look_.last_error.empty() ? fmt::format("{}: not connected yet", options_.address.text())
                                   : fmt::format("down: {}", look_.last_error)};
}

void Link::Run() {
  Backoff backoff(options_.pause);
  bool first = true;
  std::unique_lock lock(mutex_);
  while (!ending_) {
    if (look_.state == State::kUp) {
      change_.wait(lock);
      continue;
    }
    // A server that answers probes and no calls is asked less and less.
    if (std::exchange(answered_, false)) backoff.Reset();
    if (!std::exchange(first, false)) {
      change_.wait_for(lock, backoff.Next(os::Random64()), [this] { return ending_; });
      if (ending_) return;
    }
    lock.unlock();
    auto probed =
        Connection::OpenAny(options_.address, options_.connection, clock_, options_.timeout);
    lock.lock();
    if (probed.ok()) {
      place_ = probed.value().place();
      look_.state = State::kUp;
      ++look_.counters.connects;
      failures_in_row_ = 0;
      open_ = 1;
      idle_.push_back(std::move(probed).value());
    } else {
      look_.state = State::kDown;
      look_.last_error = probed.error().message;
    }
    change_.notify_all();
  }
}

}  // namespace onebox::redis
