#include "main/apps.h"

#include <algorithm>
#include <filesystem>
#include <limits>

#include <fmt/format.h>

#include "base/ascii.h"
#include "base/units.h"
#include "main/python.h"
#include "main/routes.h"
#include "main/target.h"
#include "main/words.h"

namespace onebox::main {
namespace {

constexpr std::string_view kTable = "app.also";
constexpr std::size_t kNameMax = 32;

std::string PathOf(const os::Variables& environment) {
  const auto found = environment.find("PATH");
  return found == environment.end() ? std::string() : found->second;
}

bool IsName(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  };
  return !name.empty() && name.size() <= kNameMax && std::all_of(name.begin(), name.end(), fits);
}

bool IsThere(const Settings& settings, std::string_view name) {
  const auto names = AppNames(settings);
  return std::find(names.begin(), names.end(), name) != names.end();
}

void CheckApp(const Element& app, const os::Variables& environment, Mistakes& mistakes) {
  const auto mistake = [&](std::string_view key, std::string_view what) {
    const std::string source = SourceOf(app.more, key);
    mistakes.push_back(fmt::format("{}: [[app.also]] {}: {}{}{}",
                                   source == "default" ? app.source : source,
                                   Quoted(app.text),
                                   key,
                                   key.empty() ? "" : ": ",
                                   what));
  };
  if (!IsName(app.text))
    mistake("", "expected a name of letters, digits, \"-\" and \"_\", 32 at most");
  if (app.text == supervise::kFirstAppName) mistake("", "that is the app of [app]");
  const std::string target = TextOf(app.more, "target");
  if (const auto wrong = WrongTarget(target)) mistake("target", *wrong);
  std::error_code ignored;
  const std::string chdir = TextOf(app.more, "chdir");
  if (!chdir.empty() && !std::filesystem::is_directory(chdir, ignored)) {
    mistake("chdir", fmt::format("there is no folder {}", chdir));
  }
  if (const std::string python = TextOf(app.more, "python"); !python.empty()) {
    if (const auto wrong = WrongPython(python, environment)) mistake("python", *wrong);
  }
  const std::string script_name = TextOf(app.more, "script_name");
  if (!script_name.empty()) {
    const auto wrong = WrongPrefix(script_name + "/");
    if (wrong || script_name.ends_with('/')) {
      mistake("script_name", "expected a path like \"/shop\", without a \"/\" at the end");
    }
  }
  const auto is_path = [](const std::string& path) {
    return path.empty() || path.starts_with('/');
  };
  if (!is_path(TextOf(app.more, "health"))) mistake("health", "expected a path that begins with /");
  for (const Element& path : ElementsOf(app.more, "warm_up")) {
    if (!is_path(path.text)) mistake("warm_up", "expected paths that begin with /");
  }
}

// The numbers of workers are what is planned, or said, where there are several apps.
void CheckFixed(const Settings& settings, Mistakes& mistakes) {
  for (const std::string_view option : {"app.workers_min", "app.workers_max", "app.peak"}) {
    const auto said = ElementsOf(settings, option);
    if (said.empty() || said.front().source == "default") continue;
    mistakes.push_back(
        fmt::format("{}: {}: with [[app.also]] the number of workers does not follow the load or "
                    "the hour; say workers of each app",
                    said.front().source,
                    Place(*FindOption(option))));
  }
}

// What the routes name.
void CheckNames(const Settings& settings, Mistakes& mistakes) {
  for (const PlacedRoute& placed : AllRoutes(settings)) {
    for (const Element& app : ElementsOf(placed.route->more, "app")) {
      const auto mistake = [&](std::string_view what) {
        mistakes.push_back(fmt::format("{}: {} app: {}", app.source, placed.table, what));
      };
      if (!IsThere(settings, app.text)) {
        mistake(fmt::format("there is no [[app.also]] {}", Quoted(app.text)));
      }
      for (const std::string_view other : {"proxy", "redirect", "respond"}) {
        if (ElementsOf(placed.route->more, other).empty()) continue;
        mistake(fmt::format("the route has {} too, and one can answer", other));
      }
    }
  }
}

template <typename Value, typename Parse>
std::optional<Value> IfSaid(const Element& app, std::string_view key, const Parse& parse) {
  const std::string text = TextOf(app.more, key);
  return text.empty() ? std::nullopt : std::optional<Value>(parse(text));
}

unsigned Count(const std::string& text) {
  return static_cast<unsigned>(*ParseDecimal(text, std::numeric_limits<unsigned>::max()));
}

OtherApp MakeOtherApp(const Element& app) {
  const auto as_it_is = [](const std::string& text) { return text; };
  OtherApp made{
      .name = app.text,
      .target = TextOf(app.more, "target"),
      .script_name = TextOf(app.more, "script_name"),
      .health = TextOf(app.more, "health"),
      .chdir = IfSaid<std::string>(app, "chdir", as_it_is),
      .python = IfSaid<std::string>(app, "python", as_it_is),
      .threads = IfSaid<unsigned>(app, "threads", Count),
      .preload = IfSaid<supervise::Preload>(app, "preload", PreloadOf),
      .boot_timeout = IfSaid<Duration>(
          app, "boot_timeout", [](const std::string& text) { return *ParseDuration(text); }),
      .workers = {},
      .warm_up = {},
      .variables = {}};
  const std::string workers = TextOf(app.more, "workers");
  if (!workers.empty() && workers != "auto") made.workers = Count(workers);
  for (const Element& path : ElementsOf(app.more, "warm_up"))
    made.warm_up.push_back(path.text);
  for (const Element& variable : ElementsOf(app.more, "env"))
    made.variables[variable.name] = variable.text;
  return made;
}

// Tasks and jobs are the first app's: an app that is told of no broker says so where it is asked for one.
supervise::AppSettings AppFrom(const supervise::AppSettings& first, const OtherApp& other) {
  supervise::AppSettings app = first;
  app.name = other.name;
  app.target = other.target;
  app.chdir = other.chdir.value_or(first.chdir);
  app.python = other.python.value_or(first.python);
  app.threads = other.threads.value_or(first.threads);
  app.preload = other.preload.value_or(first.preload);
  app.boot_timeout = other.boot_timeout.value_or(first.boot_timeout);
  app.health = other.health;
  app.warm_up = other.warm_up;
  if (!other.script_name.empty()) app.worker_words = {"--script-name", other.script_name};
  app.environment.erase("ONEBOX_BROKER");
  app.environment["ONEBOX_APP"] = other.name;
  for (const auto& [name, value] : other.variables)
    app.environment[name] = value;
  return app;
}

}  // namespace

