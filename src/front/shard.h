#pragma once
// Everything that one reactor's thread owns: connections, channels, buffers.

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "channel/request.h"
#include "channel/response.h"
#include "compress/shelf.h"
#include "event/reactor.h"
#include "front/address_counts.h"
#include "front/app_channel.h"
#include "front/app_metrics.h"
#include "front/broken_app.h"
#include "front/budget.h"
#include "front/certificate_store.h"
#include "front/client_connection.h"
#include "front/dispatch.h"
#include "front/exchange.h"
#include "front/limit_report.h"
#include "front/refusal_report.h"
#include "front/responder.h"
#include "front/response_cache.h"
#include "front/router.h"
#include "front/settings.h"
#include "front/static_files.h"
#include "front/tls_link.h"
#include "http/date.h"
#include "http/forwarded.h"
#include "http/path.h"
#include "http/request_head.h"
#include "limits/gate.h"
#include "telemetry/access_log.h"
#include "telemetry/log.h"
#include "telemetry/log_writer.h"
#include "telemetry/metrics.h"
#include "upstream/client.h"
#include "upstream/upstream.h"

namespace onebox::front {

// kGently: no new connections, and each answer is its connection's last. kNow: those that wait for
// their next request are closed too.
enum class Draining : std::uint8_t { kNo, kGently, kNow };

// What all reactors share. Everything in it outlives them.
struct Shared {
  const Settings& settings;
  const Clock& clock;
  telemetry::Log& log;
  telemetry::Metrics& metrics;
  const std::function<std::string()>& more_metrics;
  telemetry::LogWriter* access_log;  // null: off
  const Dispatches& dispatches;      // as in the settings
  const Router& router;
  Budget& budget;
  CertificateStore* certificates;                                     // null: no address speaks TLS
  const std::vector<std::unique_ptr<upstream::Upstream>>& upstreams;  // as in the settings
  AddressCounts addresses;
  limits::Gate& gate;
  SharedResponses* responses;                            // null: no answers are kept
  std::function<void(std::string)> tell_supervisor;      // from any thread
  std::function<void(std::uint32_t app)> worker_joined;  // likewise
  std::size_t first_lane = 1;                            // of the metrics
  std::atomic<std::uint32_t> connections{0};
  std::atomic<Draining> draining{Draining::kNo};
  std::string https_port = {};           // that http is redirected to: "" for 443, or ":8443"
  std::atomic<std::uint64_t> ticked{0};  // a bit for each reactor, since the supervisor was told
};

// Whether it is a proxy that speaks for many clients.
bool IsProxy(const Settings& settings, const http::Address& address);
// Whether its connections begin with a PROXY header.
bool SendsProxyHeader(const Settings& settings, const std::optional<http::Address>& address);
// Whether it may not even connect. A proxy may: its clients are looked at one by one.
bool IsDenied(const Settings& settings, const std::optional<http::Address>& address);
// Whether the address has its connections counted: those of proxies have not.
bool CountsAddress(const Shared& shared, const std::optional<http::Address>& address);

// A short answer of our own.
struct OwnAnswer {
  int status = 0;
  std::string_view why = {};     // a sentence for the client
  std::string_view id = {};      // of the request, where it has one
  std::uint8_t retry_after = 1;  // seconds, of a 503
  std::string_view fields = {};  // whole lines
  std::string_view head = {};    // of the request, as it was read: in what form it wants the page
  std::string_view body = {};    // instead of the page that says why
  bool no_page = false;          // where `body` is empty: so is the answer
  std::string_view type = "text/plain; charset=utf-8";
  const BrokenApp* broken = nullptr;  // what is wrong with the app, instead of the page
  const RouteRules* rules = nullptr;  // of its route; null: those of the rest
};

// What cannot become a stream: a request that is refused, or does not arrive.
struct Refused {
  int status = 0;
  std::string_view why = {};
  telemetry::Step step = telemetry::Step::kReadHead;
  std::string_view head = {};         // as far as it was read
  std::string_view fields = {};       // of the answer: whole lines
  const RouteRules* rules = nullptr;  // as above
};

// What the access log is told; see telemetry::AccessRecord.
struct Ended {
  std::string_view head;  // as it was read
  std::string_view id = {};
  int status = 0;
  std::string_view answer_fields = {};
  std::uint64_t body_bytes = 0;
  std::uint64_t sent_bytes = 0;
  std::uint64_t request_bytes = 0;
  Duration total{};
  Duration queue_wait{-1};  // negative: it never waited for the app
  Duration run{-1};         // negative: no worker ran it
  std::int32_t worker_pid = 0;
  bool observed = false;           // waiting and running were counted by who did both in its place
  std::string_view upstream = {};  // the server that was asked
};

// An answer whose bytes are all there; see Shard::AnswerWhole().
struct WholeAnswer {
  std::string_view head;  // of the request, as it was read
  std::string_view id;
  int status = 200;
  std::string_view reason = {};  // empty: the usual one
  Time began{};
  const RouteRules* rules = nullptr;  // of its route; never null
};

class AppExchange;
class Http2Stream;
class TlsHandshake;

class Shard final : public event::TurnEnd {
 public:
  Shard(Shared& shared, std::uint32_t index, event::Reactor& reactor);
  ~Shard();

