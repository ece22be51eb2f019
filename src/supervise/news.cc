#include "supervise/news.h"

#include <nlohmann/json.hpp>

namespace onebox::supervise {
namespace {

std::string TextOf(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool IsTrue(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

}  // namespace

std::optional<News> ParseNews(std::string_view message) {
  const auto object = nlohmann::json::parse(message, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return std::nullopt;
  News news;
  const std::string front = TextOf(object, "front");
  if (front == "ready") {
    news.kind = News::Kind::kFrontReady;
    return news;
  }
  if (front == "alive") return news;

  const auto worker = object.find("worker");
  if (worker == object.end() || !worker->is_number_integer()) return std::nullopt;
  news.worker = worker->get<int>();
  if (IsTrue(object, "ready")) {
    news.kind = News::Kind::kWorkerReady;
  } else if (IsTrue(object, "stuck")) {
    news.kind = News::Kind::kWorkerStuck;
    news.gil = IsTrue(object, "gil");
  } else {
    return std::nullopt;
  }
  news.reason = TextOf(object, "reason");
  news.app = TextOf(object, "app");
  news.python = TextOf(object, "python");
  return news;
}

}  // namespace onebox::supervise
