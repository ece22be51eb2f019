// What the box says of itself.
#include <algorithm>
#include <array>

#include "base/json.h"
#include "supervise/box.h"

namespace onebox::supervise {
namespace {

using nlohmann::json;
using std::chrono::seconds;

constexpr Duration kFrontPause = seconds(3);  // after it the front counts as silent

constexpr std::array<std::string_view, 6> kPhaseNames =
    {"booting", "broken", "serving", "draining", "ending", "gone"};

json CountsOf(const std::vector<std::pair<std::string_view, std::uint64_t>>& counts) {
  json object = json::object();
  for (const auto& [name, count] : counts)
    object[std::string(name)] = count;
  return object;
}

}  // namespace

void Box::TellService() {
  if (!notifier_.on()) return;
  const Traffic traffic = outside_.traffic();
  notifier_.Tell(
      {.phase = kPhaseNames[static_cast<std::size_t>(phase_)],
       .reloading = reload_ != nullptr,
       .front_answers = front().life == Life::kReady && Now() < front().spoke_at + kFrontPause,
       .workers_ready = CountWorkers().ready,
       .workers_wanted = Wanted(),
       .requests = traffic.requests,
       .waiting = traffic.queue});
}

std::string Box::StatusText() const {
  const Traffic traffic = outside_.traffic();
  json processes = json::array();
  for (const auto& process : processes_) {
    processes.push_back(ProcessStatus(*process));
    if (process->standby) processes.push_back(StandbyStatus(*process));
  }
  json upstreams = json::parse(front().upstreams, nullptr, /*allow_exceptions=*/false);
  if (!upstreams.is_array()) upstreams = json::array();
  const json status = {{"version", settings().version},
                       {"uptime", SecondsOf(Now() - began_)},
                       {"phase", kPhaseNames[static_cast<std::size_t>(phase_)]},
                       {"generation", now_->number},
                       {"reloading", reload_ != nullptr},
                       {"state", settings().state},
                       {"data", settings().data},
                       {"target", app().target},
                       {"chdir", app().chdir},
                       {"listen", listeners_.Shown(settings().listen)},
                       {"admin", listeners_.ShownAdmin(settings().listen)},
                       {"workers",
                        {{"total", Wanted()},
                         {"reason", scaling_->reason()},
                         {"ready", CountWorkers().ready},
                         {"threads", app().threads},
                         {"units", NameOfUnits(app().worker_class)},
                         {"busy", traffic.workers_busy},
                         {"concurrency", traffic.limit}}},
                       {"apps", AppsStatus()},
                       {"queue", traffic.queue},
                       {"connections", traffic.connections},
                       {"requests", traffic.requests},
                       {"errors", traffic.errors},
                       {"response_cache",
                        {{"answers", traffic.kept},
                         {"bytes", traffic.kept_bytes},
                         {"results", CountsOf(traffic.cached)},
                         {"not_stored", CountsOf(traffic.not_stored)}}},
                       {"upstreams", upstreams},
                       {"certificates", CertificatesStatus()},
                       {"processes", processes}};
  return status.dump(-1, ' ', false, json::error_handler_t::replace);
}

// As they were told, in the order of their names.
json Box::CertificatesStatus() const {
  json all = json::array();
  for (const json& one : certificates_) {
    all.push_back(one);
  }
  return all;
}

// Beside the first, each of the others; where there are none, none.
json Box::AppsStatus() const {
  json all = json::array();
  if (now_->apps.size() == 1) return all;
  const json front_says = json::parse(front().apps, nullptr, /*allow_exceptions=*/false);
  for (std::size_t i = 0; i < now_->apps.size(); ++i) {
    const AppSettings& its = settings().apps[i];
    const json& now = front_says.is_array() && i < front_says.size() ? front_says[i] : json();
    all.push_back({{"name", its.name.empty() ? kFirstAppName : its.name},
                   {"target", its.target},
                   {"workers", Wanted(i)},
                   {"ready", CountReady(i)},
                   {"threads", its.threads},
                   {"reason", i == 0 ? scaling_->reason() : its.workers_reason},
                   {"busy", Number(At(now, "busy"))},
                   {"queue", Number(At(now, "queue"))},
                   {"requests", Number(At(now, "requests"))}});
  }
  return all;
}

json Box::ProcessStatus(const Process& process) const {
  return {{"role", NameOf(process.role)},
          {"number", process.number},
          {"pid", process.alive() ? json(process.child->pid()) : json()},
          {"state", NameOf(process.life)},
          {"generation", process.generation->number},
          {"app", AppOf(process).name},
          {"leaves_because", process.leaves_because},
          {"memory", process.memory.bytes()},
          {"uptime", process.alive() ? SecondsOf(Now() - process.started) : 0.0},
          {"restarts", process.restarts}};
}

// As a worker's that has done nothing yet.
json Box::StandbyStatus(const Process& zygote) const {
  return {{"role", "standby"},
          {"number", 0},
          {"pid", zygote.standby->child.pid()},
          {"state", NameOf(Life::kReady)},
          {"generation", zygote.generation->number},
          {"app", AppOf(zygote).name},
          {"leaves_because", ""},
          {"memory", 0},
          {"uptime", SecondsOf(Now() - zygote.standby->since)},
          {"restarts", 0}};
}

}  // namespace onebox::supervise