  // --- for Front
  void Adopt(os::Fd socket, const os::SocketAddress& peer, const Endpoint& endpoint);
  // What a proxy has said who it speaks for.
  void AdoptBehindProxy(os::Fd socket, const Peer& client);
  void WarnOfProxyHeader(const Peer& peer, std::string_view why);
  void AddChannel(std::uint32_t app, std::unique_ptr<channel::FrontEnd> end);
  void EnterThread() { thread_ = std::this_thread::get_id(); }  // before the reactor runs
  void GrantsWait();                                            // from any thread
  void Drain(Draining how);                                     // not kNo
  // From now on in the app's place, and for those that wait for it; null: the app answers again.
  void ShowBroken(std::shared_ptr<const BrokenApp> broken);
  bool empty() const { return connections_.empty(); }
  std::size_t connection_count() const { return connections_.size(); }

  // --- for connections and exchanges
  const Settings& settings() const { return shared_.settings; }
  event::Reactor& reactor() { return reactor_; }
  Time now() const { return reactor_.now(); }
  std::uint32_t index() const { return index_; }
  telemetry::Lane& lane() { return lane_; }
  telemetry::Log& log() { return shared_.log; }
  Dispatch& dispatch(std::uint32_t app) { return *shared_.dispatches[app]; }
  Duration timeout_max() const { return shared_.router.timeout_max(); }
  const BrokenApp* broken() const { return broken_.get(); }
  Budget& budget() { return shared_.budget; }
  ResponseCache& responses() { return *responses_; }  // where a route has rules for it
  std::int64_t WallSeconds() const;                   // since 1970
  compress::Shelf& shelf() { return shelf_; }
  StaticFiles& files() { return statics_; }

  std::span<char> read_buffer() { return read_buffer_; }
  http::RequestHead& head() { return *head_; }
  channel::Request& request() { return request_; }
  channel::ResponseHead& response() { return response_; }
  upstream::Client& upstream_client() { return upstream_client_; }
  std::string& path_storage() { return path_storage_; }
  std::string& answer_buffer() { return answer_buffer_; }
  std::string& coded_buffer() { return coded_buffer_; }
  std::string& wire_buffer() { return wire_buffer_; }

