#pragma once
// What the settings say of requests' ways, as the front takes it: routes, mounts, header rules.

#include <cstdint>
#include <string_view>
#include <vector>

#include "front/settings.h"
#include "main/settings.h"

namespace onebox::main {

// Puts the routes and all that they go by into `made`, whose limits are there. REQUIRES: CheckRoutes()
// had nothing to say.
void AddRoutes(const Settings& settings, front::Settings& made);

// A route, and its table as messages name it: "[[route]]" or "[[site.route]]".
struct PlacedRoute {
  const Element* route;
  std::string_view table;
};

// Those of all tables, in the order of front::Settings::routes.
std::vector<PlacedRoute> AllRoutes(const Settings& settings);

// Routes that never match, more of them than there may be, and keys that do not go together.
void CheckRoutes(const Settings& settings, Mistakes& mistakes);

// Of "25%".
std::uint32_t PerCent(std::string_view text);

}  // namespace onebox::main
