#include <fmt/format.h>

#include "base/ascii.h"
#include "broker/settings.h"

namespace onebox::broker {
namespace {

constexpr std::uint64_t kCountMax = 1'000'000;

std::optional<Duration> SpanOf(std::string_view unit) {
  if (unit == "s") return std::chrono::seconds(1);
  if (unit == "m") return std::chrono::minutes(1);
  if (unit == "h") return std::chrono::hours(1);
  if (unit == "d") return std::chrono::hours(24);
  return std::nullopt;
}

}  // namespace

std::optional<Rate> Rate::Parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == text.npos) return std::nullopt;
  const auto count = ParseDecimal(text.substr(0, slash), kCountMax);
  const auto per = SpanOf(text.substr(slash + 1));
  if (!count || *count == 0 || !per) return std::nullopt;
  return Rate{static_cast<std::uint32_t>(*count), *per};
}

std::string Rate::text() const {
  for (const char* const unit : {"s", "m", "h", "d"}) {
    if (SpanOf(unit) == per) return fmt::format("{}/{}", count, unit);
  }
  return {};
}

}  // namespace onebox::broker
