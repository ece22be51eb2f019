#pragma once
// Watches the files that an app is made of, and says when changes of them have come to rest.

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "os/file_watch.h"
#include "telemetry/log.h"

namespace onebox::supervise {

// All paths are absolute.
struct WatchSettings {
  bool on = false;
  std::string folder;                // the app's: what matters in it and below it
  std::vector<std::string> files;    // besides, wherever they are and whatever they are called
  std::vector<std::string> ignored;  // folders

  bool operator==(const WatchSettings&) const = default;
};

// Whether an app is another one when that file of its folder is: code, templates, settings. Not what
// apps write while they run: logs, databases, data.
bool MattersToApp(std::string_view path);

// Whether there may be something of the app in a folder of that name: it is not hidden, no cache of
// Python's and no module of Node's.
bool MayHoldApp(std::string_view path);

// Collects changes until none has come for kQuiet, but for no longer than kWaitMax.
class Changed {
 public:
  static constexpr Duration kQuiet = std::chrono::milliseconds(100);
  static constexpr Duration kWaitMax = std::chrono::seconds(1);
  static constexpr std::size_t kPathsMax = 1000;  // that are told apart

  void Add(const std::string& path, Time now);
  Time due() const;  // never, where nothing has changed
  // "shop.py has changed", "shop.py and 2 others have changed"; and forgets them.
  std::string Take();

 private:
  std::set<std::string> paths_;
  std::string first_;
  Time since_{}, last_{};
};

class AppWatch {
 public:
  AppWatch(const Clock& clock, telemetry::Log& log) : clock_(clock), log_(log) {}

  // From now on. What cannot be watched is in the log, with the reason.
  void Follow(const WatchSettings& settings);
  void Close();  // in a child

  int fd() const { return watch_ ? watch_->fd().get() : -1; }
  void Read();  // whatever waits at fd()
  Time next() const;
  // When next() has come: what has changed, in words; nothing where nothing has.
  std::optional<std::string> TakeDue();

 private:
  bool Enters(const std::string& folder) const;
  std::string Shown(const std::string& path) const;
  bool Matters(const std::string& path) const;
  void Begin();
  void AddAppFolder();
  void LookForMissing();

  const Clock& clock_;
  telemetry::Log& log_;
  WatchSettings settings_;
  std::optional<os::FileWatch> watch_;
  Changed changed_;
  bool missing_ = false;  // the app's folder, and the log says so
  Time look_at_ = Time::max();
};

}  // namespace onebox::supervise
