#pragma once
// [[app.also]]: the other apps of a box.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "front/settings.h"
#include "main/settings.h"
#include "os/process.h"
#include "plan/workers.h"
#include "supervise/supervisor.h"

namespace onebox::main {

inline constexpr std::size_t kOtherAppsMax = 15;

// Of the values of app.preload.
supervise::Preload PreloadOf(std::string_view name);

// Finds the Python of each that has a folder of its own.
void FillInApps(Settings& settings, const os::Variables& environment);

void CheckApps(const Settings& settings, const os::Variables& environment, Mistakes& mistakes);

// Which app each route names, and until when that app has to answer. REQUIRES: CheckApps() had nothing to say.
void PlaceApp(const Settings& settings, const Element& route, front::Route& made);
std::vector<std::string> AppNames(const Settings& settings);

// One, as the file has it; nothing: as the first has it.
struct OtherApp {
  std::string name, target;
  std::string script_name, health;
  std::optional<std::string> chdir, python;
  std::optional<unsigned> threads;
  std::optional<supervise::Preload> preload;
  std::optional<Duration> boot_timeout;
  std::optional<unsigned> workers;  // nothing: its share
  std::vector<std::string> warm_up;
  os::Variables variables;
};

// REQUIRES: CheckApps() had nothing to say.
std::vector<OtherApp> MakeOtherApps(const Settings& settings);

// Behind the first, which is there, and has its share too where `first_planned`.
void AddApps(const std::vector<OtherApp>& others,
             const plan::WorkersPlan& planned,
             bool first_planned,
             supervise::BoxSettings& box);

}  // namespace onebox::main
