#pragma once
// What the room's tests share: a parsed head that keeps its bytes.

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "http/request_head.h"

namespace onebox::http {

// Stays where it is: the head has views into the bytes.
class ParsedHead {
 public:
  explicit ParsedHead(std::string bytes)
      : bytes_(std::move(bytes)), refused_(ParseRequestHead(bytes_, Limits{}, head_)) {}
  ParsedHead(const ParsedHead&) = delete;
  ParsedHead& operator=(const ParsedHead&) = delete;

  const std::optional<RefusalKind>& refused() const { return refused_; }
  const RequestHead& operator*() const { return head_; }
  const RequestHead* operator->() const { return &head_; }

 private:
  std::string bytes_;
  RequestHead head_;
  std::optional<RefusalKind> refused_;
};

// A GET (or another method) for "/" with these field lines, each ended by CRLF.
inline std::string HeadWith(std::string_view fields, std::string_view method = "GET") {
  std::string bytes(method);
  return bytes.append(" / HTTP/1.1\r\nHost: a\r\n").append(fields).append("\r\n");
}

}  // namespace onebox::http
