#include "front/shard.h"

#include <algorithm>
#include <bit>
#include <utility>

#include <fmt/format.h>

#include "base/ascii.h"
#include "front/app_exchange.h"
#include "front/delayed_exchange.h"
#include "front/http1_connection.h"
#include "front/http2_connection.h"
#include "front/log_privacy.h"
#include "front/proxy_exchange.h"
#include "front/proxy_header_connection.h"
#include "front/tls_handshake.h"
#include "front/upstream_metrics.h"
#include "http/basic_user.h"
#include "http/media_type.h"
#include "http/negotiate.h"
#include "http/request_id.h"
#include "http/response_head.h"
#include "os/random.h"
#include "telemetry/escape.h"
#include "telemetry/prometheus.h"

namespace onebox::front {
namespace {

constexpr std::size_t kReadBytes = 64 << 10;  // of one recv()
constexpr std::size_t kAccessLogBytes = 32 << 10;
constexpr Duration kAccessLogDelay = std::chrono::milliseconds(100);
// In one turn: those who have been served before do not wait behind a crowd that arrives. One takes from a
// quarter of a millisecond (ECDSA) to one (RSA).
constexpr std::size_t kHandshakeStepsMax = 8;
constexpr std::string_view kChallengePath = "/.well-known/acme-challenge/";
constexpr std::string_view kProblemType = "application/problem+json";
constexpr std::string_view kAllowed = "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n";

std::unique_ptr<telemetry::AccessFormat> FormatOf(const Settings& settings) {
  if (settings.access_log.empty()) return nullptr;
  auto format = telemetry::AccessFormat::Parse(settings.access_format);
  CHECK(format.ok());  // the options were checked
  return std::make_unique<telemetry::AccessFormat>(std::move(format).value());
}

StaticLimits PartOf(const Settings& settings) {
  return {.memory_max = settings.static_memory_max / settings.reactors,
          .file_memory_max = settings.static_file_memory_max};
}

// The value of the field in a head that we have written; empty where there is none.
std::string_view FieldIn(std::string_view head, std::string_view name) {
  while (!head.empty()) {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(std::min(head.size(), line.size() + 2));
    const std::size_t colon = line.find(':');
    if (colon != line.npos && EqualsIgnoreCase(line.substr(0, colon), name)) {
      return Trimmed(line.substr(colon + 1));
    }
  }
  return {};
}

std::vector<std::string_view> RefusalNames() {
  std::vector<std::string_view> names;
  names.reserve(http::kRefusals.size());
  for (const http::Refusal& refusal : http::kRefusals)
    names.push_back(refusal.name);
  return names;
}

// What the request holds of its limits goes with whoever answers, or with the answer.
std::unique_ptr<Exchange> Held(Responder& responder,
                               std::unique_ptr<Exchange> exchange,
                               limits::Passage passage) {
  if (exchange != nullptr) {
    exchange->Hold(std::move(passage));
  } else {
    responder.HoldUntilSent(std::move(passage));
  }
  return exchange;
}

}  // namespace

bool IsProxy(const Settings& settings, const http::Address& address) {
  const auto& proxies = settings.trusted_proxies;
  return std::any_of(proxies.begin(), proxies.end(), [&](const http::Network& network) {
    return network.Contains(address);
  });
}

bool SendsProxyHeader(const Settings& settings, const std::optional<http::Address>& address) {
  const auto& proxies = settings.proxy_protocol;
  return address && std::any_of(proxies.begin(), proxies.end(), [&](const http::Network& network) {
           return network.Contains(*address);
         });
}

bool IsDenied(const Settings& settings, const std::optional<http::Address>& address) {
  return address && !settings.access.Allows(*address) && !IsProxy(settings, *address) &&
         !SendsProxyHeader(settings, address);
}

bool CountsAddress(const Shared& shared, const std::optional<http::Address>& address) {
  return address && shared.addresses.counts() && !IsProxy(shared.settings, *address) &&
         !SendsProxyHeader(shared.settings, address);
}

Shard::Shard(Shared& shared, std::uint32_t index, event::Reactor& reactor)
    : shared_(shared),
      index_(index),
      reactor_(reactor),
      thread_(std::this_thread::get_id()),
      lane_(shared.metrics.lane(shared.first_lane + index)),
      refusals_(shared.metrics, now()),
      limited_(shared.gate, now()),
      statics_(settings().compression, PartOf(settings()), shared.clock),
      shelf_({settings().compression.gzip_level,
              settings().compression.brotli_level,
              settings().compression.zstd_level}),
      read_buffer_(kReadBytes),
      head_(std::make_unique<http::RequestHead>()),
      upstream_client_(reactor, read_buffer_),
      id_high_(os::Random64()),
      id_low_(os::Random64()),
      access_format_(FormatOf(settings())) {
  if (shared_.responses != nullptr) {
    responses_ = std::make_unique<ResponseCache>(*this, *shared_.responses);
  }
  reactor_.AtTurnEnd(*this);
  reactor_.timers().Arm(tick_, now() + std::chrono::seconds(1));
}

Shard::~Shard() {
  FlushAccessLog();
  connections_.clear();
  BuryDead();
  responses_.reset();  // while there are channels that it may ask by
}

// --- connections

void Shard::Adopt(os::Fd socket, const os::SocketAddress& peer, const Endpoint& endpoint) {
  const Peer who(peer, endpoint);
  if (endpoint.service != Service::kApp || !SendsProxyHeader(settings(), who.address)) {
    return AdoptClient(std::move(socket), who);
  }
  Add(std::make_unique<ProxyHeaderConnection>(*this, Transport(std::move(socket)), who));
}

void Shard::AdoptClient(os::Fd socket, const Peer& peer) {
  if (!peer.endpoint->secure) {
    return Add(std::make_unique<Http1Connection>(*this, Transport(std::move(socket)), peer));
  }
  auto link = std::make_unique<TlsLink>(
      shared_.certificates->current(), shared_.clock.WallNow(), tls_room_, shared_.budget);
  Add(std::make_unique<TlsHandshake>(*this, Transport(std::move(socket), std::move(link)), peer));
}

void Shard::Add(std::unique_ptr<ClientConnection> connection) {
  ClientConnection& added = *connections_.emplace_back(std::move(connection));
  added.index_ = static_cast<std::uint32_t>(connections_.size() - 1);
  if (added.peer().endpoint->service == Service::kApp) {
    lane_.Add(telemetry::Gauge::kConnections, 1);
  }
  added.Start();
}

// The limits of a client, which the listener could not ask.
void Shard::AdoptBehindProxy(os::Fd socket, const Peer& client) {
  if (IsDenied(settings(), client.address)) return lane_.Add(telemetry::Limit::kDenied);
  if (CountsAddress(shared_, client.address) && !shared_.addresses.Enter(*client.address)) {
    return lane_.Add(telemetry::Limit::kConnectionsPerAddress);
  }
  shared_.connections.fetch_add(1, std::memory_order_relaxed);
  AdoptClient(std::move(socket), client);
}

void Shard::WarnOfProxyHeader(const Peer& peer, std::string_view why) {
  ++proxy_headers_wrong_;
  if (now() - proxy_headers_told_ < RefusalReport::kPause) return;
  proxy_headers_told_ = now();
  log().Warning(
      "connections without a right PROXY header: {} since the last such line, one from {}: {}",
      std::exchange(proxy_headers_wrong_, 0),
      peer.address ? http::FormatAddress(*peer.address) : "a unix socket",
      why);
}

void Shard::HandshakeLater(TlsHandshake& handshake) {
  handshakes_.push_back(&handshake);
}

void Shard::StepHandshakes() {
  for (std::size_t i = 0; i < kHandshakeStepsMax && !handshakes_.empty(); ++i) {
    TlsHandshake& next = *handshakes_.front();
    handshakes_.pop_front();
    next.Pump();
  }
}

template <typename Next>
Next& Shard::GoOnAs(ClientConnection& until_now) {
  const std::uint32_t at = until_now.index_;
  const Peer peer = until_now.peer();
  std::erase(pump_later_, &until_now);
  auto connection = std::make_unique<Next>(*this, until_now.GiveUp(), peer);
  connection->index_ = at;
  Next& next = *connection;
  doomed_.push_back(std::exchange(connections_[at], std::move(connection)));
  return next;
}

void Shard::Promote(TlsHandshake& handshake) {
  GoOnAs<Http1Connection>(handshake).Start();
}

void Shard::Doom(ClientConnection& connection) {
  const std::size_t at = connection.index_;
  std::swap(connections_[at], connections_.back());
  connections_[at]->index_ = static_cast<std::uint32_t>(at);
  std::erase(pump_later_, &connection);
  if (!handshakes_.empty()) std::erase(handshakes_, &connection);
  doomed_.push_back(std::move(connections_.back()));
  connections_.pop_back();
  const Peer& peer = connection.peer();
  if (peer.endpoint->service != Service::kApp) return;
  lane_.Add(telemetry::Gauge::kConnections, -1);
  shared_.connections.fetch_sub(1, std::memory_order_relaxed);
  if (CountsAddress(shared_, peer.address)) shared_.addresses.Leave(*peer.address);
}

void Shard::PumpLater(ClientConnection& connection) {
  pump_later_.push_back(&connection);
}

void Shard::Retire(std::unique_ptr<Exchange> exchange) {
  retired_.push_back(std::move(exchange));
}

void Shard::Retire(std::unique_ptr<Http2Stream> stream) {
  retired_streams_.push_back(std::move(stream));
}

void Shard::SpeakHttp2(ClientConnection& until_now, std::string_view bytes) {
  GoOnAs<Http2Connection>(until_now).TakeOver(bytes);
}

void Shard::Forget(AppChannel& channel) {
  const auto found = std::find_if(
      channels_.begin(), channels_.end(), [&](const auto& one) { return one.get() == &channel; });
  CHECK(found != channels_.end());
  dead_channels_.push_back(std::move(*found));
  channels_.erase(found);
}

void Shard::BuryDead() {
  if (responses_ != nullptr) responses_->BuryDead();
  retired_.clear();
  retired_streams_.clear();
  doomed_.clear();
  dead_channels_.clear();
}

void Shard::Drain(Draining how) {
  for (std::size_t i = connections_.size(); i > 0; --i) {
    if (i > connections_.size()) continue;
    how == Draining::kGently ? connections_[i - 1]->DrainGently() : connections_[i - 1]->Drain();
  }
}

void Shard::ShowBroken(std::shared_ptr<const BrokenApp> broken) {
  broken_ = std::move(broken);
  if (broken_ == nullptr) return;
  if (responses_ != nullptr) responses_->ShowBroken();
  for (std::size_t i = connections_.size(); i > 0; --i) {
    if (i <= connections_.size()) connections_[i - 1]->ShowBroken();
  }
}

// --- turns

bool Shard::OnTurnEnd() {
  // By index: a channel that dies leaves the list.
  for (std::size_t i = 0; i < channels_.size(); ++i)
    channels_[i]->Read();
  for (ClientConnection* const connection : std::exchange(pump_later_, {})) {
    if (!connection->closed()) connection->Pump();
  }
  StepHandshakes();
  if (std::exchange(grants_wait_, false)) TakeGrants();
  const bool fetches_go_on = responses_ != nullptr && responses_->GoOn();
  BuryDead();
  bool more = fetches_go_on || grants_wait_ || !pump_later_.empty() || !handshakes_.empty();
  const std::size_t channels = channels_.size();
  for (std::size_t i = 0; i < channels_.size(); ++i)
    more |= channels_[i]->Settle();
  return more || channels_.size() != channels;
}

void Shard::OnTick() {
  for (std::size_t i = channels_.size(); i > 0; --i) {
    if (i <= channels_.size()) channels_[i - 1]->Check(now());
  }
  lane_.Add(telemetry::Counter::kErrorLogLinesLost, shared_.log.TakeLost());
  if (shared_.access_log != nullptr) {
    lane_.Add(telemetry::Counter::kAccessLogLinesLost, shared_.access_log->TakeLost());
  }
  const std::uint64_t bit = std::uint64_t{1} << index_;
  const std::uint64_t ticked = shared_.ticked.fetch_or(bit, std::memory_order_relaxed) | bit;
  if (index_ == 0) {
    lane_.Set(telemetry::Gauge::kBufferBytes, budget().used());
    if (responses_ != nullptr) responses_->TellFigures();
    TellRefusals();
    if (shared_.certificates != nullptr) shared_.certificates->Refresh(shared_.clock.WallNow());
    // The front lives while all of its reactors do.
    if (std::popcount(ticked) == static_cast<int>(settings().reactors)) {
      shared_.ticked.store(0, std::memory_order_relaxed);
      shared_.tell_supervisor(fmt::format(R"({{"front":"alive"{}{}}})",
                                          AppNews(shared_.dispatches),
                                          UpstreamNews(shared_.upstreams, now())));
    }
  }
  reactor_.timers().Arm(tick_, now() + std::chrono::seconds(1));
}

// A front that drains leaves that to its successor, which reads the same counters.
void Shard::TellRefusals() {
  if (shared_.draining.load(std::memory_order_relaxed) != Draining::kNo) return;
  if (const std::string line = refusals_.Take(now()); !line.empty()) log().Warning("{}", line);
  for (const std::string& line : limited_.Take(now()))
    log().Warning("{}", line);
}

void Shard::GrantsWait() {
  if (std::this_thread::get_id() == thread_) {
    grants_wait_ = true;
  } else {
    reactor_.Post([this] { grants_wait_ = true; });
  }
}

void Shard::TakeGrants() {
  Place place;
  for (const auto& dispatch : shared_.dispatches) {
    while (Ticket* const ticket = dispatch->TakeGrant(index_, place)) {
      static_cast<AppExchange*>(ticket)->OnGrant(std::move(place));
    }
  }
}

// --- workers

void Shard::AddChannel(std::uint32_t app, std::unique_ptr<channel::FrontEnd> end) {
  const channel::Hello hello = end->hello();
  auto added = std::make_unique<AppChannel>(*this, dispatch(app), std::move(end));
  const Status watched = added->Watch();
  channels_.push_back(std::move(added));
  if (!watched.ok()) log().Error("worker {}: {}", hello.number, watched.error().message);
  if (index_ + 1 == settings().reactors) {
    std::string news =
        fmt::format(R"({{"worker":{},"ready":true,"pid":{},"app":")", hello.number, hello.pid);
    telemetry::AppendJson(news, hello.app);
    news += R"(","python":")";
    telemetry::AppendJson(news, hello.python);
    shared_.tell_supervisor(news + "\"}");
    shared_.worker_joined(app);
  }
}

AppChannel* Shard::ChannelTo(const Dispatch::Worker& worker) {
  for (const auto& channel : channels_) {
    if (channel->worker() == worker) return channel.get();
  }
  return nullptr;
}

void Shard::Assign(AppExchange& exchange, const Place& place) {
  AppChannel* const channel = ChannelTo(place.worker);
  if (channel == nullptr) {  // it died meanwhile
    dispatch(place.worker->app).Leave(place, now());
    return exchange.OnLost(AppExchange::Lost::kNotTaken);
  }
  channel->Send(exchange);
}

void Shard::ReportStuck(const Dispatch::Worker& worker,
                        Replacement replacement,
                        std::string_view why) {
  if (!dispatch(worker->app).AskFor(replacement, worker)) return;
  lane_.Add(telemetry::Counter::kWorkersStuck);
  log().Error("worker {} is stuck, it is replaced: {}", worker->pid, why);
  shared_.tell_supervisor(fmt::format(R"({{"worker":{},"stuck":true{},"reason":"{}"}})",
                                      worker->number,
                                      replacement == Replacement::kAtOnce ? R"(,"gil":true)" : "",
                                      why));
}

// --- requests

http::TrustedProxies Shard::trusted() const {
  return {settings().trusted_proxies, settings().trust_unix_sockets, settings().client_field};
}

bool Shard::Trusts(const Peer& peer) const {
  if (peer.unix_socket()) return settings().trust_unix_sockets;
  return IsProxy(settings(), *peer.address);
}

ClientKey Shard::ClientOf(const http::Origin& origin) const {
  const bool is_proxy = origin.client && IsProxy(settings(), *origin.client);
  return is_proxy ? ClientKey() : ClientKey::Of(origin.client);
}

http::Origin Shard::OriginOf(const Peer& peer, const http::RequestHead& head) const {
  http::Origin origin = http::FindOrigin(head, peer.address, trusted());
  if (origin.scheme.empty()) origin.scheme = peer.endpoint->secure ? "https" : "http";
  return origin;
}

// 128 bits: a random number for each reactor, and a counter spread over all bits (splitmix64).
std::string Shard::NewRequestId() {
  std::uint64_t mixed = (id_low_ += 0x9e3779b97f4a7c15U);
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9U;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebU;
  mixed ^= mixed >> 31;
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string id(32, '0');
  for (std::size_t i = 0; i < 16; ++i) {
    id[i] = kDigits[(id_high_ >> (4 * i)) & 15];
    id[16 + i] = kDigits[(mixed >> (4 * i)) & 15];
  }
  return id;
}

std::string Shard::RequestIdFor(const Peer& peer, const http::RequestHead& head) {
  const std::string_view wanted = head.Value(http::KnownField::kXRequestId);
  if (!wanted.empty() && Trusts(peer) && http::IsAcceptableRequestId(wanted)) {
    return std::string(wanted);
  }
  return NewRequestId();
}

void Shard::AppendDate(std::string& out) {
  const std::int64_t second = WallSeconds();
  if (second != date_second_) {
    date_second_ = second;
    date_ = http::FormatDate(second);
  }
  http::AppendField(out, "Date", http::View(date_));
}

void Shard::AppendServer(std::string& out) const {
  if (!settings().server_name.empty()) http::AppendField(out, "Server", settings().server_name);
}

void Shard::AppendAnswerFields(std::string& out, const AnswerHead& head, const Peer& peer) const {
  constexpr std::string_view kHsts = "Strict-Transport-Security";
  const std::size_t begin = out.size();
  out += head.fields;
  const bool hsts = peer.endpoint->secure && !settings().tls.hsts.empty();
  if (hsts && FieldIn(head.fields, kHsts).empty()) {
    http::AppendField(out, kHsts, settings().tls.hsts);
  }
  if (head.rules != nullptr) head.rules->Apply(out, begin, peer.endpoint->secure);
}

void Shard::AppendOurs(std::string& fields, std::string_view id) {
  if (FieldIn(fields, "Date").empty()) AppendDate(fields);
  if (FieldIn(fields, "Server").empty()) AppendServer(fields);
  http::AppendField(fields, "X-Request-ID", id);
}

bool Shard::KeepsAlive(const ClientConnection& connection) const {
  return shared_.draining.load(std::memory_order_relaxed) == Draining::kNo &&
         connection.requests() < settings().requests_per_connection_max;
}

std::unique_ptr<Exchange> Shard::Route(Responder& responder,
                                       std::string_view bytes,
                                       const http::RequestHead& head) {
  if (head.target_form == http::TargetForm::kAsterisk) {
    Answer(responder, {.status = 204, .fields = kAllowed});
    return nullptr;
  }
  http::NormalPath path;
  if (const auto refused = http::NormalizePath(head.path, path_storage_, path)) {
    responder.Refuse(*refused, telemetry::Step::kRoute, bytes);
    return nullptr;
  }
  const Service service = responder.peer().endpoint->service;
  if (responder.must_switch() && service != Service::kApp) return RefuseTunnel(responder, bytes);
  if (service == Service::kAdmin) {
    AnswerAdmin(responder, path.path);
    return nullptr;
  }
  if (AnswerChallenge(responder, path.path) || RedirectToHttps(responder, bytes, head)) {
    return nullptr;
  }
  if (service == Service::kPurge) {
    AnswerPurge(responder, bytes, head);
    return nullptr;
  }
  const Router::Way way = WayOf(responder, head, path);
  const RouteRules& rules = *way.rules;
  const bool listed = rules.access != nullptr || !settings().access.empty();
  if (!listed && rules.limits.empty()) return AnswerAt(responder, bytes, head, path, way);
  const auto client = OriginOf(responder.peer(), head).client;
  const bool allowed = !IsDenied(settings(), client) &&
                       (!client || rules.access == nullptr || rules.access->Allows(*client));
  if (!allowed) {
    lane_.Add(telemetry::Limit::kDenied);
    Refuse(responder,
           {.status = 403,
            .why = "this address may not ask for that",
            .step = telemetry::Step::kRoute,
            .head = bytes,
            .rules = &rules});
    return nullptr;
  }
  return AskLimits(responder, bytes, head, path, way, client);
}

Router::Way Shard::WayOf(const Responder& responder,
                         const http::RequestHead& head,
                         const http::NormalPath& path) const {
  const std::string_view host = shared_.router.has_sites() ? HostOf(responder, head) : head.host;
  return shared_.router.Match(host, head.method, path.path);
}

std::unique_ptr<Exchange> Shard::AnswerAt(Responder& responder,
                                          std::string_view bytes,
                                          const http::RequestHead& head,
                                          const http::NormalPath& path,
                                          const Router::Way& way) {
  const RouteRules& rules = *way.rules;
  if (responder.must_switch() && !rules.upstream) return RefuseTunnel(responder, bytes);
  if (responses_ != nullptr && head.method_name == "PURGE" && !settings().purge_token.empty()) {
    AnswerPurge(responder, bytes, head);
    return nullptr;
  }
  if (rules.pace.bytes_per_second > 0) responder.SetPace(rules.pace);
  if (responder.must_switch()) return ExchangeFor(responder, bytes, head, rules, {});
  if (way.files != nullptr && AnswerStatic(responder, bytes, head, path, way)) return nullptr;
  if (rules.redirect) {
    AnswerRedirect(responder, bytes, head, path, way);
    return nullptr;
  }
  if (rules.respond) {
    AnswerFixed(responder, bytes, head, rules);
    return nullptr;
  }
  // What drains may not hear of a purge: the front that came after it has the socket.
  const bool drains = shared_.draining.load(std::memory_order_relaxed) != Draining::kNo;
  if (responses_ != nullptr && !drains) {
    if (rules.cache) return responses_->Ask(responder, bytes, head, path, rules);
    if (responses_->HasOptedIn(responder, head)) {
      return responses_->Ask(responder, bytes, head, path, responses_->OptedIn(rules));
    }
  }
  return ExchangeFor(responder, bytes, head, rules, {});
}

// RFC 9220 3, which says what RFC 8441 leaves open.
std::unique_ptr<Exchange> Shard::RefuseTunnel(Responder& responder, std::string_view bytes) {
  responder.Refuse(http::RefusalKind::kConnectNotSupported, telemetry::Step::kRoute, bytes);
  return nullptr;
}

std::unique_ptr<Exchange> Shard::ExchangeFor(Responder& responder,
                                             std::string_view bytes,
                                             const http::RequestHead& head,
                                             const RouteRules& rules,
                                             std::string more_fields) {
  std::unique_ptr<Exchange> exchange;
  if (rules.upstream) {
    upstream::Upstream& upstream = *shared_.upstreams[*rules.upstream];
    exchange = std::make_unique<ProxyExchange>(responder, *this, bytes, head, rules, upstream);
  } else {
    exchange = std::make_unique<AppExchange>(responder, *this, bytes, head, rules);
  }
  if (!more_fields.empty()) exchange->AddFields(std::move(more_fields));
  return exchange;
}

void Shard::InvalidateIfChanged(Responder& responder,
                                std::string_view bytes,
                                http::Method method,
                                int status) {
  if (responses_ == nullptr || http::IsSafe(method) || status >= 400) return;
  if (http::ParseRequestHead(bytes, settings().head, *head_)) return;
  responses_->Invalidate(responder, *head_);
}

void Shard::OptIn(Responder& responder, std::string_view bytes) {
  if (responses_ == nullptr || http::ParseRequestHead(bytes, settings().head, *head_)) return;
  responses_->OptIn(responder, *head_);
}

std::int64_t Shard::WallSeconds() const {
  return std::chrono::floor<std::chrono::seconds>(shared_.clock.WallNow().time_since_epoch())
      .count();
}

std::unique_ptr<Exchange> Shard::AskLimits(Responder& responder,
                                           std::string_view bytes,
                                           const http::RequestHead& head,
                                           const http::NormalPath& path,
                                           const Router::Way& way,
                                           const std::optional<http::Address>& client) {
  using Kind = limits::Verdict::Kind;
  const RouteRules& rules = *way.rules;
  limits::Passage passage;
  const limits::Gate::Decision decision = shared_.gate.Ask(
      rules.limits, {.head = head, .path = path.path, .client = client}, now(), passage);
  if (decision.evicted) lane_.Add(telemetry::Limit::kRateKeys);
  if (decision.kind == Kind::kRate || decision.kind == Kind::kAtOnce) {
    RefuseByLimit(responder, decision, bytes, rules);
    return nullptr;
  }
  if (decision.kind == Kind::kDelay) {
    return std::make_unique<DelayedExchange>(
        responder, *this, bytes, head, rules, now() + decision.wait, std::move(passage));
  }
  return Held(responder, AnswerAt(responder, bytes, head, path, way), std::move(passage));
}

std::unique_ptr<Exchange> Shard::RouteAdmitted(Responder& responder,
                                               std::string_view bytes,
                                               const http::RequestHead& head,
                                               limits::Passage passage) {
  http::NormalPath path;
  CHECK(!http::NormalizePath(head.path, path_storage_, path));
  const Router::Way way = WayOf(responder, head, path);
  return Held(responder, AnswerAt(responder, bytes, head, path, way), std::move(passage));
}

// RFC 6585 4, and the fields of draft-ietf-httpapi-ratelimit-headers.
void Shard::RefuseByLimit(Responder& responder,
                          const limits::Gate::Decision& decision,
                          std::string_view head,
                          const RouteRules& rules) {
  const bool at_once = decision.kind == limits::Verdict::Kind::kAtOnce;
  lane_.Add(at_once ? telemetry::Limit::kAtOnce : telemetry::Limit::kRate);
  const std::string fields =
      limits::RefusalFields(shared_.gate.rule(decision.limit), decision.kind, decision.wait);
  Refuse(responder,
         {.status = 429,
          .why = at_once ? "too many requests at once" : "too many requests in this time",
          .step = telemetry::Step::kRoute,
          .head = head,
          .fields = fields,
          .rules = &rules});
}

// RFC 8555 8.3: over plain HTTP, before all else. What is no token of ours is the app's to answer.
bool Shard::AnswerChallenge(Responder& responder, std::string_view path) {
  if (responder.peer().endpoint->secure || responder.must_switch()) return false;
  if (!path.starts_with(kChallengePath)) return false;
  const auto answer = ReadToken(settings().tls.acme_folder, path.substr(kChallengePath.size()));
  if (!answer) return false;
  lane_.CountAnswer(200, telemetry::Step::kRoute);
  Answer(responder, {.status = 200, .body = *answer, .type = "application/octet-stream"});
  return true;
}

bool Shard::RedirectToHttps(Responder& responder,
                            std::string_view bytes,
                            const http::RequestHead& head) {
  const Peer& peer = responder.peer();
  if (!settings().tls.redirect || peer.endpoint->secure || peer.unix_socket()) return false;
  if (head.path.starts_with(kChallengePath) || head.host.empty()) return false;
  if (OriginOf(peer, head).scheme == "https") return false;
  std::string_view host = head.host;
  const std::size_t colon = host.rfind(':');
  if (colon != host.npos && host.find(']', colon) == host.npos) host = host.substr(0, colon);
  std::string target(head.path);
  if (!head.query.empty()) target += fmt::format("?{}", head.query);
  const std::string id = RequestIdFor(peer, head);
  const std::string fields =
      fmt::format("Location: https://{}{}{}\r\n", host, shared_.https_port, target);
  lane_.CountAnswer(308, telemetry::Step::kRoute);
  Ended ended{.head = bytes, .id = id, .status = 308, .request_bytes = bytes.size()};
  ended.body_bytes = Answer(responder, {.status = 308, .id = id, .fields = fields, .head = bytes});
  ended.sent_bytes = responder.answer_bytes();
  LogAccess(responder, ended);
  return true;
}

// As the client named it, where a trusted proxy says so.
std::string_view Shard::HostOf(const Responder& responder, const http::RequestHead& head) const {
  const http::Origin origin = OriginOf(responder.peer(), head);
  return origin.host.empty() ? head.host : origin.host;
}

void Shard::AnswerRequest(Responder& responder,
                          std::string_view bytes,
                          const http::RequestHead& head,
                          OwnAnswer answer) {
  const std::string id = RequestIdFor(responder.peer(), head);
  lane_.CountAnswer(answer.status, telemetry::Step::kRoute);
  answer.id = id;
  answer.head = bytes;
  Ended ended{.head = bytes, .id = id, .status = answer.status, .request_bytes = bytes.size()};
  ended.body_bytes = Answer(responder, answer);
  ended.sent_bytes = responder.answer_bytes();
  LogAccess(responder, ended);
}

void Shard::AnswerRedirect(Responder& responder,
                           std::string_view bytes,
                           const http::RequestHead& head,
                           const http::NormalPath& path,
                           const Router::Way& way) {
  const Redirect& redirect = *way.rules->redirect;
  const std::string_view host = HostOf(responder, head);
  if (host.empty() && redirect.to.has_host()) {
    return AnswerRequest(responder,
                         bytes,
                         head,
                         {.status = 400, .why = "the request names no host", .rules = way.rules});
  }
  std::string fields;
  http::AppendField(
      fields,
      "Location",
      redirect.to.For({.host = host, .path = path.path, .rest = way.rest, .query = head.query}));
  AnswerRequest(
      responder, bytes, head, {.status = redirect.status, .fields = fields, .rules = way.rules});
}

void Shard::AnswerFixed(Responder& responder,
                        std::string_view bytes,
                        const http::RequestHead& head,
                        const RouteRules& rules) {
  const FixedAnswer& fixed = *rules.respond;
  OwnAnswer answer{.status = fixed.status, .rules = &rules};
  answer.no_page = fixed.body.has_value() || fixed.status < 400;
  if (fixed.body) answer.body = *fixed.body;
  if (fixed.body) answer.type = fixed.type;
  AnswerRequest(responder, bytes, head, answer);
}

bool Shard::AnswerStatic(Responder& responder,
                         std::string_view bytes,
                         const http::RequestHead& head,
                         const http::NormalPath& path,
                         const Router::Way& way) {
  const StaticMount& mount = *way.files;
  const StaticAnswer answer = statics_.Answer(head, path, mount, way.rest);
  if (mount.else_app && (answer.status == 404 || answer.status == 405)) return false;
  using Cache = StaticAnswer::Cache;
  if (answer.cache == Cache::kHit) lane_.Add(telemetry::Counter::kStaticHits);
  if (answer.cache == Cache::kMiss) lane_.Add(telemetry::Counter::kStaticMisses);
  if (answer.status >= 400 || answer.status == 308) {
    AnswerRequest(responder,
                  bytes,
                  head,
                  {.status = answer.status, .fields = answer.fields, .rules = way.rules});
    return true;
  }
  const std::string id = RequestIdFor(responder.peer(), head);
  std::string& fields = answer_buffer_;
  fields.assign(answer.fields);
  AppendDate(fields);
  AppendServer(fields);
  AnswerWhole(
      responder,
      {.head = bytes, .id = id, .status = answer.status, .began = now(), .rules = way.rules},
      fields,
      answer.body);
  return true;
}

void Shard::AnswerWhole(Responder& responder,
                        const WholeAnswer& answer,
                        std::string& fields,
                        Body body) {
  lane_.CountAnswer(answer.status, telemetry::Step::kWrite);
  http::AppendField(fields, "X-Request-ID", answer.id);
  const bool bodiless =
      body.empty() && (responder.answers_head() || !http::StatusHasBody(answer.status));
  const AnswerHead head{.status = answer.status,
                        .reason = answer.reason,
                        .fields = fields,
                        .framing = bodiless ? Framing::kNone : Framing::kLength,
                        .rules = &answer.rules->headers};
  AnswerRecord record;
  if (access_format_ != nullptr) {
    record = {.head = std::string(answer.head),
              .id = std::string(answer.id),
              .answer_fields = {},
              .status = answer.status,
              .body_bytes = body.size(),
              .began = answer.began};
    if (LogsAnswerFields()) AppendAnswerFields(record.answer_fields, head, responder.peer());
  }
  const std::uint64_t left = responder.SendPieces(head, std::move(body));
  if (responder.gone()) return Record(responder, record, responder.answer_bytes() - left);
  if (responder.pending() == 0) {
    Record(responder, record, 0);
  } else if (access_format_ != nullptr) {
    responder.RecordWhenSent(std::move(record));
  }
  responder.Finish();
}

void Shard::Record(const Responder& responder, const AnswerRecord& record, std::uint64_t pending) {
  const std::uint64_t size = responder.answer_bytes();
  LogAccess(responder,
            {.head = record.head,
             .id = record.id,
             .status = record.status,
             .answer_fields = record.answer_fields,
             .body_bytes = record.body_bytes - std::min(record.body_bytes, pending),
             .sent_bytes = size - std::min(size, pending),
             .request_bytes = record.head.size(),
             .total = now() - record.began});
}

// The socket is for the app's user alone; over HTTP the token is asked for.
void Shard::AnswerPurge(Responder& responder,
                        std::string_view bytes,
                        const http::RequestHead& head) {
  const bool trusted = responder.peer().endpoint->service == Service::kPurge;
  if (!trusted && !IsToken(head.Value(http::KnownField::kAuthorization))) {
    lane_.CountAnswer(403, telemetry::Step::kRoute);
    Answer(
        responder,
        {.status = 403, .why = "PURGE asks for the token of [front] purge_token", .head = bytes});
    return;
  }
  // After an upgrade the front that took over is another program's, and does not learn of it.
  if (shared_.draining.load(std::memory_order_relaxed) != Draining::kNo) {
    return Refuse(responder,
                  {.status = 503,
                   .why = "another front has taken over; ask again on a new connection",
                   .step = telemetry::Step::kRoute,
                   .head = bytes});
  }
  const std::size_t purged = responses_->Purge(head);
  lane_.CountAnswer(200, telemetry::Step::kWrite);
  const std::string text = fmt::format("{{\"purged\":{}}}\n", purged);
  Answer(responder, {.status = 200, .body = text, .type = "application/json"});
}

// Without a hint, by the time it takes, of how much of it is right.
bool Shard::IsToken(std::string_view authorization) const {
  constexpr std::string_view kScheme = "Bearer ";
  if (!authorization.starts_with(kScheme)) return false;
  authorization.remove_prefix(kScheme.size());
  const std::string& token = settings().purge_token;
  if (authorization.size() != token.size()) return false;
  unsigned char different = 0;
  for (std::size_t i = 0; i < token.size(); ++i) {
    different =
        static_cast<unsigned char>(different | (static_cast<unsigned char>(token[i]) ^
                                                static_cast<unsigned char>(authorization[i])));
  }
  return different == 0;
}

void Shard::AnswerAdmin(Responder& responder, std::string_view path) {
  if (path != "/metrics") {
    Answer(responder, {.status = 404, .why = "there is /metrics here"});
    return;
  }
  const auto names = RefusalNames();
  std::string text = telemetry::Exposition(shared_.metrics, names);
  AppendLimitMetrics(text, shared_.gate);
  if (shared_.certificates != nullptr) text += shared_.certificates->Exposition();
  AppendAppMetrics(text, settings().apps, shared_.dispatches);
  AppendUpstreamMetrics(text, shared_.upstreams, now());
  if (shared_.more_metrics) text += shared_.more_metrics();
  Answer(responder, {.status = 200, .body = text, .type = telemetry::kExpositionType});
}

// RFC 9457's for programs, the operator's own for people, else two lines of text.
std::string_view Shard::MakePage(const OwnAnswer& answer, std::string& page) const {
  const std::string_view reason = http::ReasonPhrase(answer.status);
  const bool json = answer.status >= 400 && http::PrefersJson(FieldIn(answer.head, "Accept"));
  if (answer.broken != nullptr) {
    page = json ? BrokenAppJson(*answer.broken, answer.id) : answer.broken->page;
    return json ? kProblemType : "text/html; charset=utf-8";
  }
  if (json) {
    page = fmt::format(R"({{"status":{},"title":"{}","error":")", answer.status, reason);
    telemetry::AppendJson(page, answer.why.empty() ? reason : answer.why);
    page += R"(","request_id":")";
    telemetry::AppendJson(page, answer.id);
    page += "\"}\n";
    return kProblemType;
  }
  for (const ErrorPage& own : settings().error_pages) {
    if (own.status != answer.status) continue;
    page = own.body;
    return own.type;
  }
  page = fmt::format("{} {}\n", answer.status, reason);
  if (!answer.why.empty()) page += fmt::format("{}\n", answer.why);
  return answer.type;
}

std::uint64_t Shard::Answer(Responder& responder, const OwnAnswer& answer) {
  std::string page;
  std::string_view body = answer.body;
  std::string_view type = answer.type;
  const bool may_have_body = http::StatusHasBody(answer.status);
  if (body.empty() && may_have_body && !answer.no_page) {
    type = MakePage(answer, page);
    body = page;
  }
  if (!may_have_body) body = {};
  std::string fields(answer.fields);
  if (!body.empty()) http::AppendField(fields, "Content-Type", type);
  if (may_have_body) http::AppendField(fields, "Content-Length", body.size());
  if (answer.status == 503) {
    http::AppendField(fields, "Retry-After", std::uint64_t{answer.retry_after});
  }
  AppendDate(fields);
  AppendServer(fields);
  if (!answer.id.empty()) http::AppendField(fields, "X-Request-ID", answer.id);
  if (responder.answers_head()) body = {};
  responder.SendHead(
      {.status = answer.status,
       .fields = fields,
       .framing = body.empty() ? Framing::kNone : Framing::kLength,
       .rules = &(answer.rules != nullptr ? *answer.rules : settings().rest).headers},
      body,
      Last::kYes);
  responder.Finish();
  return body.size();
}

void Shard::Refuse(Responder& responder, const Refused& refused) {
  const std::string head(refused.head);  // the answer may end who owns it
  const std::string id = NewRequestId();
  lane_.CountAnswer(refused.status, refused.step);
  const std::uint64_t body = Answer(responder,
                                    {.status = refused.status,
                                     .why = refused.why,
                                     .id = id,
                                     .fields = refused.fields,
                                     .head = head,
                                     .rules = refused.rules});
  LogAccess(responder,
            {.head = head,
             .id = id,
             .status = refused.status,
             .body_bytes = body,
             .sent_bytes = responder.answer_bytes(),
             .request_bytes = head.size()});
}

void Shard::Refuse(Responder& responder,
                   http::RefusalKind kind,
                   telemetry::Step step,
                   std::string_view head) {
  const http::Refusal& refusal = http::RefusalOf(kind);
  lane_.CountRefusal(static_cast<std::size_t>(kind));
  CountLimit(kind);
  Refuse(responder, {.status = refusal.status, .why = refusal.reason, .step = step, .head = head});
}

void Shard::CountLimit(http::RefusalKind kind) {
  using http::RefusalKind;
  using telemetry::Limit;
  if (kind == RefusalKind::kTargetTooLong) lane_.Add(Limit::kRequestLine);
  if (kind == RefusalKind::kHeadTooLarge) lane_.Add(Limit::kHeadBytes);
  if (kind == RefusalKind::kTooManyFields) lane_.Add(Limit::kFields);
}

// --- the access log

bool Shard::LogsAnswerFields() const {
  return access_format_ != nullptr && access_format_->reads_response_fields();
}

void Shard::LogAccess(const Responder& responder, const Ended& ended) {
  if (access_format_ == nullptr) return;
  http::RequestHead& head = *head_;
  http::NormalPath path;
  if (http::ParseRequestHead(ended.head, settings().head, head)) {
    head = {};  // what was refused says nothing that can be relied on
  } else if (http::NormalizePath(head.path, path_storage_, path)) {
    path.path = head.path;
  }
  http::Origin origin = OriginOf(responder.peer(), head);
  const LogPrivacy& privacy = settings().log_privacy;
  if (origin.client && privacy.address) origin.client = NetworkOf(*origin.client);
  const std::string client = origin.client ? http::FormatAddress(*origin.client) : std::string();
  const auto field = [&](std::string_view name) -> std::string_view {
    for (const http::Field& one : head.fields()) {
      if (EqualsIgnoreCase(one.name, name)) return TellableValue(privacy, name, one.value);
    }
    return {};
  };
  telemetry::AccessRecord record;
  record.time = shared_.clock.WallNow();
  record.client = client;
  const std::string user = http::BasicUser(head.Value(http::KnownField::kAuthorization));
  record.user = user;
  record.scheme = origin.scheme;
  record.method = head.method_name;
  record.target = privacy.query ? WithoutQuery(head.target) : head.target;
  record.path = path.path;
  if (!privacy.query) record.query = head.query;
  record.protocol = responder.protocol() == Protocol::kHttp2 ? "HTTP/2.0"
                    : head.minor_version == 0                ? "HTTP/1.0"
                                                             : "HTTP/1.1";
  record.host = head.host;
  record.request_id = ended.id;
  record.status = ended.status;
  record.body_bytes = ended.body_bytes;
  record.sent_bytes = ended.sent_bytes;
  record.request_bytes = ended.request_bytes;
  record.total = ended.total;
  record.queue_wait = std::max(ended.queue_wait, Duration());
  if (ended.run >= Duration(0)) record.run = ended.run;
  record.worker_pid = ended.worker_pid;
  record.upstream = ended.upstream;
  record.connection_requests = responder.requests();
  record.request_fields = telemetry::FieldLookup::By(field);
  const auto answer_field = [&](std::string_view name) {
    return TellableValue(privacy, name, FieldIn(ended.answer_fields, name));
  };
  record.response_fields = telemetry::FieldLookup::By(answer_field);
  access_format_->Append(access_lines_, record);
  if (access_lines_.size() >= kAccessLogBytes) {
    FlushAccessLog();
  } else if (!log_flush_.armed()) {
    reactor_.timers().Arm(log_flush_, now() + kAccessLogDelay);
  }
}

void Shard::FlushAccessLog() {
  if (!access_lines_.empty() && shared_.access_log != nullptr) {
    shared_.access_log->Write(access_lines_);
  }
}

}  // namespace onebox::front
