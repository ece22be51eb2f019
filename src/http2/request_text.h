#pragma once
// A request head of HTTP/2, checked and written down as one of HTTP/1.1: from there on both are read by
// the same code.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/limits.h"
#include "http/refusal.h"

namespace onebox::http2 {

// What http::ParseRequestHead() cannot see any more is checked here (RFC 9113 8.2, 8.3): whatever the
// fields are, each becomes one line of the text or the request is refused. The rest, from the target's
// characters to the host, is the parser's to judge.
//
// One head after the other: Begin(), Take() for each field in its order, Finish().
class RequestText {
 public:
  explicit RequestText(const http::Limits& limits) : limits_(limits) {}

  void Begin();
  void Take(std::string_view name, std::string_view value);
  // kYes: the stream ends with its head, so there is no body.
  enum class Ends : std::uint8_t { kNo, kYes };
  // Why it is refused, if it is; then text() holds as much as was understood.
  std::optional<http::RefusalKind> Finish(Ends ends);

  // The head, from the request line to the empty line; until the next Begin(). A body whose length the
  // client does not say is "Transfer-Encoding: chunked" there.
  std::string_view text() const { return text_; }
  // An extended CONNECT for a WebSocket (RFC 8441), written as the GET with Upgrade of HTTP/1.1.
  bool websocket() const { return websocket_; }
  // Where the client says it, and it is a number.
  std::optional<std::uint64_t> content_length() const { return content_length_; }
  // 0 to 7, the lower the sooner (RFC 9218 4.1).
  std::uint8_t urgency() const { return urgency_; }

 private:
  void TakePseudo(std::string_view name, std::string_view value);
  void TakeField(std::string_view name, std::string_view value);
  void WriteRequestLine();
  std::optional<http::RefusalKind> WhyNoRequestLine() const;
  void Refuse(http::RefusalKind kind);
  bool Fits(std::size_t bytes);

  enum Pseudo : std::uint8_t { kMethod, kScheme, kAuthority, kPath, kProtocol, kPseudos };
  bool Has(Pseudo pseudo) const { return (present_ & (1U << pseudo)) != 0; }

  const http::Limits limits_;
  std::string pseudo_[kPseudos];  // NOLINT(modernize-avoid-c-arrays): indexed by Pseudo
  std::string text_;
  std::string cookies_;
  std::optional<http::RefusalKind> refused_;
  std::optional<std::uint64_t> content_length_;
  std::size_t bytes_ = 0;  // of names and values, as they came
  std::uint8_t present_ = 0;
  std::uint8_t urgency_ = 3;
  bool line_written_ = false;
  bool has_length_ = false;
  bool websocket_ = false;
};

// A field of a trailer section: why it may not be there, if so. What may is dropped, as in HTTP/1.
std::optional<http::RefusalKind> CheckTrailer(std::string_view name, std::string_view value);

}  // namespace onebox::http2
