#pragma once
// Text of strangers, made harmless for a log.

#include <cstddef>
#include <string>
#include <string_view>

namespace onebox::telemetry {

// The bytes of the UTF-8 character that `text` begins with, 1 to 4; 0 where there is none, and for
// the controls U+0000 to U+001F and U+007F to U+009F.
std::size_t PrintableLength(std::string_view text);

// Appends \xXX for a byte.
void AppendHexByte(std::string& out, char byte);

// What is not printable UTF-8 becomes \xXX: for a line that people read.
void AppendPrintable(std::string& out, std::string_view text);

// What is not printable ASCII, quotes and backslashes become \xXX, as nginx has it: for a value in a
// line that is split at spaces and quotes.
void AppendQuotable(std::string& out, std::string_view text);

// The inside of a JSON string. A byte that is not UTF-8 becomes the character of its number, U+00XX.
void AppendJson(std::string& out, std::string_view text);

}  // namespace onebox::telemetry
