#include "supervise/notifier.h"

#include <chrono>
#include <cmath>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "base/ascii.h"

namespace onebox::supervise {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

constexpr std::string_view kBooting = "booting";  // then nobody expects an answer
constexpr Duration kLinePause = seconds(5);       // between two lines, while the phase is the same
constexpr microseconds kWatchdogMax = std::chrono::hours(24);

std::string Of(const os::Variables& environment, const char* name) {
  const auto found = environment.find(name);
  return found == environment.end() ? "" : found->second;
}

}  // namespace

NotifyWish ReadNotifyWish(const os::Variables& environment, pid_t our_pid) {
  NotifyWish wish{.socket = Of(environment, "NOTIFY_SOCKET")};
  const std::string pid = Of(environment, "WATCHDOG_PID");
  if (!pid.empty() && pid != std::to_string(our_pid)) return wish;  // another's
  constexpr auto kLongest = static_cast<std::uint64_t>(kWatchdogMax.count());
  const auto period = ParseDecimal(Of(environment, "WATCHDOG_USEC"), kLongest);
  if (period) wish.watchdog = microseconds(*period);
  return wish;
}

void Notifier::Open(const NotifyWish& wish) {
  if (wish.socket.empty()) return;
  auto socket = os::NotifySocket::Open(wish.socket);
  if (!socket.ok()) {
    log_.Warning("NOTIFY_SOCKET is not used: {}", socket.error().message);
    return;
  }
  socket_.emplace(std::move(socket).value());
  counted_at_ = clock_.Now();
  if (wish.watchdog == Duration()) return;
  sign_period_ = wish.watchdog / 2;
  sign_at_ = clock_.Now() + sign_period_;
}

void Notifier::Ready() {
  reload_failed_ = false;
  Say("READY=1");
}

void Notifier::Reloading() {
  const auto since = clock_.Now().time_since_epoch();  // CLOCK_MONOTONIC
  Say(fmt::format("RELOADING=1\nMONOTONIC_USEC={}",
                  std::chrono::duration_cast<microseconds>(since).count()));
}

void Notifier::ReloadFailed() {
  reload_failed_ = true;
  head_.clear();  // the line is told anew
  Say("READY=1");
}

void Notifier::Stopping(std::string_view why) {
  if (std::exchange(stopping_, true)) return;
  Say(fmt::format("STOPPING=1\nSTATUS={}", why.substr(0, why.find('\n'))));
}

void Notifier::Tell(const ServiceNow& now) {
  if (!on()) return;
  front_answers_ = now.front_answers;
  const Time moment = clock_.Now();
  if (now.front_answers && moment >= sign_at_) {
    sign_at_ = moment + sign_period_;
    Say("WATCHDOG=1");
  }
  if (stopping_) return;  // the last line is why
  std::string head =
      fmt::format("{} {} {}", now.phase, now.reloading ? "reloading" : "", now.front_answers);
  if (head == head_ && moment < line_at_) return;
  if (const Duration passed = moment - counted_at_; passed >= seconds(1)) {
    const double took = std::chrono::duration<double>(passed).count();
    rate_ = static_cast<std::uint64_t>(
        std::llround(static_cast<double>(now.requests - counted_) / took));
    counted_at_ = moment;
    counted_ = now.requests;
  }
  head_ = std::move(head);
  line_at_ = moment + kLinePause;
  std::string line = Line(now);
  if (line == line_) return;
  line_ = std::move(line);
  Say(fmt::format("STATUS={}", line_));
}

std::string Notifier::Line(const ServiceNow& now) const {
  return fmt::format(
      "{}{}: {} of {} workers, {} requests/s, {} waiting{}{}",
      now.phase,
      now.reloading ? ", loading anew" : "",
      now.workers_ready,
      now.workers_wanted,
      rate_,
      now.waiting,
      now.front_answers || now.phase == kBooting ? "" : "; the front does not answer",
      reload_failed_ ? "; the last reload has failed" : "");
}

// While the front says nothing there is nothing to say: its next word is a turn of its own.
Time Notifier::next() const {
  return on() && front_answers_ ? sign_at_ : Time::max();
}

void Notifier::Say(std::string_view lines) {
  if (!on()) return;
  const Status sent = socket_->Send(lines);
  if (sent.ok() || std::exchange(complained_, true)) return;
  log_.Warning("the service manager cannot be told: {}", sent.error().message);
}

}  // namespace onebox::supervise
