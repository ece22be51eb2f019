#include "supervise/zygote.h"

#include <limits>

#include "base/json.h"
#include "os/socket.h"

namespace onebox::supervise {
namespace {

using nlohmann::json;

// Positive, and an int; else 0.
int PositiveInt(const json& value) {
  const std::uint64_t number = value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
  return number <= std::numeric_limits<int>::max() ? static_cast<int>(number) : 0;
}

}  // namespace

std::optional<ZygoteNews> ParseZygoteNews(std::string_view message) {
  const json object = json::parse(message, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return std::nullopt;
  using Kind = ZygoteNews::Kind;
  ZygoteNews news;
  news.app = Text(At(object, "app"));
  news.python = Text(At(object, "python"));
  news.worker = PositiveInt(At(object, "worker"));
  news.pid = PositiveInt(At(object, "pid"));
  if (IsTrue(At(object, "ready"))) {
    news.bytes = Number(At(object, "bytes"));
    return news;
  }
  if (const json& unsafe = At(object, "unsafe"); unsafe.is_string()) {
    news.kind = Kind::kUnsafe;
    news.reason = Text(unsafe);
    return news;
  }
  if (const int standby = PositiveInt(At(object, "standby")); standby != 0) {
    news.kind = Kind::kStandby;
    news.pid = standby;
    return news;
  }
  if (news.worker == 0) return std::nullopt;
  if (const json& error = At(object, "error"); error.is_string()) {
    news.kind = Kind::kForkFailed;
    news.reason = Text(error);
    return news;
  }
  if (news.pid == 0) return std::nullopt;
  news.kind = Kind::kForked;
  return news;
}

Status AskForWorker(const os::Fd& control,
                    int number,
                    const std::optional<TaskPlace>& tasks,
                    const os::Fd& output) {
  const int descriptors[] = {output.get()};
  json wish = {{"fork", number}};
  if (tasks) {
    wish["tasks"] = tasks->attach;
    wish["threads"] = tasks->threads;
  }
  return os::SendDescriptors(control, wish.dump(), descriptors);
}

}  // namespace onebox::supervise
