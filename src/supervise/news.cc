#include "supervise/news.h"

#include "supervise/json.h"

namespace onebox::supervise {

std::optional<News> ParseNews(std::string_view message) {
  const auto object = nlohmann::json::parse(message, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return std::nullopt;
  News news;
  const std::string front = Text(At(object, "front"));
  if (front == "ready") {
    news.kind = News::Kind::kFrontReady;
    return news;
  }
  if (front == "alive") return news;

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
