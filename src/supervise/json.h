#pragma once
// Members of JSON objects that others have written: each may be missing, or of another kind.

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

namespace onebox::supervise {

// A member of an object, or null where it is not there.
inline const nlohmann::json& At(const nlohmann::json& object, const char* key) {
  static const nlohmann::json missing;
  if (!object.is_object()) return missing;
  const auto found = object.find(key);
  return found == object.end() ? missing : *found;
}

inline std::string Text(const nlohmann::json& value) {
  return value.is_string() ? value.get<std::string>() : std::string();
}

inline std::uint64_t Number(const nlohmann::json& value) {
  return value.is_number() ? value.get<std::uint64_t>() : 0;
}

inline bool IsTrue(const nlohmann::json& value) {
  return value.is_boolean() && value.get<bool>();
}

}  // namespace onebox::supervise
