#pragma once
// What holds for any bytes: the fuzz targets try it, and regression_test.cc replays what they found.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ascii.h"
#include "base/check.h"
#include "http/address.h"
#include "http/byte_search.h"
#include "http/chunked.h"
#include "http/date.h"
#include "http/etag.h"
#include "http/forwarded.h"
#include "http/head_scanner.h"
#include "http/negotiate.h"
#include "http/path.h"
#include "http/preconditions.h"
#include "http/proxy_protocol.h"
#include "http/range.h"
#include "http/request_head.h"
#include "http/response_head.h"
#include "http/reuse.h"
#include "http/upstream_request.h"
#include "http/upstream_response.h"

namespace onebox::http::properties {

// The first byte of an input chooses how the rest is used.
struct Input {
  unsigned choice = 0;
  std::string_view bytes;
};
inline Input InputOf(std::string_view data) {
  if (data.empty()) return {};
  return {static_cast<unsigned char>(data[0]), data.substr(1)};
}

inline HeadScanner::Progress ScanInPieces(std::string_view bytes,
                                          const Limits& limits,
                                          std::size_t piece) {
  HeadScanner scanner(limits);
  HeadScanner::Progress progress;
  for (std::size_t size = std::min(piece, bytes.size());;
       size = std::min(size + piece, bytes.size())) {
    progress = scanner.Scan(bytes.substr(0, size));
    if (progress.state != HeadScanner::State::kNeedMore || size == bytes.size()) return progress;
  }
}

inline void ExpectSame(const HeadScanner::Progress& a, const HeadScanner::Progress& b) {
  CHECK(a.state == b.state && a.refusal == b.refusal && a.begin == b.begin && a.end == b.end);
}

inline bool IsLimit(RefusalKind kind) {
  return kind == RefusalKind::kTargetTooLong || kind == RefusalKind::kHeadTooLarge ||
         kind == RefusalKind::kTooManyFields || kind == RefusalKind::kMethodTooLong;
}

inline std::string Rewritten(const RequestHead& head) {
  std::string bytes(head.method_name);
  bytes.append(" ").append(head.target).append(" HTTP/1.");
  bytes.push_back(static_cast<char>('0' + head.minor_version));
  bytes.append("\r\n");
  for (const Field& field : head.fields()) {
    CHECK(IsValidFieldName(field.name) && IsValidFieldValue(field.value));
    AppendField(bytes, field.name, field.value);
  }
  return bytes.append("\r\n");
}

inline KnownField SlowKnownFieldOf(std::string_view name) {
  for (std::size_t i = 1; i < kKnownFields; ++i) {
    const auto field = static_cast<KnownField>(i);
    if (EqualsIgnoreCase(NameOf(field), name)) return field;
  }
  return KnownField::kOther;
}

// What goes on to a server behind us is a request that we would take ourselves, of the same method and
// target, with one length alone, and nothing that the client said of its own connection.
inline void CheckPassedOn(const RequestHead& head) {
  std::string bytes;
  AppendUpstreamRequest(bytes,
                        {.head = head,
                         .hop = {.peer = ParseAddress("192.0.2.1"), .scheme = "http"},
                         .host = "upstream:80",
                         .id = "1",
                         .content_length = 7});
  RequestHead passed;
  CHECK(!ParseRequestHead(
      bytes,
      {.request_line_bytes_max = 65536, .head_bytes_max = 65536, .fields_max = kFieldsCapacity},
      passed));
  CHECK(passed.method_name == head.method_name && passed.path == head.path);
  CHECK(passed.query == head.query && passed.has_query == head.has_query);
  CHECK(passed.framing == Framing::kContentLength && passed.content_length == 7);
  CHECK(!passed.Has(KnownField::kConnection) && !passed.Has(KnownField::kUpgrade));
  CHECK(passed.Value(KnownField::kXForwardedFor) == "192.0.2.1");
  CHECK(!passed.Repeated(KnownField::kXForwardedFor) && !passed.Has(KnownField::kExpect));
}

// A head that is accepted holds only what the grammar allows, and says the same when it is written
// down again in the plainest way.
inline void CheckAcceptedHead(const RequestHead& head) {
  CHECK(IsToken(head.method_name) && !head.target.empty());
  CHECK(AllAre(kTargetCharacter, head.target));
  CHECK(head.path == "*" || head.path.starts_with('/'));
  CHECK(head.host.empty() ? head.minor_version == 0 : IsValidHost(head.host));
  for (const Field& field : head.fields()) {
    CHECK(field.known == SlowKnownFieldOf(field.name));
    CHECK(field.known == KnownField::kOther || head.Has(field.known));
  }
  if (head.framing == Framing::kChunked) CHECK(!head.Has(KnownField::kContentLength));
  if (head.framing != Framing::kChunked) CHECK(!head.Has(KnownField::kTransferEncoding));

  CheckPassedOn(head);
  const std::string bytes = Rewritten(head);
  RequestHead again;
  CHECK(!ParseRequestHead(
      bytes, {.head_bytes_max = bytes.size(), .fields_max = kFieldsCapacity}, again));
  CHECK(again.method == head.method && again.path == head.path && again.query == head.query);
  CHECK(again.host == head.host && again.framing == head.framing);
  CHECK(again.content_length == head.content_length && again.keep_alive == head.keep_alive);
  CHECK(again.expect_continue == head.expect_continue);
  CHECK(again.present == head.present && again.repeated == head.repeated);
  CHECK(again.field_count == head.field_count);
}

inline void CheckRequestHead(std::string_view data) {
  const auto [choice, bytes] = InputOf(data);
  constexpr Limits kSmall{.request_line_bytes_max = 24, .head_bytes_max = 80, .fields_max = 3};
  const Limits limits = choice % 2 == 0 ? Limits{} : kSmall;

  const auto whole = ScanInPieces(bytes, limits, bytes.size() + 1);
  ExpectSame(whole, ScanInPieces(bytes, limits, 1));
  ExpectSame(whole, ScanInPieces(bytes, limits, choice / 2 + 1));

  RequestHead head;
  if (whole.state == HeadScanner::State::kComplete) {
    const std::string_view found = bytes.substr(whole.begin, whole.end - whole.begin);
    const auto refused = ParseRequestHead(found, limits, head);
    if (!refused) CheckAcceptedHead(head);
    CHECK(!refused || !IsLimit(*refused));
    CHECK(refused != RefusalKind::kBrokenHead);
  }
  if (!ParseRequestHead(
          bytes, limits, head)) {  // the parser takes nothing that the scanner does not
    CHECK(whole.state == HeadScanner::State::kComplete);
    CHECK(whole.begin == 0 && whole.end == bytes.size());
  }
}

// An answer that is accepted can be read in one way alone, and its head was found by the scanner.
inline void CheckResponseHead(std::string_view data) {
  const auto [choice, bytes] = InputOf(data);
  const Limits limits = ResponseLimits(choice % 2 == 0 ? 4096 : 80);
  const Method method = choice % 4 < 2 ? Method::kGet : Method::kHead;
  const auto whole = ScanInPieces(bytes, limits, bytes.size() + 1);
  ExpectSame(whole, ScanInPieces(bytes, limits, 1));
  ExpectSame(whole, ScanInPieces(bytes, limits, choice / 4 + 1));
  if (whole.state == HeadScanner::State::kRefused) CHECK(!WrongResponse(whole.refusal).empty());

  ResponseHead head;
  if (const auto wrong = ParseResponseHead(bytes, method, limits, head)) {
    CHECK(!wrong->empty());
    return;
  }
  CHECK(whole.state == HeadScanner::State::kComplete);
  CHECK(whole.begin == 0 && whole.end == bytes.size());
  CHECK(head.status >= 100 && head.status <= 599 && IsValidFieldValue(head.reason));
  for (const Field& field : head.fields())
    CHECK(IsValidFieldName(field.name) && IsValidFieldValue(field.value));
  CHECK(!(head.has_length && head.Has(KnownField::kTransferEncoding)));
  CHECK(!head.Repeated(KnownField::kContentLength));
  const bool bodiless = method == Method::kHead || !StatusHasBody(head.status);
  if (bodiless && head.status != 205) CHECK(head.framing == ResponseFraming::kNone);
  if (head.framing == ResponseFraming::kUntilClose) CHECK(!head.keep_alive);
}

struct Decoded {
  std::string body;
  ChunkedDecoder::State state = ChunkedDecoder::State::kNeedMore;
  RefusalKind refusal{};
  std::size_t consumed = 0;

