#include "http/response_head.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/check.h"
#include "http/byte_search.h"
#include "http/characters.h"

namespace onebox::http {
namespace {

struct Row {
  int status;
  std::string_view reason;
};

// The registry of RFC 9110 16.2, sorted.
constexpr std::array kReasons = {
    Row{100, "Continue"},
    Row{101, "Switching Protocols"},
    Row{103, "Early Hints"},
    Row{200, "OK"},
    Row{201, "Created"},
    Row{202, "Accepted"},
    Row{203, "Non-Authoritative Information"},
    Row{204, "No Content"},
    Row{205, "Reset Content"},
    Row{206, "Partial Content"},
    Row{207, "Multi-Status"},
    Row{208, "Already Reported"},
    Row{226, "IM Used"},
    Row{300, "Multiple Choices"},
    Row{301, "Moved Permanently"},
    Row{302, "Found"},
    Row{303, "See Other"},
    Row{304, "Not Modified"},
    Row{305, "Use Proxy"},
    Row{307, "Temporary Redirect"},
    Row{308, "Permanent Redirect"},
    Row{400, "Bad Request"},
    Row{401, "Unauthorized"},
    Row{402, "Payment Required"},
    Row{403, "Forbidden"},
    Row{404, "Not Found"},
    Row{405, "Method Not Allowed"},
    Row{406, "Not Acceptable"},
    Row{407, "Proxy Authentication Required"},
    Row{408, "Request Timeout"},
    Row{409, "Conflict"},
    Row{410, "Gone"},
    Row{411, "Length Required"},
    Row{412, "Precondition Failed"},
    Row{413, "Content Too Large"},
    Row{414, "URI Too Long"},
    Row{415, "Unsupported Media Type"},
    Row{416, "Range Not Satisfiable"},
    Row{417, "Expectation Failed"},
    Row{421, "Misdirected Request"},
    Row{422, "Unprocessable Content"},
    Row{423, "Locked"},
    Row{424, "Failed Dependency"},
    Row{425, "Too Early"},
    Row{426, "Upgrade Required"},
    Row{428, "Precondition Required"},
    Row{429, "Too Many Requests"},
    Row{431, "Request Header Fields Too Large"},
    Row{451, "Unavailable For Legal Reasons"},
    Row{500, "Internal Server Error"},
    Row{501, "Not Implemented"},
    Row{502, "Bad Gateway"},
    Row{503, "Service Unavailable"},
    Row{504, "Gateway Timeout"},
    Row{505, "HTTP Version Not Supported"},
    Row{506, "Variant Also Negotiates"},
    Row{507, "Insufficient Storage"},
    Row{508, "Loop Detected"},
    Row{511, "Network Authentication Required"},
};

constexpr bool Before(const Row& a, const Row& b) {
  return a.status < b.status;
}
static_assert(std::is_sorted(kReasons.begin(), kReasons.end(), Before));

constexpr bool IsBlank(char c) {
  return c == ' ' || c == '\t';
}

}  // namespace

std::string_view ReasonPhrase(int status) {
  const auto* row = std::lower_bound(kReasons.begin(), kReasons.end(), Row{status, {}}, Before);
  return row != kReasons.end() && row->status == status ? row->reason : "Unknown";
}

void AppendStatusLine(std::string& out, int status) {
  AppendStatusLine(out, status, ReasonPhrase(status));
}

void AppendStatusLine(std::string& out, int status, std::string_view reason) {
  CHECK(status >= 100 && status <= 999);
  out.append("HTTP/1.1 ");
  out.push_back(static_cast<char>('0' + status / 100));
  out.push_back(static_cast<char>('0' + status / 10 % 10));
  out.push_back(static_cast<char>('0' + status % 10));
  out.push_back(' ');
  out.append(reason);
  out.append("\r\n");
}

bool IsValidFieldName(std::string_view name) {
  return IsToken(name);
}

bool IsValidFieldValue(std::string_view value) {
  if (value.empty()) return true;
  if (IsBlank(value.front()) || IsBlank(value.back())) return false;
  return Find<ControlByte>(value, 0) == value.size();
}

void AppendField(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

void AppendField(std::string& out, std::string_view name, std::uint64_t value) {
  std::array<char, 20> digits{};
  const auto result = std::to_chars(digits.begin(), digits.end(), value);
  const auto size = static_cast<std::size_t>(result.ptr - digits.begin());
  AppendField(out, name, std::string_view(digits.data(), size));
}

}  // namespace onebox::http
