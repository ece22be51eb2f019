#pragma once
// A response head, as bytes.

#include <cstdint>
#include <string>
#include <string_view>

namespace onebox::http {

// "Not Found"; "Unknown" for a status that has no row.
std::string_view ReasonPhrase(int status);

// 1xx, 204 and 304 end with their head, whatever their fields say (RFC 9110 6.4.1); 205 has nothing in
// its body (15.3.6).
constexpr bool StatusHasBody(int status) {
  return status >= 200 && status != 204 && status != 205 && status != 304;
}

// "HTTP/1.1 200 OK\r\n". `status` is 100 to 999, `reason` passes IsValidFieldValue(). Always 1.1:
// the version is the server's own, not the request's (RFC 9110 2.5).
void AppendStatusLine(std::string& out, int status);
void AppendStatusLine(std::string& out, int status, std::string_view reason);

// An app's field goes out only if it passes both: it cannot end a line or begin another.
bool IsValidFieldName(std::string_view name);
bool IsValidFieldValue(std::string_view value);  // may be empty; no white space at its ends

// "Name: value\r\n"; both must be valid.
void AppendField(std::string& out, std::string_view name, std::string_view value);
void AppendField(std::string& out, std::string_view name, std::uint64_t value);

}  // namespace onebox::http
