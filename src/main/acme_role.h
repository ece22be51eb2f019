#pragma once
// The life of the process that obtains certificates: its log, and where its metrics go.

#include <cstddef>

#include "acme/settings.h"
#include "base/clock.h"
#include "main/front_role.h"
#include "os/fd.h"
#include "shm/shared_text.h"

namespace onebox::main {

// Of the text through which it tells the front what /metrics says of certificates.
inline constexpr std::size_t kAcmeMetricsBytesMax = std::size_t{1} << 20;

// Until it is told to end; the exit status of the process.
int RunAcme(const acme::Settings& settings,
            const FrontLog& log,
            const Clock& clock,
            shm::SharedText& metrics,
            os::Fd control);

}  // namespace onebox::main
