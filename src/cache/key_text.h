#pragma once
// Keys as bytes, and as people write them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace onebox::cache {

// A key is its namespace and a value: None, a bool, an int, a float, a text, bytes, or a tuple of these.
// Values that differ in type or content differ in their bytes, since each says its type and how long it
// is: 1, True, "1" and ("1",) are four keys. docs/internals/cache.md has the format.
void AppendNamespace(std::string_view name, std::string& bytes);
void AppendNone(std::string& bytes);
void AppendBool(bool value, std::string& bytes);
void AppendInteger(std::int64_t value, std::string& bytes);
void AppendLargeInteger(std::string_view hexadecimal,
                        std::string& bytes);  // beyond 64 bits: "-0x1f..."
void AppendFloat(double value, std::string& bytes);
void AppendText(std::string_view utf8, std::string& bytes);
void AppendBytes(std::string_view value, std::string& bytes);
void BeginTuple(std::uint32_t size, std::string& bytes);  // its values follow
inline constexpr int kKeyDepthMax = 16;                   // tuples in tuples

// A tag, for MarkOf() and Purge(); that of all entries of a namespace is what AppendNamespace() makes.
std::string TagBytes(std::string_view name_space, std::string_view tag);

struct KeyText {
  std::string name_space;
  std::string value;  // as Python writes it: ('prices', 3)
};
// Nothing where the bytes are no key.
std::optional<KeyText> DescribeKey(std::string_view bytes);

// What Python would read as such a value, or else the text itself: prices, 'prices', 3, ('prices', 3).
// An Error where it begins as a tuple or a quoted text and does not end as one.
Result<std::string> ParseKeyValue(std::string_view text);

}  // namespace onebox::cache
