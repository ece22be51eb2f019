#include "http2/request_text.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "http/characters.h"
#include "http/response_head.h"

namespace onebox::http2 {
namespace {

using http::RefusalKind;

constexpr std::size_t kKeptBytes = 4096;  // of a buffer, between two heads
constexpr std::size_t kFieldCost = 4;     // ": " and CRLF

// In the order of RequestText::Pseudo.
constexpr std::array<std::string_view, 5> kPseudoNames = {":method",
                                                          ":scheme",
                                                          ":authority",
                                                          ":path",
                                                          ":protocol"};

// RFC 9113 8.2.1: no upper case; and nothing that is no token.
bool IsFieldName(std::string_view name) {
  return http::IsToken(name) &&
         std::none_of(name.begin(), name.end(), [](char c) { return c != ToLower(c); });
}

// RFC 9113 8.2.2. What stands here would be believed by whoever reads the text as HTTP/1.
bool BelongsToConnection(std::string_view name, std::string_view value) {
  constexpr std::array<std::string_view, 5> kNames = {
      "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"};
  if (name == "te") return value != "trailers";
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

// The "u" of the dictionary that RFC 9218 4 describes; anything else of it does not matter to us.
std::uint8_t UrgencyOf(std::string_view priority, std::uint8_t otherwise) {
  while (!priority.empty()) {
    const std::size_t comma = std::min(priority.find(','), priority.size());
    const std::string_view member = Trimmed(priority.substr(0, comma));
    priority.remove_prefix(std::min(comma + 1, priority.size()));
    if (member.size() == 3 && member.starts_with("u=") && member[2] >= '0' && member[2] <= '7') {
      otherwise = static_cast<std::uint8_t>(member[2] - '0');
    }
  }
  return otherwise;
}

void Empty(std::string& buffer) {
  if (buffer.capacity() > kKeptBytes) {
    std::string().swap(buffer);
  } else {
    buffer.clear();
  }
}

}  // namespace

void RequestText::Begin() {
  for (std::string& pseudo : pseudo_)
    Empty(pseudo);
  Empty(text_);
  Empty(cookies_);
  refused_.reset();
  content_length_.reset();
  bytes_ = 0;
  present_ = 0;
  urgency_ = 3;
  line_written_ = has_length_ = websocket_ = false;
}

void RequestText::Refuse(RefusalKind kind) {
  if (!refused_) refused_ = kind;
}

// Also bounds what one head makes us hold: a field of one byte on the wire may be thousands here.
bool RequestText::Fits(std::size_t bytes) {
  bytes_ += bytes;
  if (bytes_ <= limits_.head_bytes_max) return true;
  Refuse(RefusalKind::kHeadTooLarge);
  return false;
}

void RequestText::Take(std::string_view name, std::string_view value) {
  if (refused_ || !Fits(name.size() + value.size() + kFieldCost)) return;
  if (name.starts_with(':')) {
    TakePseudo(name, value);
  } else {
    TakeField(name, value);
  }
}

void RequestText::TakePseudo(std::string_view name, std::string_view value) {
  const auto* const found = std::find(kPseudoNames.begin(), kPseudoNames.end(), name);
  if (found == kPseudoNames.end() || line_written_) return Refuse(RefusalKind::kPseudoField);
  const auto pseudo = static_cast<Pseudo>(found - kPseudoNames.begin());
  if (Has(pseudo)) return Refuse(RefusalKind::kPseudoField);
  present_ = static_cast<std::uint8_t>(present_ | (1U << pseudo));
  pseudo_[pseudo] = value;
}

// A request line holds no space, and no text a line's end, but where we write them.
std::optional<RefusalKind> RequestText::WhyNoRequestLine() const {
  if (!Has(kMethod)) return RefusalKind::kPseudoField;
  const std::string& method = pseudo_[kMethod];
  if (!http::IsToken(method)) return RefusalKind::kBadMethod;
  const bool connect = method == "CONNECT";
  if (connect && pseudo_[kProtocol] != "websocket") return RefusalKind::kConnectNotSupported;
  if (!connect && Has(kProtocol)) return RefusalKind::kPseudoField;
  if (!Has(kScheme) || !Has(kPath)) return RefusalKind::kPseudoField;
  if (pseudo_[kScheme] != "http" && pseudo_[kScheme] != "https") return RefusalKind::kPseudoField;
  const std::string& path = pseudo_[kPath];
  if (!http::AllAre(http::kTargetCharacter, path)) return RefusalKind::kBadTarget;
  const bool asterisk = path == "*" && method == "OPTIONS";
  if (!path.starts_with('/') && !asterisk) return RefusalKind::kBadTarget;
  if (Has(kAuthority) && !http::IsValidFieldValue(pseudo_[kAuthority])) {
    return RefusalKind::kBadHost;
  }
  return std::nullopt;
}

void RequestText::WriteRequestLine() {
  line_written_ = true;
  if (const auto why = WhyNoRequestLine()) return Refuse(*why);
  websocket_ = Has(kProtocol);
  text_.append(websocket_ ? std::string_view("GET") : pseudo_[kMethod]).append(" ");
  text_.append(pseudo_[kPath]).append(" HTTP/1.1\r\n");
  if (Has(kAuthority)) http::AppendField(text_, "host", pseudo_[kAuthority]);
  if (websocket_) text_.append("connection: upgrade\r\nupgrade: websocket\r\n");
}

void RequestText::TakeField(std::string_view name, std::string_view value) {
  if (!line_written_) WriteRequestLine();
  if (refused_) return;
  if (!IsFieldName(name)) return Refuse(RefusalKind::kBadFieldName);
  if (!http::IsValidFieldValue(value)) return Refuse(RefusalKind::kBadFieldValue);
  if (BelongsToConnection(name, value)) return Refuse(RefusalKind::kConnectionField);
  if (name == "cookie") {  // browsers send each by itself: RFC 9113 8.2.3
    if (!cookies_.empty()) cookies_.append("; ");
    cookies_.append(value);
    return;
  }
  if (name == "host" && Has(kAuthority)) {  // two hosts are nobody's to choose from
    if (value != pseudo_[kAuthority]) Refuse(RefusalKind::kRepeatedHost);
    return;
  }
  if (name == "priority") urgency_ = UrgencyOf(value, urgency_);
  if (name == "content-length") {
    has_length_ = true;
    content_length_ =
        ParseDecimal(value, UINT64_MAX).value_or(0);  // the parser refuses what is none
  }
  http::AppendField(text_, name, value);
}

std::optional<RefusalKind> RequestText::Finish(Ends ends) {
  if (!refused_ && !line_written_) WriteRequestLine();
  if (refused_) return refused_;
  if (!cookies_.empty()) http::AppendField(text_, "cookie", cookies_);
  const bool ended = ends == Ends::kYes;
  const bool tunnel_with_length = websocket_ && has_length_;
  if ((ended && content_length_.value_or(0) > 0) || tunnel_with_length)
    Refuse(RefusalKind::kBodyLength);
  if (!ended && !has_length_ && !websocket_) text_.append("transfer-encoding: chunked\r\n");
  text_.append("\r\n");
  return refused_;
}

std::optional<RefusalKind> CheckTrailer(std::string_view name, std::string_view value) {
  if (name.starts_with(':')) return RefusalKind::kPseudoField;
  if (!IsFieldName(name) || !http::IsValidFieldValue(value)) return RefusalKind::kBadTrailer;
  if (BelongsToConnection(name, value)) return RefusalKind::kConnectionField;
  return std::nullopt;
}

}  // namespace onebox::http2
