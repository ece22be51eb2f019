#pragma once
// What one start or reload has made: settings, and the processes that serve by them.

#include <string>
#include <vector>

#include "supervise/supervisor.h"

namespace onebox::supervise {

// What has become of one of BoxSettings::apps.
struct LoadedApp {
  Process* zygote = nullptr;          // of the Box; none: each worker imports the app by itself
  std::string app = {}, python = {};  // for people: "Flask 2.2.2", "3.11.2"
  std::string preloaded = {};         // likewise: "preloaded in 0.9 s, 61 MiB shared", or empty
  bool was_ready = false;             // a worker of it
};

// A reload makes the next one, and takes it over when the first worker of each app is ready. It shares the
// front with the one before where the front's settings are the same.
struct Generation {
  unsigned number = 1;
  BoxSettings settings;
  Process* front = nullptr;  // of the Box
  std::vector<LoadedApp> apps = std::vector<LoadedApp>(settings.apps.size());

  const AppSettings& first() const { return settings.apps.front(); }
};

// Those of a zygote, or of a worker.
inline const AppSettings& AppOf(const Process& process) {
  return process.generation->settings.apps[process.app];
}
inline LoadedApp& LoadedFor(const Process& process) {
  return process.generation->apps[process.app];
}

// Of an app, for people: "shop:app of shop".
inline std::string TargetOf(const AppSettings& app) {
  return app.name.empty() ? app.target : app.target + " of " + app.name;
}

}  // namespace onebox::supervise
