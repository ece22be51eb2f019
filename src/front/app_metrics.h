#pragma once
// What /metrics and the status say of each app, where there are several.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "front/dispatch.h"

namespace onebox::front {

using Dispatches = std::vector<std::unique_ptr<Dispatch>>;  // one for each app, in their order

// Nothing where there is one app: the box's own metrics say it.
void AppendAppMetrics(std::string& out,
                      std::span<const std::string> names,
                      const Dispatches& dispatches);

// What the supervisor is told of them, as a member of a JSON object with a comma before it; nothing where
// there is one app.
std::string AppNews(const Dispatches& dispatches);

}  // namespace onebox::front
