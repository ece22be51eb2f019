#include "telemetry/access_log.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <iterator>
#include <string>

#include <fmt/format.h>

#include "base/ascii.h"
#include "base/nearest.h"
#include "telemetry/civil_time.h"
#include "telemetry/escape.h"

namespace onebox::telemetry {

enum class AccessAtom : std::uint8_t {
  kLiteral,
  kNobody,  // the identity of RFC 1413, which nobody has
  kClient,
  kUser,
  kTimeLocal,
  kTimeLocalInBrackets,
  kTimeIso8601,
  kTimeUtc,
  kTimeUnix,
  kRequest,
  kMethod,
  kTarget,
  kPath,
  kQuery,
  kArguments,  // the query, or "-"
  kProtocol,
  kScheme,
  kHost,
  kRequestId,
  kStatus,
  kBodyBytes,
  kSentBytes,
  kRequestBytes,
  kTotalSeconds,       // 1
  kTotalMilliseconds,  // 1500
  kTotalMicroseconds,  // 1500000
  kTotalMillis,        // 1.500
  kTotalMicros,        // 1.500000
  kQueueWait,
  kRun,
  kWorker,
  kWorkerInBrackets,
  kUpstream,
  kConnectionRequests,
  kRequestField,
  kResponseField,
};

namespace {

using Atom = AccessAtom;
using Pieces = std::vector<AccessPiece>;

struct NamedAtom {
  std::string_view name;
  Atom atom;
};

// %(h)s
constexpr std::array kGunicornAtoms = {
    NamedAtom{"h", Atom::kClient},
    NamedAtom{"l", Atom::kNobody},
    NamedAtom{"u", Atom::kUser},
    NamedAtom{"t", Atom::kTimeLocalInBrackets},
    NamedAtom{"r", Atom::kRequest},
    NamedAtom{"m", Atom::kMethod},
    NamedAtom{"U", Atom::kPath},
    NamedAtom{"q", Atom::kQuery},
    NamedAtom{"H", Atom::kProtocol},
    NamedAtom{"s", Atom::kStatus},
    NamedAtom{"B", Atom::kBodyBytes},
    NamedAtom{"b", Atom::kBodyBytes},  // Gunicorn promises "-" for 0, and writes 0
    NamedAtom{"T", Atom::kTotalSeconds},
    NamedAtom{"M", Atom::kTotalMilliseconds},
    NamedAtom{"D", Atom::kTotalMicroseconds},
    NamedAtom{"L", Atom::kTotalMicros},
    NamedAtom{"p", Atom::kWorkerInBrackets},
};

// $remote_addr
constexpr std::array kNginxVariables = {
    NamedAtom{"remote_addr", Atom::kClient},
    NamedAtom{"remote_user", Atom::kUser},
    NamedAtom{"time_local", Atom::kTimeLocal},
    NamedAtom{"time_iso8601", Atom::kTimeIso8601},
    NamedAtom{"msec", Atom::kTimeUnix},
    NamedAtom{"request", Atom::kRequest},
    NamedAtom{"request_method", Atom::kMethod},
    NamedAtom{"request_uri", Atom::kTarget},
    NamedAtom{"uri", Atom::kPath},
    NamedAtom{"document_uri", Atom::kPath},
    NamedAtom{"args", Atom::kArguments},
    NamedAtom{"query_string", Atom::kArguments},
    NamedAtom{"server_protocol", Atom::kProtocol},
    NamedAtom{"scheme", Atom::kScheme},
    NamedAtom{"host", Atom::kHost},
    NamedAtom{"request_id", Atom::kRequestId},
    NamedAtom{"status", Atom::kStatus},
    NamedAtom{"body_bytes_sent", Atom::kBodyBytes},
    NamedAtom{"bytes_sent", Atom::kSentBytes},
    NamedAtom{"request_length", Atom::kRequestBytes},
    NamedAtom{"request_time", Atom::kTotalMillis},
    NamedAtom{"queue_time", Atom::kQueueWait},
    NamedAtom{"upstream_response_time", Atom::kRun},
    NamedAtom{"upstream_addr", Atom::kUpstream},
    NamedAtom{"pid", Atom::kWorker},
    NamedAtom{"connection_requests", Atom::kConnectionRequests},
};

// %({REMOTE_ADDR}e)s: what of the app's environ is the request's own, and so known here. In any case,
// as with Gunicorn; python/onebox/gunicorn_report.py has the same names.
constexpr std::array kEnvironAtoms = {
    NamedAtom{"remote_addr", Atom::kClient},
    NamedAtom{"request_method", Atom::kMethod},
    NamedAtom{"raw_uri", Atom::kTarget},
    NamedAtom{"path_info", Atom::kPath},
    NamedAtom{"query_string", Atom::kQuery},
    NamedAtom{"server_protocol", Atom::kProtocol},
    NamedAtom{"wsgi.url_scheme", Atom::kScheme},
};

constexpr std::string_view kCommon =
    "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent";
constexpr std::string_view kCombined =
    "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent"
    " \"$http_referer\" \"$http_user_agent\"";

Pieces JsonPieces() {
  return {
      {Atom::kLiteral, R"({"time":")"},
      {Atom::kTimeUtc, ""},
      {Atom::kLiteral, R"(","request_id":")"},
      {Atom::kRequestId, ""},
      {Atom::kLiteral, R"(","client":")"},
      {Atom::kClient, ""},
      {Atom::kLiteral, R"(","user":")"},
      {Atom::kUser, ""},
      {Atom::kLiteral, R"(","scheme":")"},
      {Atom::kScheme, ""},
      {Atom::kLiteral, R"(","host":")"},
      {Atom::kHost, ""},
      {Atom::kLiteral, R"(","method":")"},
      {Atom::kMethod, ""},
      {Atom::kLiteral, R"(","target":")"},
      {Atom::kTarget, ""},
      {Atom::kLiteral, R"(","protocol":")"},
      {Atom::kProtocol, ""},
      {Atom::kLiteral, R"(","status":)"},
      {Atom::kStatus, ""},
      {Atom::kLiteral, R"(,"request_bytes":)"},
      {Atom::kRequestBytes, ""},
      {Atom::kLiteral, R"(,"body_bytes":)"},
      {Atom::kBodyBytes, ""},
      {Atom::kLiteral, R"(,"sent_bytes":)"},
      {Atom::kSentBytes, ""},
      {Atom::kLiteral, R"(,"total_seconds":)"},
      {Atom::kTotalMicros, ""},
      {Atom::kLiteral, R"(,"queue_seconds":)"},
      {Atom::kQueueWait, ""},
      {Atom::kLiteral, R"(,"run_seconds":)"},
      {Atom::kRun, ""},
      {Atom::kLiteral, R"(,"worker":)"},
      {Atom::kWorker, ""},
      {Atom::kLiteral, R"(,"upstream":")"},
      {Atom::kUpstream, ""},
      {Atom::kLiteral, R"(","referer":")"},
      {Atom::kRequestField, "referer"},
      {Atom::kLiteral, R"(","user_agent":")"},
      {Atom::kRequestField, "user-agent"},
      {Atom::kLiteral, R"("})"},
  };
}

Error FormatError(std::string_view what, std::string_view advice) {
  std::string shown;  // the text may be broken in any way
  AppendPrintable(shown, what);
  return OperatorError(fmt::format("access log format: {}: {}", shown, advice));
}

// "did you mean $request_time?", or all that there are.
template <std::size_t kSize>
std::string Advice(std::string_view wrong,
                   const std::array<NamedAtom, kSize>& known,
                   std::string_view before,
                   std::string_view after) {
  std::array<std::string_view, kSize> names;
  std::transform(
      known.begin(), known.end(), names.begin(), [](const NamedAtom& atom) { return atom.name; });
  if (const auto nearest = NearestName(wrong, names); !nearest.empty()) {
    return fmt::format("did you mean {}{}{}?", before, nearest, after);
  }
  std::string all = "there are only";
  for (const std::string_view name : names)
    all += fmt::format(" {}{}{}", before, name, after);
  return all;
}

template <std::size_t kSize>
std::optional<Atom> Find(std::string_view name, const std::array<NamedAtom, kSize>& known) {
  for (const NamedAtom& atom : known) {
    if (atom.name == name) return atom.atom;
  }
  return std::nullopt;
}

void AddLiteral(Pieces& pieces, std::string_view text) {
  if (text.empty()) return;
  if (pieces.empty() || pieces.back().atom != Atom::kLiteral)
    pieces.push_back({Atom::kLiteral, ""});
  pieces.back().text += text;
}

std::string FieldNameOf(std::string_view variable) {
  std::string name = Lowered(variable);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

std::optional<AccessPiece> EnvironPiece(std::string_view variable) {
  constexpr std::string_view kFieldPrefix = "http_";
  const std::string name = Lowered(variable);
  if (name.size() > kFieldPrefix.size() && name.starts_with(kFieldPrefix)) {
    return AccessPiece{Atom::kRequestField,
                       FieldNameOf(std::string_view(name).substr(kFieldPrefix.size()))};
  }
  if (name == "content_type" || name == "content_length") {
    return AccessPiece{Atom::kRequestField, FieldNameOf(name)};
  }
  if (const auto atom = Find(name, kEnvironAtoms)) return AccessPiece{*atom, ""};
  return std::nullopt;
}

// "{Referer}i": the inside of %({Referer}i)s.
Result<AccessPiece> GunicornField(std::string_view inside) {
  const std::size_t end = inside.find('}');
  const std::string_view name = inside.substr(1, end == inside.npos ? end : end - 1);
  const std::string_view kind = end == inside.npos ? "" : inside.substr(end + 1);
  if (!name.empty() && kind == "i") return AccessPiece{Atom::kRequestField, Lowered(name)};
  if (!name.empty() && kind == "o") return AccessPiece{Atom::kResponseField, Lowered(name)};
  if (kind == "e") {
    if (auto piece = EnvironPiece(name)) return *std::move(piece);
    return FormatError(fmt::format("%({})s", inside),
                       "of the app's environ only HTTP_*, CONTENT_* and what else the request says "
                       "is known here");
  }
  return FormatError(fmt::format("%({})s", inside),
                     "a field is %({Name}i)s of the request or %({Name}o)s of the response, and "
                     "%({NAME}e)s a variable of the environ");
}

Result<AccessPiece> GunicornAtom(std::string_view inside) {
  if (inside.starts_with('{')) return GunicornField(inside);
  if (inside == "f") return AccessPiece{Atom::kRequestField, "referer"};
  if (inside == "a") return AccessPiece{Atom::kRequestField, "user-agent"};
  if (const auto atom = Find(inside, kGunicornAtoms)) return AccessPiece{*atom, ""};
  return FormatError(fmt::format("%({})s is not known", inside),
                     Advice(inside, kGunicornAtoms, "%(", ")s"));
}

Result<AccessPiece> NginxVariable(std::string_view name) {
  constexpr std::string_view kRequestPrefix = "http_";
  constexpr std::string_view kResponsePrefix = "sent_http_";
  if (name.size() > kRequestPrefix.size() && name.starts_with(kRequestPrefix)) {
    return AccessPiece{Atom::kRequestField, FieldNameOf(name.substr(kRequestPrefix.size()))};
  }
  if (name.size() > kResponsePrefix.size() && name.starts_with(kResponsePrefix)) {
    return AccessPiece{Atom::kResponseField, FieldNameOf(name.substr(kResponsePrefix.size()))};
  }
  if (name == "content_type" || name == "content_length") {
    return AccessPiece{Atom::kRequestField, FieldNameOf(name)};
  }
  if (const auto atom = Find(name, kNginxVariables)) return AccessPiece{*atom, ""};
  return FormatError(fmt::format("${} is not known", name), Advice(name, kNginxVariables, "$", ""));
}

bool IsVariableCharacter(char c) {
  return IsDigit(c) || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Takes "%(h)s" from the front of `text`.
Result<AccessPiece> TakeGunicornAtom(std::string_view& text) {
  const std::size_t end = text.find(")s");
  if (!text.starts_with("%(") || end == text.npos) {
    return FormatError(text.substr(0, 16), "write %(h)s for a value, %% for a percent sign");
  }
  const std::string_view inside = text.substr(2, end - 2);
  text.remove_prefix(end + 2);
  return GunicornAtom(inside);
}

// Takes "$status" or "${status}" from the front of `text`.
Result<AccessPiece> TakeNginxVariable(std::string_view& text) {
  const bool braces = text.starts_with("${");
  const std::string_view rest = text.substr(braces ? 2 : 1);
  const std::string_view name(rest.begin(),
                              std::find_if_not(rest.begin(), rest.end(), IsVariableCharacter));
  const bool closed = !braces || rest.substr(name.size()).starts_with('}');
  if (name.empty() || !closed) {
    return FormatError(text.substr(0, 16), "write $status for a value, $$ for a dollar sign");
  }
  text = rest.substr(name.size() + (braces ? 1 : 0));
  return NginxVariable(name);
}

Result<Pieces> ParsePieces(std::string_view text) {
  Pieces pieces;
  while (!text.empty()) {
    const std::size_t length = std::min(text.find_first_of("%$"), text.size());
    AddLiteral(pieces, text.substr(0, length));
    text.remove_prefix(length);
    if (text.starts_with("%%") || text.starts_with("$$")) {
      AddLiteral(pieces, text.substr(0, 1));
      text.remove_prefix(2);
    } else if (text.starts_with('%')) {
      pieces.push_back(TRY(TakeGunicornAtom(text)));
    } else if (text.starts_with('$')) {
      pieces.push_back(TRY(TakeNginxVariable(text)));
    }
  }
  return pieces;
}

bool IsLiteral(const AccessPiece& piece) {
  return piece.atom == Atom::kLiteral;
}

bool IsControl(char c) {
  return (c >= 0 && c < 0x20 && c != '\t') || c == 0x7F;
}

template <typename Number>
void AppendNumber(std::string& out, Number number) {
  char digits[24];
  const auto end = std::to_chars(std::begin(digits), std::end(digits), number).ptr;
  out.append(std::begin(digits), end);
}

template <typename Unit>
std::int64_t Whole(Duration duration) {
  return std::chrono::floor<Unit>(std::max(duration, Duration(0))).count();
}

// Seconds with a fixed number of decimals: 1.500.
template <typename Unit>
void AppendDecimal(std::string& out, Duration duration) {
  constexpr std::int64_t kPerSecond = std::chrono::seconds(1) / Unit(1);
  const std::int64_t units = Whole<Unit>(duration);
  AppendNumber(out, units / kPerSecond);
  char decimals[24];  // kPerSecond + the rest has a leading 1, which becomes the point
  const auto end =
      std::to_chars(std::begin(decimals), std::end(decimals), kPerSecond + units % kPerSecond).ptr;
  decimals[0] = '.';
  out.append(std::begin(decimals), end);
}

void AppendUnixTime(std::string& out, WallTime time) {
  AppendDecimal<std::chrono::milliseconds>(out, time.time_since_epoch());
}

void AppendMillisecond(std::string& out, WallTime time) {
  char decimals[8];
  const auto end =
      std::to_chars(std::begin(decimals), std::end(decimals), 1000 + MillisecondOf(time)).ptr;
  decimals[0] = '.';
  out.append(std::begin(decimals), end);
}

constexpr std::array<std::string_view, 12> kMonths =
    {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

std::string Iso8601(const std::tm& fields) {
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
                     fields.tm_year + 1900,
                     fields.tm_mon + 1,
                     fields.tm_mday,
                     fields.tm_hour,
                     fields.tm_min,
                     fields.tm_sec);
}

// "+0100", with something between hours and minutes.
std::string Offset(const std::tm& fields, std::string_view between) {
  const long minutes = std::abs(fields.tm_gmtoff) / 60;
  return fmt::format(
      "{}{:02}{}{:02}", fields.tm_gmtoff < 0 ? '-' : '+', minutes / 60, between, minutes % 60);
}

AccessTime TimeOf(std::int64_t second) {
  const std::tm local = LocalFields(second);
  return {.second = second,
          .local = fmt::format("{:02}/{}/{:04}:{:02}:{:02}:{:02} {}",
                               local.tm_mday,
                               kMonths[static_cast<std::size_t>(local.tm_mon)],
                               local.tm_year + 1900,
                               local.tm_hour,
                               local.tm_min,
                               local.tm_sec,
                               Offset(local, "")),
          .iso8601 = Iso8601(local) + Offset(local, ":"),
          .utc = Iso8601(UtcFields(second))};
}

}  // namespace

std::string_view FieldLookup::FindInPairs(const void* owner,
                                          std::size_t size,
                                          std::string_view name) {
  for (const NamedField& field : std::span(static_cast<const NamedField*>(owner), size)) {
    if (EqualsIgnoreCase(field.name, name)) return field.value;
  }
  return {};
}

Result<AccessFormat> AccessFormat::Parse(std::string_view text) {
  if (text == "json") return AccessFormat(JsonPieces(), Escaping::kJson);
  if (text == "common") text = kCommon;
  if (text == "combined") text = kCombined;
  if (text.empty()) return FormatError("it is empty", "write combined, common, json or a format");
  if (std::any_of(text.begin(), text.end(), IsControl)) {
    return FormatError(text.substr(0, 80), "a format has no control characters but tabs");
  }
  Pieces pieces = TRY(ParsePieces(text));
  if (std::all_of(pieces.begin(), pieces.end(), IsLiteral)) {
    return FormatError(text.substr(0, 80),
                       "it shows nothing of a request: write combined, common, json, or a format "
                       "with values such as %(h)s or $status");
  }
  return AccessFormat(std::move(pieces), Escaping::kQuotable);
}

bool AccessFormat::reads_response_fields() const {
  return std::any_of(pieces_.begin(), pieces_.end(), [](const AccessPiece& piece) {
    return piece.atom == Atom::kResponseField;
  });
}

void AccessFormat::Append(std::string& out, const AccessRecord& record) {
  if (const std::int64_t second = UnixSeconds(record.time); second != time_.second) {
    time_ = TimeOf(second);
  }
  for (const AccessPiece& piece : pieces_)
    AppendPiece(out, piece, record);
  out += '\n';
}

void AccessFormat::AppendText(std::string& out, std::string_view value) const {
  if (escaping_ == Escaping::kJson) return AppendJson(out, value);
  if (value.empty()) {
    out += '-';
  } else {
    AppendQuotable(out, value);
  }
}

// A user's name stands without quotes in the usual formats: a space in it would shift the columns.
void AccessFormat::AppendUser(std::string& out, std::string_view user) const {
  const std::size_t start = out.size();
  AppendText(out, user);
  if (escaping_ == Escaping::kJson) return;
  for (std::size_t at = out.find(' ', start); at != out.npos; at = out.find(' ', at))
    out.replace(at, 1, "\\x20");
}

void AccessFormat::AppendRequest(std::string& out, const AccessRecord& record) const {
  AppendText(out, record.method);
  if (record.method.empty()) return;
  out += ' ';
  AppendText(out, record.target);
  out += ' ';
  AppendText(out, record.protocol);
}

void AccessFormat::AppendRun(std::string& out, std::optional<Duration> run) const {
  if (run) {
    AppendDecimal<std::chrono::microseconds>(out, *run);
  } else {
    out += escaping_ == Escaping::kJson ? "null" : "-";
  }
}

void AccessFormat::AppendPiece(std::string& out,
                               const AccessPiece& piece,
                               const AccessRecord& record) const {
  switch (piece.atom) {
    case Atom::kLiteral:
      out += piece.text;
      return;
    case Atom::kNobody:
      out += '-';
      return;
    case Atom::kClient:
      return AppendText(out, record.client);
    case Atom::kUser:
      return AppendUser(out, record.user);
    case Atom::kTimeLocal:
      out += time_.local;
      return;
    case Atom::kTimeLocalInBrackets:
      out.append("[").append(time_.local).append("]");
      return;
    case Atom::kTimeIso8601:
      out += time_.iso8601;
      return;
    case Atom::kTimeUtc:
      out += time_.utc;
      AppendMillisecond(out, record.time);
      out += 'Z';
      return;
    case Atom::kTimeUnix:
      return AppendUnixTime(out, record.time);
    case Atom::kRequest:
      return AppendRequest(out, record);
    case Atom::kMethod:
      return AppendText(out, record.method);
    case Atom::kTarget:
      return AppendText(out, record.target);
    case Atom::kPath:
      return AppendText(out, record.path);
    case Atom::kQuery:
      return AppendQuotable(out, record.query);
    case Atom::kArguments:
      return AppendText(out, record.query);
    case Atom::kProtocol:
      return AppendText(out, record.protocol);
    case Atom::kScheme:
      return AppendText(out, record.scheme);
    case Atom::kHost:
      return AppendText(out, record.host);
    case Atom::kRequestId:
      return AppendText(out, record.request_id);
    case Atom::kStatus:
      return AppendNumber(out, record.status);
    case Atom::kBodyBytes:
      return AppendNumber(out, record.body_bytes);
    case Atom::kSentBytes:
      return AppendNumber(out, record.sent_bytes);
    case Atom::kRequestBytes:
      return AppendNumber(out, record.request_bytes);
    case Atom::kTotalSeconds:
      return AppendNumber(out, Whole<std::chrono::seconds>(record.total));
    case Atom::kTotalMilliseconds:
      return AppendNumber(out, Whole<std::chrono::milliseconds>(record.total));
    case Atom::kTotalMicroseconds:
      return AppendNumber(out, Whole<std::chrono::microseconds>(record.total));
    case Atom::kTotalMillis:
      return AppendDecimal<std::chrono::milliseconds>(out, record.total);
    case Atom::kTotalMicros:
      return AppendDecimal<std::chrono::microseconds>(out, record.total);
    case Atom::kQueueWait:
      return AppendDecimal<std::chrono::microseconds>(out, record.queue_wait);
    case Atom::kRun:
      return AppendRun(out, record.run);
    case Atom::kWorker:
      return AppendNumber(out, record.worker_pid);
    case Atom::kWorkerInBrackets:
      out += '<';
      AppendNumber(out, record.worker_pid);
      out += '>';
      return;
    case Atom::kUpstream:
      return AppendText(out, record.upstream);
    case Atom::kConnectionRequests:
      return AppendNumber(out, record.connection_requests);
    case Atom::kRequestField:
      return AppendText(out, record.request_fields(piece.text));
    case Atom::kResponseField:
      return AppendText(out, record.response_fields(piece.text));
  }
}

}  // namespace onebox::telemetry
