#pragma once
// Which of the sockets that a service manager opened is served as what.

#include <vector>

#include "base/result.h"
#include "main/config.h"
#include "main/settings.h"
#include "os/handed_over.h"

namespace onebox::main {

// Those whose address stands in front.listen take its place there; where nobody has set front.listen,
// they are what is served. The one named "admin" is the admin address, unless another was set. One
// that is not used is an Error: whoever connects to it would wait for ever.
Status PlaceHandedOver(const std::vector<os::HandedOver>& handed_over,
                       const Settings& settings,
                       Config& config);

}  // namespace onebox::main
