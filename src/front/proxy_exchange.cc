#include "front/proxy_exchange.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/ascii.h"
#include "front/shard.h"
#include "http/cookie.h"
#include "http/forwarded.h"
#include "http/response_head.h"
#include "http/upstream_request.h"
#include "upstream/websocket_key.h"

namespace onebox::front {
namespace {

using telemetry::Limit;
using upstream::Call;
using upstream::End;
using EndStep = telemetry::Step;

// A side of a tunnel that takes nothing stops the other one, when so much waits for it.
constexpr std::uint64_t kTunnelAheadMax = 64 << 10;
constexpr std::string_view kWebSocketAccept = "Sec-WebSocket-Accept";

// RFC 9110 7.6.3; the name of the protocol is left out where it is HTTP.
std::string_view VersionOf(Protocol protocol) {
  switch (protocol) {
    case Protocol::kHttp10:
      return "1.0";
    case Protocol::kHttp11:
      return "1.1";
    case Protocol::kHttp2:
      break;
  }
  return "2";
}

// `head`: a whole one, which keeps its first and its empty line.
void ChangeFields(std::string& head, const HeaderRules& rules) {
  if (rules.empty()) return;
  head.resize(head.size() - 2);
  rules.Apply(head, head.find('\n') + 1, false);
  head += "\r\n";
}

// What the server said to us alone is left out.
void PassFields(const http::ResponseHead& head, channel::ResponseHead& made) {
  made.status = static_cast<std::uint16_t>(head.status);
  made.reason = head.reason;
  made.content_length =
      head.has_length ? std::optional(head.content_length) : std::optional<std::uint64_t>();
  made.fields.clear();
  const bool names_others = http::ConnectionNamesFields(head);
  for (const http::Field& field : head.fields()) {
    if (field.known == http::KnownField::kContentLength || http::IsHopByHop(field)) continue;
    if (names_others && http::ConnectionNames(head, field.name)) continue;
    made.fields.push_back({field.name, field.value});
  }
}

}  // namespace

ProxyExchange::ProxyExchange(Responder& responder,
                             Shard& shard,
                             std::string_view bytes,
                             const http::RequestHead& head,
                             const RouteRules& rules,
                             upstream::Upstream& upstream)
    : Exchange(responder, shard, bytes, head, rules),
      upstream_(upstream),
      writer_(shard,
              responder,
              head,
              {head_bytes_, id_, method_, more_fields_, &rules.headers},
              answer_fields_),
      call_(shard.upstream_client(), upstream, *this),
      upgrade_(responder.may_switch() && http::AsksForUpgrade(head) &&
               EqualsIgnoreCase(head.Value(http::KnownField::kUpgrade), "websocket")) {}

ProxyExchange::~ProxyExchange() {
  if (tunnel_) upstream_.CountTunnel(-1);
}

// --- ask

void ProxyExchange::Begin(const http::RequestHead* head) {
  step_ = Step::kWaiting;
  deadline_ = shard_.now() + rules_.timeout;
  upstream_.retries().CountRequest(shard_.now());
  Try(head != nullptr ? *head : HeadAgain());
}

std::string ProxyExchange::KeyOf(const http::RequestHead& head) {
  const upstream::HashKey& key = upstream_.settings().key;
  using Kind = upstream::HashKey::Kind;
  switch (key.kind) {
    case Kind::kPath:
      return std::string(head.path);
    case Kind::kCookie:
      return std::string(http::FindCookie(head, key.name).value_or(""));
    case Kind::kHeader:
      for (const http::Field& field : head.fields()) {
        if (EqualsIgnoreCase(field.name, key.name)) return std::string(field.value);
      }
      return {};
    case Kind::kAddress:
      break;
  }
  const auto client = shard_.OriginOf(responder_.peer(), head).client;
  return client ? http::FormatAddress(*client) : std::string();
}

upstream::Server* ProxyExchange::Next(const http::RequestHead& head) {
  std::string key;
  if (upstream_.settings().balance == upstream::Balance::kHash) key = KeyOf(head);
  return upstream_.Choose({.now = shard_.now(),
                           .random = shard_.upstream_client().Random(),
                           .key = key,
                           .tried = tried_});
}

void ProxyExchange::Try(const http::RequestHead& head) {
  upstream::Server* const server = Next(head);
  if (server == nullptr) return FailNoServer();
  Send(*server, head, Call::Use::kAny);
}

void ProxyExchange::Send(upstream::Server& server, const http::RequestHead& head, Call::Use use) {
  const upstream::Settings& settings = upstream_.settings();
  const Peer& peer = responder_.peer();
  const http::Origin origin = shard_.OriginOf(peer, head);
  std::string_view host = settings.host;
  if (settings.host_policy == upstream::HostPolicy::kServer) host = server.authority();
  if (responder_.must_switch()) websocket_key_ = upstream::NewWebSocketKey();
  std::string& out = shard_.wire_buffer();
  out.clear();
  const bool has_body = head.framing != http::Framing::kNone;
  http::AppendUpstreamRequest(
      out,
      {.head = head,
       .hop = {.peer = peer.address,
               .client = origin.client,
               .scheme = origin.scheme,
               .host = origin.host.empty() ? head.host : origin.host,
               .protocol = VersionOf(responder_.protocol()),
               .port = peer.endpoint->port,
               .trusted = origin.from_trusted_proxy},
       .host = host,
       .id = id_,
       .content_length = has_body ? std::optional(body_.size()) : std::optional<std::uint64_t>(),
       .upgrade = upgrade_,
       .websocket_key = websocket_key_,
       .close = settings.keepalive == 0});
  ChangeFields(out, rules_.request_headers);
  server_ = &server;
  ++tries_;
  asked_ = shard_.now();
  step_ = Step::kRunning;
  call_.Start(server,
              {.head = out,
               .body = body_.in_file() ? std::string_view() : body_.memory(),
               .file = body_.in_file() ? &body_.file() : nullptr,
               .body_bytes = body_.size(),
               .method = method_,
               .upgrade = upgrade_,
               .head_timeout = std::min(settings.head_timeout, deadline_ - asked_)},
              use);
}

void ProxyExchange::FailNoServer() {
  retry_after_ = static_cast<std::uint8_t>(upstream_.RetryAfter(shard_.now()));
  upstream_.CountNoServer();
  shard_.log().Warning("request {} \"{}\": no server of upstream {} can be asked",
                       id_,
                       request_line(),
                       upstream_.settings().name);
  Fail(503, EndStep::kWait, "no server can be asked at the moment");
}

// --- what becomes of it

void ProxyExchange::OnFailed(const upstream::Failed& failed) {
  if (step_ == Step::kDone) return;
  const upstream::FailureRow& row = upstream::RowOf(failed.failure);
  if (!failed.stale) {
    shard_.log().Warning("request {} \"{}\": {} ({}): {}{}{}",
                         id_,
                         request_line(),
                         server_->name(),
                         upstream_.settings().name,
                         row.reason,
                         failed.detail.empty() ? "" : ": ",
                         failed.detail);
  }
  if (tunnel_) return EndTunnel();
  if (failed.answering) {
    answer_bytes_ = writer_.body_bytes();
    step_ = Step::kDone;
    Record(EndStep::kRun);
    return responder_.Abort();
  }
  if (MayTryAgain(failed)) return TryAgain(failed);
  GiveUp(failed);
}

// Once more, if the server cannot have begun, or to begin twice does no harm.
bool ProxyExchange::MayTryAgain(const upstream::Failed& failed) {
  if (shard_.now() >= deadline_) return false;
  if (!failed.untouched && !http::IsIdempotent(method_)) return false;
  if (failed.stale) return true;
  if (tries_ > upstream_.settings().retries) return false;
  return failed.untouched || upstream_.retries().Take(shard_.now());
}

void ProxyExchange::TryAgain(const upstream::Failed& failed) {
  const http::RequestHead& head = HeadAgain();
  if (failed.stale) {
    --tries_;
    return Send(*server_, head, Call::Use::kFresh);
  }
  tried_ |= std::uint64_t{1} << server_->number();
  upstream::Server* next = Next(head);
  // A server that is alone and ended a connection may do better on the next.
  const bool closed =
      failed.failure == upstream::Failure::kClosed || failed.failure == upstream::Failure::kSend;
  if (next == nullptr && closed && tries_ == 1) next = server_;
  if (next == nullptr) return GiveUp(failed);
  upstream_.CountRetry();
  Send(*next, head, Call::Use::kFresh);
}

void ProxyExchange::GiveUp(const upstream::Failed& failed) {
  const upstream::FailureRow& row = upstream::RowOf(failed.failure);
  retry_after_ = static_cast<std::uint8_t>(upstream_.RetryAfter(shard_.now()));
  if (row.status == 504) shard_.lane().Add(Limit::kRequestTimeout);
  Fail(row.status, EndStep::kRun, row.reason);
}

void ProxyExchange::Leave(int /*status*/) {
  call_.Abandon();
}

void ProxyExchange::OnClientGone() {
  if (step_ == Step::kDone) return;
  const EndStep step = step_ == Step::kBody        ? EndStep::kReadBody
                       : step_ == Step::kAnswering ? EndStep::kWrite
                                                   : EndStep::kRun;
  if (step_ != Step::kAnswering) shard_.lane().Add(telemetry::Counter::kRequestsAbandoned);
  call_.Abandon();
  step_ = Step::kDone;
  if (!tunnel_) answer_bytes_ = writer_.body_bytes();
  if (status_ == 0) status_ = 499;  // nginx's word for it, in the log alone
  if (std::exchange(tunnel_, false)) upstream_.CountTunnel(-1);
  Record(step);
}

// --- write

void ProxyExchange::OnInterim(const http::ResponseHead& head) {
  if (head.status != 103) return;
  std::string fields;
  for (const http::Field& field : head.fields()) {
    if (!http::IsHopByHop(field)) http::AppendField(fields, field.name, field.value);
  }
  responder_.SendInterim(head.status, fields);
}

void ProxyExchange::OnAnswer(const http::ResponseHead& head, std::string_view body, End end) {
  if (step_ != Step::kRunning) return;
  answered_ = shard_.now();
  if (responder_.must_switch() && !AnswersTunnel(head)) return FailTunnel(head.status);
  status_ = head.status;
  step_ = Step::kAnswering;
  if (head.status == 101) return SwitchProtocols(head, body);
  body_.Drop();
  shard_.InvalidateIfChanged(responder_, head_bytes_, method_, status_);
  channel::ResponseHead& made = shard_.response();
  PassFields(head, made);
  // RFC 9110 7.6.3 leaves it to a gateway; who hides the name of the server hides this one too.
  if (!shard_.settings().server_name.empty()) {
    made.fields.push_back({"Via", head.minor_version == 0 ? "1.0 onebox" : "1.1 onebox"});
  }
  // The parser has let nothing through that the writer refuses.
  CHECK(writer_.Begin(
      made, body, end == End::kComplete ? channel::End::kComplete : channel::End::kNotYet));
  GoOn(end);
}

void ProxyExchange::OnBody(std::string_view body, End end) {
  if (step_ != Step::kAnswering) return;
  if (tunnel_) return PassOn(body, end);
  writer_.Append(body, end == End::kComplete ? channel::End::kComplete : channel::End::kNotYet);
  GoOn(end);
}

void ProxyExchange::GoOn(End end) {
  if (step_ != Step::kAnswering) return;  // the client has gone
  answer_bytes_ = writer_.body_bytes();
  if (end == End::kNotYet) {
    paused_ = responder_.pending() > shard_.settings().answer_ahead_max;
    if (paused_) call_.Pause();
    return;
  }
  step_ = Step::kDone;
  Record(EndStep::kWrite);
  responder_.Finish();
}

void ProxyExchange::OnWritable() {
  const std::uint64_t ahead_max =
      tunnel_ ? kTunnelAheadMax : shard_.settings().answer_ahead_max / 2;
  if (!paused_ || responder_.pending() > ahead_max) return;
  paused_ = false;
  call_.Resume();
}

// --- a tunnel

// Of a client that cannot see for itself whether the server has understood: the tunnel, or why there is none.
bool ProxyExchange::AnswersTunnel(const http::ResponseHead& head) const {
  if (head.status != 101) return head.status >= 300;
  const std::string accept = upstream::WebSocketAcceptFor(websocket_key_);
  const auto said =
      std::find_if(head.fields().begin(), head.fields().end(), [](const http::Field& field) {
        return EqualsIgnoreCase(field.name, kWebSocketAccept);
      });
  return EqualsIgnoreCase(head.Value(http::KnownField::kUpgrade), "websocket") &&
         said != head.fields().end() && said->value == accept;
}

void ProxyExchange::FailTunnel(int status) {
  shard_.log().Warning("request {} \"{}\": {} ({}): status {} is no agreement on a WebSocket",
                       id_,
                       request_line(),
                       server_->name(),
                       upstream_.settings().name,
                       status);
  Fail(502, EndStep::kRun, "the server did not agree on a WebSocket");
}

void ProxyExchange::SwitchProtocols(const http::ResponseHead& head, std::string_view bytes) {
  tunnel_ = true;
  upstream_.CountTunnel(1);
  std::string fields;
  for (const http::Field& field : head.fields()) {
    if (http::IsHopByHop(field) || field.known == http::KnownField::kContentLength) continue;
    if (!websocket_key_.empty() && EqualsIgnoreCase(field.name, kWebSocketAccept)) continue;
    http::AppendField(fields, field.name, field.value);
  }
  http::AppendField(fields, "Upgrade", "websocket");
  http::AppendField(fields, "X-Request-ID", id_);
  responder_.SwitchProtocols(fields);
  if (step_ == Step::kAnswering && !bytes.empty()) PassOn(bytes, End::kNotYet);
}

// From the server to the client.
void ProxyExchange::PassOn(std::string_view bytes, End end) {
  answer_bytes_ += bytes.size();
  if (!bytes.empty()) responder_.Send(bytes, Last::kNo);
  if (step_ != Step::kAnswering) return;
  if (end == End::kComplete) return EndTunnel();
  paused_ = responder_.pending() > kTunnelAheadMax;
  if (paused_) call_.Pause();
}

bool ProxyExchange::TakesTunnelBytes() const {
  return tunnel_ && !client_ended_ && call_.running() && call_.pending() <= kTunnelAheadMax;
}

void ProxyExchange::OnTunnelBytes(std::string_view bytes) {
  if (tunnel_ && call_.running()) call_.Send(bytes);
}

void ProxyExchange::OnTunnelEnd() {
  client_ended_ = true;
  call_.EndSending();
}

void ProxyExchange::OnTookBytes() {
  if (!client_ended_) responder_.GoOnLater();
}

void ProxyExchange::EndTunnel() {
  if (!std::exchange(tunnel_, false)) return;
  upstream_.CountTunnel(-1);
  call_.Abandon();
  if (step_ == Step::kDone) return;
  step_ = Step::kDone;
  Record(EndStep::kWrite);
  responder_.Finish();
}

// --- record

void ProxyExchange::Describe(Ended& ended) const {
  if (server_ == nullptr) return;
  ended.upstream = server_->name();
  ended.run = (answered_ == Time() ? shard_.now() : answered_) - asked_;
}

}  // namespace onebox::front
