#pragma once
// Tells the service manager (systemd) how the box is.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "base/clock.h"
#include "os/notify.h"
#include "os/process.h"
#include "telemetry/log.h"

namespace onebox::supervise {

// What the service manager wants to hear.
struct NotifyWish {
  std::string socket;   // its name; empty: nobody listens
  Duration watchdog{};  // we are to give a sign of life within each; 0: none is awaited
};

// From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, as systemd sets them.
NotifyWish ReadNotifyWish(const os::Variables& environment, pid_t our_pid);

// How the box is, for one line of `systemctl status`.
struct ServiceNow {
  std::string_view phase;
  bool reloading = false;
  bool front_answers = false;
  std::uint64_t workers_ready = 0;
  std::uint64_t workers_wanted = 0;
  std::uint64_t requests = 0;  // since the start
  std::uint64_t waiting = 0;
};

// Where nobody listens, nothing happens and on() is false. That the service manager cannot be told is
// logged once: the box serves without it.
class Notifier {
 public:
  Notifier(const Clock& clock, telemetry::Log& log) : clock_(clock), log_(log) {}

  void Open(const NotifyWish& wish);
  void Close() { socket_.reset(); }  // here alone
  bool on() const { return socket_.has_value(); }

  void Ready();
  // Between this and Ready() or ReloadFailed() the box loads anew; what was there serves on.
  void Reloading();
  void ReloadFailed();
  void Stopping(std::string_view why);  // the first counts

  // In each turn: the sign of life if one is due and the front answers; the line if it has changed and
  // the last one is some seconds old.
  void Tell(const ServiceNow& now);
  Time next() const;  // when Tell() has something to say even if nothing happens

 private:
  void Say(std::string_view lines);
  std::string Line(const ServiceNow& now) const;

  const Clock& clock_;
  telemetry::Log& log_;
  std::optional<os::NotifySocket> socket_;
  bool complained_ = false;

  Duration sign_period_{};
  Time sign_at_ = Time::max();
  bool front_answers_ = false;

  bool stopping_ = false;
  bool reload_failed_ = false;
  std::string line_, head_;  // told last
  Time line_at_{};           // the next may be told
  Time counted_at_{};
  std::uint64_t counted_ = 0;  // requests, then
  std::uint64_t rate_ = 0;     // requests a second
};

}  // namespace onebox::supervise
