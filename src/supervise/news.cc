#include "supervise/news.h"

#include "base/json.h"

namespace onebox::supervise {

std::optional<News> ParseNews(std::string_view message) {
  const auto object = nlohmann::json::parse(message, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return std::nullopt;
  News news;
  for (const char* const who : {"front", "broker", "acme"}) {
    const std::string said = Text(At(object, who));
    if (said == "alive") {
      if (const auto& upstreams = At(object, "upstreams"); upstreams.is_array()) {
        news.upstreams = upstreams.dump();
      }
      if (const auto& apps = At(object, "apps"); apps.is_array()) news.apps = apps.dump();
      return news;
    }
    if (said != "ready") continue;
    news.kind = News::Kind::kReady;
    return news;
  }
  if (IsTrue(At(object, "tasks"))) {
    news.kind = News::Kind::kTasksWanted;
    return news;
  }
  if (const auto& certificate = At(object, "certificate"); certificate.is_object()) {
    news.kind = News::Kind::kCertificate;
    news.name = Text(At(certificate, "name"));
    news.told = certificate.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return news;
  }

  const auto worker = object.find("worker");
  if (worker == object.end() || !worker->is_number_integer()) return std::nullopt;
  news.worker = worker->get<int>();
  if (IsTrue(At(object, "ready"))) {
    news.kind = News::Kind::kWorkerReady;
  } else if (IsTrue(At(object, "stuck"))) {
    news.kind = News::Kind::kWorkerStuck;
    news.gil = IsTrue(At(object, "gil"));
  } else if (IsTrue(At(object, "spent"))) {
    news.kind = News::Kind::kWorkerSpent;
  } else if (IsTrue(At(object, "retired"))) {
    news.kind = News::Kind::kWorkerRetired;
  } else {
    return std::nullopt;
  }
  const auto& pid = At(object, "pid");
  if (pid.is_number_integer()) news.pid = pid.get<int>();
  news.reason = Text(At(object, "reason"));
  news.app = Text(At(object, "app"));
  news.python = Text(At(object, "python"));
  return news;
}

}  // namespace onebox::supervise