  // Answers it, or gives back the exchange that will.
  std::unique_ptr<Exchange> Route(Responder& responder,
                                  std::string_view bytes,
                                  const http::RequestHead& head);
  // Who asks for the answer where the cache does not; `more_fields` are whole lines that go with it.
  std::unique_ptr<Exchange> ExchangeFor(Responder& responder,
                                        std::string_view bytes,
                                        const http::RequestHead& head,
                                        const RouteRules& rules,
                                        std::string more_fields);
  // The same, of a request that has passed its limits.
  std::unique_ptr<Exchange> RouteAdmitted(Responder& responder,
                                          std::string_view bytes,
                                          const http::RequestHead& head,
                                          limits::Passage passage);
  void Assign(AppExchange& exchange, const Place& place);
  // All of it, to its end: counted and logged when it has left. `fields` are whole lines without the
  // request's id.
  void AnswerWhole(Responder& responder, const WholeAnswer& answer, std::string& fields, Body body);
  // The app says that this answer, and others to this URL, may be kept.
  void OptIn(Responder& responder, std::string_view bytes);
  // After an unsafe request that the app says was done (RFC 9111 4.4).
  void InvalidateIfChanged(Responder& responder,
                           std::string_view bytes,
                           http::Method method,
                           int status);
  // How long its body is.
  std::uint64_t Answer(Responder& responder, const OwnAnswer& answer);
  // `pending`: bytes of it that have not left.
  void Record(const Responder& responder, const AnswerRecord& record, std::uint64_t pending);
  void Refuse(Responder& responder, const Refused& refused);
  void Refuse(Responder& responder,
              http::RefusalKind kind,
              telemetry::Step step,
              std::string_view head);
  bool KeepsAlive(const ClientConnection& connection) const;
  bool Trusts(const Peer& peer) const;
  // Nobody where a trusted proxy names no client.
  ClientKey ClientOf(const http::Origin& origin) const;
  http::Origin OriginOf(const Peer& peer, const http::RequestHead& head) const;
  // The one that a trusted proxy sent, or a new one.
  std::string RequestIdFor(const Peer& peer, const http::RequestHead& head);
  void AppendDate(std::string& out);
  void AppendServer(std::string& out) const;
  // The fields as they leave, whatever protocol carries them: with what an answer over TLS says of TLS,
  // and changed by the head's rules.
  void AppendAnswerFields(std::string& out, const AnswerHead& head, const Peer& peer) const;
  // Date, Server and X-Request-ID: the first two where `fields` has none.
  void AppendOurs(std::string& fields, std::string_view id);
  bool LogsAnswerFields() const;
  void LogAccess(const Responder& responder, const Ended& ended);
  // `why`: a sentence without quotes.
  void ReportStuck(const Dispatch::Worker& worker, Replacement replacement, std::string_view why);

  // The rest of their life; deleted at the turn's end.
  void PumpLater(ClientConnection& connection);
  // A step of it, when it is its turn.
  void HandshakeLater(TlsHandshake& handshake);
  // It is done: the connection of the protocol that was agreed on goes on with the client.
  void Promote(TlsHandshake& handshake);
  void Doom(ClientConnection& connection);
  void Retire(std::unique_ptr<Exchange> exchange);
  void Retire(std::unique_ptr<Http2Stream> stream);
  // Another connection goes on with the client, who began with these bytes.
  void SpeakHttp2(ClientConnection& until_now, std::string_view bytes);
  void Forget(AppChannel& channel);

