#include "main/handed_over.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

namespace onebox::main {
namespace {

constexpr std::string_view kAdmin = "admin";

Error NotUsed(const os::HandedOver& one, std::string_view why) {
  return OperatorError(fmt::format("the socket {} was handed over{} and is not used: {}",
                                   one.address.text(),
                                   one.name.empty() ? "" : fmt::format(" as \"{}\"", one.name),
                                   why));
}

}  // namespace

Status PlaceHandedOver(const std::vector<os::HandedOver>& handed_over,
                       const Settings& settings,
                       Config& config) {
  const bool any_listen = SourceOf(settings, "front.listen") == "default";
  const bool any_admin = SourceOf(settings, "admin.listen") == "default";
  std::vector<os::SocketAddress> served, missing = config.listen;
  bool has_admin = false;
  for (const os::HandedOver& one : handed_over) {
    const std::string text = one.address.text();
    if (one.name == kAdmin) {
      const bool fits = any_admin || (config.admin && config.admin->text() == text);
      if (has_admin) return NotUsed(one, "there is one admin address");
      if (!fits) return NotUsed(one, "admin.listen says otherwise");
      has_admin = true;
      config.admin = one.address;
      continue;
    }
    const auto found =
        std::find_if(missing.begin(), missing.end(), [&text](const os::SocketAddress& address) {
          return address.text() == text;
        });
    if (!any_listen && found == missing.end()) return NotUsed(one, "it is not in front.listen");
    if (!any_listen) missing.erase(found);
    served.push_back(one.address);
  }
  if (any_listen && !served.empty()) config.listen = std::move(served);
  return Done();
}

}  // namespace onebox::main
