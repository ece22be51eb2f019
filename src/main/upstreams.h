#pragma once
// What the settings say of servers that answer in the app's place, as the front takes it.

#include "front/settings.h"
#include "main/settings.h"

namespace onebox::main {

// Puts the upstreams into `made`, and tells its routes which of them answers. REQUIRES: CheckUpstreams()
// had nothing to say; the routes are there, in the order of the settings.
void AddUpstreams(const Settings& settings, front::Settings& made);

// Servers that are none, names that are not there or there twice, and keys that do not go together.
void CheckUpstreams(const Settings& settings, Mistakes& mistakes);

// Whether other servers answer whatever no route says, so that there need be no app.
bool ProxiesAll(const Settings& settings);

}  // namespace onebox::main
