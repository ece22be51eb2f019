#include "redis/tracking.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fmt/format.h>

#include "os/poll.h"
#include "os/random.h"
#include "os/wait.h"

namespace onebox::redis {
namespace {

constexpr std::string_view kChannel = "__redis__:invalidate";

Error Unexpected(const Reply& reply) {
  if (reply.is(Reply::Kind::kError)) return RefusalOf(reply);
  return {Blame::kSystem, Retry::kNever, EPROTO, "Redis sent what tracking does not know"};
}

bool IsText(const Reply& reply, std::string_view text) {
  return reply.is(Reply::Kind::kBulk) && reply.text == text;
}

}  // namespace

Tracking::Tracking(Options options, Trust& trust, const Clock& clock)
    : options_(std::move(options)), trust_(trust), clock_(clock) {
  CHECK(options_.ping_interval + options_.timeout < options_.trust_for);
  CHECK(options_.forget && options_.forget_all);
  auto end = os::NewWakeup();
  CHECK(end.ok());
  end_ = std::move(end).value();
  thread_ = std::thread([this] { Run(); });
}

Tracking::~Tracking() {
  ending_ = true;
  os::Wake(end_);
  thread_.join();
}

Tracking::Look Tracking::look() const {
  const std::lock_guard lock(mutex_);
  return look_;
}

void Tracking::Note(const std::function<void(Look&)>& change) {
  const std::lock_guard lock(mutex_);
  change(look_);
}

void Tracking::Run() {
  Backoff backoff(options_.pause);
  while (!ending_) {
    const std::uint64_t established = look().counters.established;
    const Status tracked = Track();
    trust_.Withdraw();
    const bool was_up = look().counters.established != established;
    if (was_up) backoff.Reset();
    Note([&](Look& look) {
      look.state = State::kDown;
      if (was_up) ++look.counters.losses;
      if (!tracked.ok()) look.last_error = tracked.error().message;
    });
    if (!ending_) os::WaitReadable(end_, backoff.Next(os::Random64()));
  }
}

Status Tracking::Track() {
  Time asked;
  Connection connection = TRY(Establish(asked));
  // From here on every change is told, or this connection is lost. What was read before was not.
  trust_.Raise();
  options_.forget_all();
  trust_.ExtendTo(asked + options_.trust_for);
  Note([](Look& look) {
    look.state = State::kUp;
    ++look.counters.established;
  });
  return Follow(connection, asked);
}

// `asked`: a time before which nothing that was confirmed was true.
Result<Connection> Tracking::Establish(Time& asked) {
  Connection connection =
      TRY(Connection::OpenAny(options_.address, options_.connection, clock_, options_.timeout));
  const Time deadline = clock_.Now() + options_.timeout;
  const Reply id = TRY(connection.Call({"CLIENT", "ID"}, deadline));
  if (!id.is(Reply::Kind::kInteger)) return Unexpected(id);
  const std::string number = std::to_string(id.integer);
  // To itself: so the connection that is told, and the one whose end the server forgets all for, are one.
  Commands on{"CLIENT", "TRACKING", "ON", "REDIRECT", number, "BCAST", "PREFIX", options_.prefix};
  const Reply tracks = TRY(connection.Call(on, deadline));
  if (!tracks.is_status("OK")) return Unexpected(tracks);
  asked = clock_.Now();
  TRY(connection.Send({"SUBSCRIBE", kChannel}, deadline));
  const Reply subscribed = TRY(connection.Receive(deadline));
  if (subscribed.elements.size() != 3 || !IsText(subscribed.elements[0], "subscribe")) {
    return Unexpected(subscribed);
  }
  return connection;
}

Status Tracking::Follow(Connection& connection, Time asked) {
  std::optional<Time> ping;  // sent then, and not answered
  Time next_ping = asked + options_.ping_interval;
  while (!ending_) {
    Time now = clock_.Now();
    if (!ping && now >= next_ping) {
      TRY(connection.Send({"PING"}, now + options_.timeout));
      ping = now;
      next_ping = now + options_.ping_interval;
    }
    const std::optional<Reply> reply = TRY(connection.TryReceive());
    if (reply) TRY(Take(*reply, ping));
    now = clock_.Now();
    if (ping && now >= *ping + options_.trust_for) return Unanswered();
    if (reply) continue;
    if (ping && now >= *ping + options_.timeout) {
      // Where we were late ourselves the answer waits for us.
      if (!os::WaitReadable(connection.socket(), Duration::zero())) return Unanswered();
      continue;
    }
    const std::array wanted = {connection.socket().get(), end_.get()};
    os::WaitReadable(wanted, (ping ? *ping + options_.timeout : next_ping) - now);
  }
  return Done();
}

Error Tracking::Unanswered() const {
  return {Blame::kSystem,
          Retry::kYes,
          ETIMEDOUT,
          fmt::format("{}: it did not answer a ping in time", options_.address.text())};
}

Status Tracking::Take(const Reply& reply, std::optional<Time>& ping) {
  const std::vector<Reply>& parts = reply.elements;
  if (parts.size() == 2 && IsText(parts[0], "pong") && ping) {
    // Redis collects the keys of one turn of its loop and sends them at its end, behind answers. But
    // what changes in the turn that answers a ping changes after the ping was sent.
    trust_.ExtendTo(*ping + options_.trust_for);
    ping.reset();
    Note([](Look& look) { ++look.counters.answers; });
    return Done();
  }
  if (parts.size() != 3 || !IsText(parts[0], "message") || !IsText(parts[1], kChannel)) {
    return Unexpected(reply);
  }
  if (parts[2].is(Reply::Kind::kNil)) {
    trust_.Raise();
    options_.forget_all();
    Note([](Look& look) { ++look.counters.flushes; });
    return Done();
  }
  if (!parts[2].is(Reply::Kind::kArray)) return Unexpected(reply);
  for (const Reply& key : parts[2].elements) {
    if (!key.is(Reply::Kind::kBulk)) return Unexpected(reply);
    options_.forget(key.text);
  }
  Note([&](Look& look) { look.counters.invalidations += parts[2].elements.size(); });
  return Done();
}

}  // namespace onebox::redis
