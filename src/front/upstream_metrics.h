#pragma once
// What /metrics and the status say of the servers behind us.

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "upstream/upstream.h"

namespace onebox::front {

using Upstreams = std::vector<std::unique_ptr<upstream::Upstream>>;

// Nothing where there are none.
void AppendUpstreamMetrics(std::string& out, const Upstreams& upstreams, Time now);

// What the supervisor is told of them, as a member of a JSON object with a comma before it; of so many
// servers at most as fit into a message.
std::string UpstreamNews(const Upstreams& upstreams, Time now);

}  // namespace onebox::front