 private:
  void Add(std::unique_ptr<ClientConnection> connection);
  void AdoptClient(os::Fd socket, const Peer& peer);
  bool OnTurnEnd() override;
  void StepHandshakes();
  bool AnswerChallenge(Responder& responder, std::string_view path);
  bool RedirectToHttps(Responder& responder, std::string_view bytes, const http::RequestHead& head);
  void OnTick();
  // In the place of the other, with its socket.
  template <typename Next>
  Next& GoOnAs(ClientConnection& until_now);
  void TakeGrants();
  void BuryDead();
  void FlushAccessLog();
  // False where the app is to be asked for what is not there.
  bool AnswerStatic(Responder& responder,
                    std::string_view bytes,
                    const http::RequestHead& head,
                    const http::NormalPath& path,
                    const Router::Way& way);
  void AnswerRedirect(Responder& responder,
                      std::string_view bytes,
                      const http::RequestHead& head,
                      const http::NormalPath& path,
                      const Router::Way& way);
  void AnswerFixed(Responder& responder,
                   std::string_view bytes,
                   const http::RequestHead& head,
                   const RouteRules& rules);
  // With an id, counted, and told to the access log.
  void AnswerRequest(Responder& responder,
                     std::string_view bytes,
                     const http::RequestHead& head,
                     OwnAnswer answer);
  std::string_view HostOf(const Responder& responder, const http::RequestHead& head) const;
  void AnswerAdmin(Responder& responder, std::string_view path);
  void AnswerPurge(Responder& responder, std::string_view bytes, const http::RequestHead& head);
  bool IsToken(std::string_view authorization) const;
  // Answers it, or gives back the exchange that will.
  static std::unique_ptr<Exchange> RefuseTunnel(Responder& responder, std::string_view bytes);
  std::unique_ptr<Exchange> AnswerAt(Responder& responder,
                                     std::string_view bytes,
                                     const http::RequestHead& head,
                                     const http::NormalPath& path,
                                     const Router::Way& way);
  Router::Way WayOf(const Responder& responder,
                    const http::RequestHead& head,
                    const http::NormalPath& path) const;
  std::unique_ptr<Exchange> AskLimits(Responder& responder,
                                      std::string_view bytes,
                                      const http::RequestHead& head,
                                      const http::NormalPath& path,
                                      const Router::Way& way,
                                      const std::optional<http::Address>& client);
  void RefuseByLimit(Responder& responder,
                     const limits::Gate::Decision& decision,
                     std::string_view head,
                     const RouteRules& rules);
  std::string NewRequestId();
  void TellRefusals();
  void CountLimit(http::RefusalKind kind);
  AppChannel* ChannelTo(const Dispatch::Worker& worker);
  // The page that says why, in the form that the client wants; its Content-Type.
  std::string_view MakePage(const OwnAnswer& answer, std::string& page) const;
  http::TrustedProxies trusted() const;

  Shared& shared_;
  const std::uint32_t index_;
  event::Reactor& reactor_;
  std::thread::id thread_;  // that runs the reactor
  telemetry::Lane lane_;
  RefusalReport refusals_;  // of all reactors: the first one asks
  LimitReport limited_;     // likewise
  StaticFiles statics_;
  std::unique_ptr<ResponseCache> responses_;  // null: no answers are kept
  compress::Shelf shelf_;
  std::shared_ptr<const BrokenApp> broken_;  // null: it is not
  std::vector<char> read_buffer_;
  std::unique_ptr<http::RequestHead> head_;
  channel::Request request_;
  channel::ResponseHead response_;
  upstream::Client upstream_client_;
  std::string path_storage_;
  std::string answer_buffer_;
  std::string coded_buffer_;
  std::string wire_buffer_;
  http::DateText date_{};
  std::int64_t date_second_ = -1;
  std::uint64_t id_high_;
  std::uint64_t id_low_;

  std::vector<std::unique_ptr<ClientConnection>> connections_;
  std::vector<std::unique_ptr<AppChannel>> channels_;
  std::vector<std::unique_ptr<ClientConnection>> doomed_;
  std::vector<std::unique_ptr<Exchange>> retired_;
  std::vector<std::unique_ptr<Http2Stream>> retired_streams_;  // whom the exchanges know
  std::vector<std::unique_ptr<AppChannel>> dead_channels_;
  std::vector<ClientConnection*> pump_later_;
  std::deque<TlsHandshake*> handshakes_;  // that have something to do, the first first
  TlsRoom tls_room_;
  bool grants_wait_ = false;

  std::unique_ptr<telemetry::AccessFormat> access_format_;
  std::string access_lines_;
  std::uint64_t proxy_headers_wrong_ = 0;  // that the log does not know of
  Time proxy_headers_told_{};
  event::CallTimer<&Shard::OnTick> tick_{*this};
  event::CallTimer<&Shard::FlushAccessLog> log_flush_{*this};
};

}  // namespace onebox::front
