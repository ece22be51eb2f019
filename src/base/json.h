#pragma once
// Members of JSON objects that others have written: each may be missing, or of another kind.

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

namespace onebox {

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

// Of a number from 0 on its whole part; else 0.
inline std::uint64_t Number(const nlohmann::json& value) {
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  if (!value.is_number()) return 0;
  const auto number = value.get<double>();
  return number >= 0 && number < 0x1p63 ? static_cast<std::uint64_t>(number) : 0;
}

inline bool IsTrue(const nlohmann::json& value) {
  return value.is_boolean() && value.get<bool>();
}

}  // namespace onebox