  bool operator==(const Decoded&) const = default;
};

inline Decoded Decode(std::string_view bytes, std::size_t piece) {
  ChunkedDecoder decoder;
  Decoded decoded;
  while (decoded.consumed < bytes.size()) {
    const std::string_view input = bytes.substr(decoded.consumed, piece);
    const auto step = decoder.Feed(input);
    CHECK(step.consumed <= input.size());
    decoded.consumed += step.consumed;
    decoded.body += step.data;
    const bool data = step.state == ChunkedDecoder::State::kData;
    CHECK(data == !step.data.empty());
    decoded.state = data ? ChunkedDecoder::State::kNeedMore : step.state;
    decoded.refusal = step.refusal;
    if (!data && step.state != ChunkedDecoder::State::kNeedMore) break;
  }
  return decoded;
}

inline void CheckChunked(std::string_view data) {
  const auto [choice, bytes] = InputOf(data);
  const std::size_t piece = choice + 1;
  const Decoded whole = Decode(bytes, bytes.size() + 1);
  CHECK(whole == Decode(bytes, 1));
  CHECK(whole == Decode(bytes, piece));

  std::string encoded;
  for (std::size_t at = 0; at < bytes.size(); at += piece)
    AppendChunk(encoded, bytes.substr(at, piece));
  encoded += kLastChunk;
  const Decoded back = Decode(encoded + "GET", piece);
  CHECK(back.state == ChunkedDecoder::State::kEnd);
  CHECK(back.body == bytes && back.consumed == encoded.size());
}

inline bool HasDotSegment(std::string_view path) {
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view segment = path.substr(0, end);
    if (segment == "." || segment == "..") return true;
    path.remove_prefix(end);
  }
  return false;
}