supervise::Preload PreloadOf(std::string_view name) {
  if (name == "off") return supervise::Preload::kOff;
  return name == "on" ? supervise::Preload::kOn : supervise::Preload::kAuto;
}

void FillInApps(Settings& settings, const os::Variables& environment) {
  const auto found = settings.find(kTable);
  if (found == settings.end()) return;
  for (Element& app : found->second) {
    const std::string chdir = TextOf(app.more, "chdir");
    if (chdir.empty() || !TextOf(app.more, "python").empty()) continue;
    const std::string python =
        FindPython({.venv = "", .folder = chdir, .path = PathOf(environment)});
    if (python.starts_with(chdir + "/")) app.more["python"] = {{"", python, "default"}};
  }
}

void CheckApps(const Settings& settings, const os::Variables& environment, Mistakes& mistakes) {
  CheckNames(settings, mistakes);
  const auto apps = ElementsOf(settings, kTable);
  if (apps.empty()) return;
  const auto mistake = [&](const Element& app, const std::string& what) {
    mistakes.push_back(fmt::format("{}: [[app.also]] {}: {}", app.source, Quoted(app.text), what));
  };
  if (TextOf(settings, "app.target").empty()) {
    mistake(apps.front(), "it is beside an app, and [app] has no target");
  }
  if (apps.size() > kOtherAppsMax) {
    mistake(apps.back(), fmt::format("expected at most {} of them", kOtherAppsMax));
  }
  for (auto app = apps.begin(); app != apps.end(); ++app) {
    CheckApp(*app, environment, mistakes);
    const bool twice = std::any_of(
        apps.begin(), app, [&](const Element& other) { return other.text == app->text; });
    if (twice) mistake(*app, "it is there twice");
  }
  CheckFixed(settings, mistakes);
}

std::vector<std::string> AppNames(const Settings& settings) {
  std::vector<std::string> names = {std::string(supervise::kFirstAppName)};
  for (const Element& app : ElementsOf(settings, kTable))
    names.push_back(app.text);
  return names;
}

void PlaceApp(const Settings& settings, const Element& route, front::Route& made) {
  const auto apps = ElementsOf(settings, kTable);
  const auto found = std::find_if(apps.begin(), apps.end(), [&](const Element& app) {
    return app.text == TextOf(route.more, "app");
  });
  if (found == apps.end()) return;
  made.rules.app = static_cast<std::uint32_t>(found - apps.begin()) + 1;
  const std::string timeout = TextOf(found->more, "timeout");
  if (!timeout.empty() && TextOf(route.more, "timeout").empty()) {
    made.rules.timeout = *ParseDuration(timeout);
  }
}

std::vector<OtherApp> MakeOtherApps(const Settings& settings) {
  std::vector<OtherApp> made;
  for (const Element& app : ElementsOf(settings, kTable))
    made.push_back(MakeOtherApp(app));
  return made;
}

void AddApps(const std::vector<OtherApp>& others,
             const plan::WorkersPlan& planned,
             bool first_planned,
             supervise::BoxSettings& box) {
  if (others.empty()) return;
  const auto count = static_cast<unsigned>(others.size()) + 1;
  const unsigned share = std::max(planned.workers / count, 1U);
  const std::string reason =
      fmt::format("its share of {} for {} apps; {}", planned.workers, count, planned.reason);
  supervise::AppSettings& first = box.apps.front();
  if (first_planned) {
    first.workers = share;
    first.workers_reason = reason;
  }
  first.scaling = {first.workers, first.workers};
  for (const OtherApp& other : others) {
    supervise::AppSettings app = AppFrom(box.apps.front(), other);
    app.workers = other.workers.value_or(share);
    app.workers_reason = other.workers ? "as set" : reason;
    box.apps.push_back(std::move(app));
  }
}

}  // namespace onebox::main
