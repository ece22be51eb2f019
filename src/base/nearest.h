#pragma once
// The valid name that a wrong one is nearest to, for a message that helps.

#include <span>
#include <string_view>

namespace onebox {

// Empty where nothing is near: more than a third of the characters would have to change, beyond
// their case. `names` are few and short.
std::string_view NearestName(std::string_view wrong, std::span<const std::string_view> names);

}  // namespace onebox