// Everything but slashes is percent-encoded: letters and dots too.
inline std::string Encoded(std::string_view path) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '/') {
      encoded += '/';
    } else {
      encoded.append({'%', kDigits[byte >> 4], kDigits[byte & 15]});
    }
  }
  return encoded;
}

// The normal form is normal: it stays as it is, however it is encoded.
inline void CheckPath(std::string_view data) {
  std::string storage;
  NormalPath normal;
  if (NormalizePath(data, storage, normal)) return;
  CHECK(normal.path.starts_with('/') && normal.path.size() <= data.size());
  CHECK(!HasDotSegment(normal.path) && normal.path.find('\0') == normal.path.npos);
  CHECK(normal.backslash == (normal.path.find('\\') != normal.path.npos) || normal.resolved);
  CHECK(normal.resolved || normal.encoded_slash ||
        std::count(data.begin(), data.end(), '/') ==
            std::count(normal.path.begin(), normal.path.end(), '/'));

  const std::string encoded = Encoded(normal.path);
  std::string storage_again;
  NormalPath again;
  CHECK(!NormalizePath(encoded, storage_again, again));
  CHECK(again.path == normal.path && !again.resolved && !again.encoded_slash);
}

inline void CheckDate(std::string_view text, std::int64_t now) {
  const auto seconds = ParseDate(text, now);
  if (!seconds || *seconds < 0 || *seconds > kDateMax) return;
  const DateText written = FormatDate(*seconds);
  CHECK(ParseDate(View(written), now) == seconds);
}

inline void CheckRange(std::string_view text, std::uint64_t size) {
  const Ranges ranges = ParseRange(text, size);
  CHECK(ranges.ranges().empty() == (ranges.outcome != RangeOutcome::kPartial));
  std::uint64_t bytes = 0;
  for (const ByteRange& range : ranges.ranges()) {
    CHECK(range.first <= range.last && range.last < size);
    bytes += range.size();
    CHECK(bytes <= size);  // nobody gets more than there is, so none overlap
  }
}

inline void CheckEntityTags(std::string_view text) {
  if (const auto tag = ParseEntityTag(text)) {
    std::string written;
    AppendEntityTag(written, *tag);
    CHECK(written == text);
    std::string_view list = text;
    CHECK(TakeEntityTag(list) && list.empty());
  }
  std::string_view list = text;
  while (TakeEntityTag(list))
    CHECK(list.size() < text.size());
}

inline void CheckAddress(std::string_view text) {
  if (const auto address = ParseAddress(text))
    CHECK(ParseAddress(FormatAddress(*address)) == address);
  if (const auto network = ParseNetwork(text)) {
    CHECK(network->Contains(*ParseAddress(text.substr(0, text.find('/')))));
  }
}

inline void CheckFields(std::string_view text) {
  constexpr std::array kNames = {"Accept-Encoding",
                                 "X-Forwarded-For",
                                 "X-Forwarded-Proto",
                                 "X-Forwarded-Host",
                                 "X-Real-IP",
                                 "Forwarded",
                                 "If-Match",
                                 "If-None-Match",
                                 "Range",
                                 "If-Modified-Since",
                                 "If-Range"};
  std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (const char* name : kNames)
    AppendField(bytes, name, text);
  bytes.append("\r\n");
  RequestHead head;
  const auto refused = ParseRequestHead(bytes, {.head_bytes_max = bytes.size()}, head);
  CHECK(!refused || !IsValidFieldValue(text));
  if (refused) return;

  const AcceptedCodings accepted(head);
  constexpr std::array kAvailable = {Coding::kBrotli, Coding::kGzip};
  const auto chosen = accepted.Choose(kAvailable);
  CHECK(chosen ? accepted.weight(*chosen) > 0 : accepted.weight(Coding::kIdentity) == 0);
  CHECK(chosen != Coding::kZstd);

  const auto peer = ParseAddress("10.0.0.1");
  const std::array networks = {*ParseNetwork("10.0.0.0/8")};
  for (const ClientField field :
       {ClientField::kXForwardedFor, ClientField::kForwarded, ClientField::kXRealIp}) {
    const Origin origin = FindOrigin(head, peer, {.networks = networks, .field = field});
    CHECK(origin.client && origin.from_trusted_proxy);
    CHECK(origin.scheme.empty() || origin.scheme == "http" || origin.scheme == "https");
    CHECK(origin.host.empty() || IsValidHost(origin.host));
  }

  const Validators validators{
      .etag = EntityTag{"a"}, .last_modified = 784111777, .now = 1'700'000'000};
  const Verdict verdict = EvaluatePreconditions(head, validators);
  if (text == "\"a\"") CHECK(verdict == Verdict::kNotModified);
  RangeApplies(head, validators);
}

inline void CheckNegotiation(std::string_view data) {
  const auto [choice, text] = InputOf(data);
  CheckDate(text, std::int64_t{choice} * 1'000'000'000);
  CheckRange(text, choice);
  CheckRange(text, UINT64_MAX - choice);
  CheckEntityTags(text);
  CheckAddress(text);
  CheckFields(text);
}

// However they are cut, the bytes are the same header or the same refusal; what is refused stays so.
inline void CheckProxyHeader(std::string_view data) {
  const ProxyHeaderRead whole = ReadProxyHeader(data);
  CHECK(whole.state != ProxyHeaderRead::State::kWhole || whole.header.size <= data.size());
  CHECK(whole.state == ProxyHeaderRead::State::kRefused || LooksLikeProxyHeader(data));
  for (std::size_t size = 0; size < data.size(); ++size) {
    const ProxyHeaderRead part = ReadProxyHeader(data.substr(0, size));
    if (part.state == ProxyHeaderRead::State::kNeedMore) continue;
    CHECK(part.state == whole.state && part.why == whole.why);
    CHECK(part.header.size == whole.header.size && part.header.client == whole.header.client);
    CHECK(part.header.client_port == whole.header.client_port);
    break;
  }
}

// Fields of an answer, one a line; the first byte chooses the route's rules and the request.
inline void CheckReuse(std::string_view data) {
  const auto [choice, text] = InputOf(data);
  ReuseFields fields{.status = 100 + static_cast<int>(choice * 2)};
  for (std::string_view left = text; !left.empty();) {
    const std::string_view line = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(left.size(), line.size() + 1));
    const std::size_t colon = std::min(line.find(':'), line.size());
    fields.Take(line.substr(0, colon), Trimmed(line.substr(std::min(colon + 1, line.size()))), 0);
  }
  AskedWith asked{.control = {}, .authorization = (choice & 1) != 0};
  asked.control.Add(text);
  ReusePolicy policy;
  if ((choice & 2) != 0) policy.ttl = CacheSeconds(60);
  const Judgement judged = Judge(fields, asked, policy, 0);
  if (judged.reason != NotStored::kStored) return;
  const CacheControl& said = fields.control;
  CHECK(!said.no_store && !said.is_private && !fields.set_cookie && !fields.VariesBy("cookie"));
  CHECK(!asked.authorization || judged.lifetime.for_authorized);
  CHECK(judged.lifetime.fresh >= Duration(0) && judged.lifetime.fresh <= kCacheSecondsMax);
  CHECK(!said.max_age || said.s_maxage || judged.lifetime.fresh <= *said.max_age);
  CHECK(InitialAge(fields, 0, Duration(0)) >= Duration(0));
  for (const Duration age :
       {Duration(0), Duration(judged.lifetime.fresh), Duration(kCacheSecondsMax)}) {
    const Use use = UseOf(judged.lifetime, age, {});
    CHECK((use == Use::kFresh) == (age < judged.lifetime.fresh && !judged.lifetime.no_cache));
    CHECK(use != Use::kWhileAsked || !said.must_revalidate);
  }
}

}  // namespace onebox::http::properties
