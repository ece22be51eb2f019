#include "front/front.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <sys/epoll.h>

#include "attach/attach_listener.h"
#include "base/ascii.h"
#include "front/broken_app.h"
#include "front/listener.h"
#include "front/shard.h"
#include "front/upstream_metrics.h"
#include "os/file.h"
#include "os/random.h"
#include "upstream/prober.h"
#include "upstream/resolver.h"

namespace onebox::front {
namespace {

constexpr std::size_t kControlBytesMax = 64 << 10;
constexpr Duration kFirstLookUp = std::chrono::seconds(5);  // of upstreams' names, before we serve
constexpr Duration kLastCall = std::chrono::seconds(1);  // after a gentle drain, for those in hand

// The number that follows `name` in a message; nothing where it is not there.
std::optional<std::uint32_t> NumberOf(std::string_view text, std::string_view name) {
  const std::size_t at = text.find(name);
  if (at == std::string_view::npos) return std::nullopt;
  text.remove_prefix(at + name.size());
  const auto number =
      ParseDecimal(text.substr(0, text.find_first_not_of("0123456789")), UINT32_MAX);
  if (!number) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

std::string ReadStory(const std::vector<os::Fd>& files) {
  const auto story = files.empty() ? Result<std::string>(std::string())
                                   : os::ReadAt(files.front(), kBrokenBytesMax, 0);
  return story.ok() ? story.value() : story.error().message;
}

// The supervisor's end of the control socket.
class Control final : public event::Watcher {
 public:
  Control(os::Fd socket, event::Reactor& reactor) : socket_(std::move(socket)), reactor_(reactor) {}

  Status Watch() { return reactor_.Watch(socket_.get(), *this, EPOLLIN | EPOLLRDHUP); }
  void Tell(const std::string& message) {
    const std::lock_guard lock(mutex_);
    // A supervisor that does not read is stopped or dead; there is nobody else to tell.
    (void)os::SendDescriptors(socket_, message, {});
  }

  std::function<void(Draining)> on_drain;
  std::function<void(std::uint32_t worker)> on_retire;
  std::function<void(std::string story)> on_broken;
  std::function<void()> on_whole, on_end, on_reopen;

 private:
  void OnReady(std::uint32_t /*events*/) override {
    for (;;) {
      const auto message = os::ReceiveMessage(socket_, kControlBytesMax);
      if (!message.ok() || !message.value()) return;
      const std::string& text = message.value()->bytes;
      if (text.empty()) {
        on_drain(Draining::kNow);  // the supervisor is gone
        return;
      }
      if (text.find("\"gently\"") != std::string::npos) {
        on_drain(Draining::kGently);
      } else if (text.find("\"drain\"") != std::string::npos) {
        on_drain(Draining::kNow);
      }
      if (const auto worker = NumberOf(text, "\"retire\":")) on_retire(*worker);
      if (text.find("\"broken\"") != std::string::npos) {
        on_broken(ReadStory(message.value()->descriptors));
      }
      if (text.find("\"whole\"") != std::string::npos) on_whole();
      if (text.find("\"end\"") != std::string::npos) on_end();
      if (text.find("\"reopen\"") != std::string::npos) on_reopen();
    }
  }

  os::Fd socket_;
  event::Reactor& reactor_;
  std::mutex mutex_;
};

// One reactor's thread: the reactor, its shard and what only it may touch.
struct Lane {
  std::unique_ptr<event::Reactor> reactor;
  std::unique_ptr<Shard> shard;
  std::vector<std::unique_ptr<attach::AttachListener>> attach;  // one for each app
};

WaitQueue::Options QueueOf(const Settings& settings) {
  WaitQueue::Options options{.routes = {},
                             .queue_max = settings.queue_max,
                             .address_share_max = settings.address_share_max,
                             .seed = os::Random64()};
  for (const Route& route : settings.routes) {
    options.routes.push_back(&route.rules);
  }
  options.routes.push_back(&settings.rest);
  return options;
}

class Front {
 public:
  Front(const Settings& settings, Handover handover)
      : settings_(settings),
        handover_(std::move(handover)),
        router_(settings),
        budget_(settings.buffer_bytes_max),
        gate_(settings.limits, {os::Random64(), os::Random64()}),
        shown_(settings.apps.size()) {
    for (std::uint32_t app = 0; app < settings.apps.size(); ++app)
      AddDispatch(app);
  }

  Status Start();
  int Serve();

 private:
  void AddDispatch(std::uint32_t app);
  bool WatchForWorkers(std::size_t lane);
  void TakeJoined(std::uint32_t app);
  Status OpenAccessLog();
  Status OpenCertificates();
  bool IsSecure(std::size_t listener) const {
    return listener < settings_.secure.size() && settings_.secure[listener];
  }
  void FindHttpsPort(const std::vector<os::Fd>& sockets);
  Status AddListener(os::Fd socket, Service service, Secure secure);
  bool Listen();
  void ListenForPurges();
  Admission Admit(const os::SocketAddress& peer, Service service);
  void RunLane(std::size_t index);
  void Adopt(os::Accepted accepted, const Endpoint& endpoint);
  void Drain(Draining how);
  void ShowBroken(const std::shared_ptr<const BrokenApp>& broken);
  void EndWhenEmpty();
  void Show(std::uint32_t app, const Dispatch::Now& now);

  const Settings& settings_;
  Handover handover_;
  const Router router_;
  Budget budget_;
  limits::Gate gate_;
  Upstreams upstreams_;
  std::unique_ptr<telemetry::LogWriter> access_log_;
  std::unique_ptr<CertificateStore> certificates_;
  std::unique_ptr<Control> control_;
  std::vector<Lane> lanes_;
  Dispatches dispatches_;
  std::mutex show_mutex_;             // guards shown_, where there are several apps
  std::vector<Dispatch::Now> shown_;  // of each app
  std::set<std::uint32_t> joined_;    // apps that have a worker, where we wait for them
  std::unique_ptr<SharedResponses> responses_;
  std::unique_ptr<Shared> shared_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::unique_ptr<upstream::Resolver> resolver_;
  std::vector<std::unique_ptr<upstream::Prober>> probers_;  // of the first reactor's thread
  std::size_t next_lane_ = 0;
  Time drain_deadline_;
  event::CallTimer<&Front::EndWhenEmpty> drain_check_{*this};
};

void Front::AddDispatch(std::uint32_t app) {
  dispatches_.push_back(std::make_unique<Dispatch>(Dispatch::Options{
      .app = app,
      .reactors = settings_.reactors,
      .queue = QueueOf(settings_),
      .concurrency = settings_.concurrency,
      .recycle_requests = settings_.recycle_requests,
      .recycle_jitter = settings_.recycle_jitter,
      .wake = [this](std::uint32_t reactor) { lanes_[reactor].shard->GrantsWait(); },
      .changed = [this, app](const Dispatch::Now& now) { Show(app, now); },
      .spent =
          [this](const AppWorker& worker) {
            control_->Tell(fmt::format(R"({{"worker":{},"spent":true}})", worker.number));
          }}));
}

// Whoever asks for the status gets what holds at that moment, of all apps together.
void Front::Show(std::uint32_t app, const Dispatch::Now& now) {
  std::unique_lock lock(show_mutex_, std::defer_lock);
  Dispatch::Now all = now;
  if (shown_.size() > 1) {
    lock.lock();
    shown_[app] = now;
    all = {};
    for (const Dispatch::Now& one : shown_) {
      all.queued += one.queued;
      all.busy += one.busy;
      all.limit += one.limit;
    }
  }
  telemetry::Lane lane = handover_.metrics.lane(handover_.first_lane);
  lane.Set(telemetry::Gauge::kQueueLength, all.queued);
  lane.Set(telemetry::Gauge::kThreadsBusy, all.busy);
  lane.Set(telemetry::Gauge::kConcurrencyLimit, all.limit);
}

Status Front::OpenAccessLog() {
  if (settings_.access_log.empty()) return Done();
  access_log_ = TRY(telemetry::LogWriter::Open({.path = settings_.access_log}));
  return Done();
}

Status Front::OpenCertificates() {
  const bool any =
      std::find(settings_.secure.begin(), settings_.secure.end(), true) != settings_.secure.end();
  if (!any) return Done();
  certificates_ = std::make_unique<CertificateStore>(settings_.tls, handover_.log);
  return certificates_->Load(handover_.clock.WallNow());
}

// Of the first that speaks TLS.
void Front::FindHttpsPort(const std::vector<os::Fd>& sockets) {
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    if (!IsSecure(i)) continue;
    const auto address = os::SocketAddress::Of(sockets[i]);
    if (!address.ok()) return;
    const std::uint16_t port = address.value().port();
    shared_->https_port = port == 443 ? "" : fmt::format(":{}", port);
    return;
  }
}

Status Front::AddListener(os::Fd socket, Service service, Secure secure) {
  const os::SocketAddress address = TRY(os::SocketAddress::Of(socket));
  const Endpoint& endpoint = *endpoints_.emplace_back(std::make_unique<Endpoint>(
      Endpoint{.name = address.is_unix() ? address.unix_path() : address.ip_text(),
               .port = address.port(),
               .service = service,
               .secure = secure == Secure::kYes}));
  auto& listener = listeners_.emplace_back(std::make_unique<Listener>(
      std::move(socket),
      Listener::Parts{
          .reactor = *lanes_[0].reactor,
          .lane = handover_.metrics.lane(handover_.first_lane),
          .secure = secure,
          .admit = [this, service](const os::SocketAddress& peer) { return Admit(peer, service); },
          .adopt = [this,
                    &endpoint](os::Accepted accepted) { Adopt(std::move(accepted), endpoint); }}));
  return listener->Watch();
}

// Operators get in when nobody else does.
Admission Front::Admit(const os::SocketAddress& peer, Service service) {
  if (service != Service::kApp) return Admission::kYes;
  telemetry::Lane lane = handover_.metrics.lane(handover_.first_lane);
  const auto address = AddressOf(peer);
  if (IsDenied(settings_, address)) {
    lane.Add(telemetry::Limit::kDenied);
    return Admission::kDenied;
  }
  if (shared_->connections.load(std::memory_order_relaxed) >= settings_.connections_max) {
    lane.Add(telemetry::Limit::kConnections);
    return Admission::kFull;
  }
  if (!CountsAddress(*shared_, address) || shared_->addresses.Enter(*address)) {
    return Admission::kYes;
  }
  lane.Add(telemetry::Limit::kConnectionsPerAddress);
  return Admission::kFull;
}

// The reactor with the next turn gets it: connections are spread evenly whatever the kernel does.
void Front::Adopt(os::Accepted accepted, const Endpoint& endpoint) {
  const bool admin = endpoint.service != Service::kApp;
  if (!admin) shared_->connections.fetch_add(1, std::memory_order_relaxed);
  const std::size_t chosen = admin ? 0 : next_lane_++ % lanes_.size();
  if (chosen == 0) {
    lanes_[0].shard->Adopt(std::move(accepted.socket), accepted.peer, endpoint);
    return;
  }
  auto shared = std::make_shared<os::Accepted>(std::move(accepted));
  Shard& shard = *lanes_[chosen].shard;
  lanes_[chosen].reactor->Post([shared, &shard, &endpoint] {
    shard.Adopt(std::move(shared->socket), shared->peer, endpoint);
  });
}

Status Front::Start() {
  TRY(OpenAccessLog());
  TRY(OpenCertificates());
  for (std::uint32_t i = 0; i < settings_.reactors; ++i) {
    lanes_.push_back(
        {.reactor = TRY(event::Reactor::New(handover_.clock)), .shard = nullptr, .attach = {}});
  }
  control_ = std::make_unique<Control>(std::move(handover_.control), *lanes_[0].reactor);
  control_->on_drain = [this](Draining how) { Drain(how); };
  control_->on_end = [this] { lanes_[0].reactor->Stop(); };
  control_->on_retire = [this](std::uint32_t worker) {
    for (const auto& dispatch : dispatches_)
      dispatch->Retire(worker);  // its number is no other's
    control_->Tell(fmt::format(R"({{"worker":{},"retired":true}})", worker));
  };
  control_->on_broken = [this](std::string story) {
    ShowBroken(std::make_shared<const BrokenApp>(MakeBrokenApp(std::move(story))));
  };
  control_->on_whole = [this] { ShowBroken(nullptr); };
  control_->on_reopen = [this] {
    if (access_log_ != nullptr) access_log_->Reopen();
    const Status reopened = handover_.log.Reopen();
    if (!reopened.ok()) handover_.log.Error("{}", reopened.error().message);
  };
  TRY(control_->Watch());
  if (settings_.response_cache_bytes_max > 0) {
    responses_ = std::make_unique<SharedResponses>(
        webcache::Store::Limits{.bytes_max = settings_.response_cache_bytes_max},
        os::Random64(),
        settings_.purges);
  }
  for (const upstream::Settings& upstream : settings_.upstreams) {
    upstreams_.push_back(std::make_unique<upstream::Upstream>(upstream));
    TRY(upstreams_.back()->PrepareTls());
  }
  resolver_ = std::make_unique<upstream::Resolver>(upstreams_, handover_.log);
  resolver_->WaitForFirst(kFirstLookUp);
  shared_ = std::unique_ptr<Shared>(
      new Shared{.settings = settings_,
                 .clock = handover_.clock,
                 .log = handover_.log,
                 .metrics = handover_.metrics,
                 .more_metrics = handover_.more_metrics,
                 .access_log = access_log_.get(),
                 .dispatches = dispatches_,
                 .router = router_,
                 .budget = budget_,
                 .certificates = certificates_.get(),
                 .upstreams = upstreams_,
                 .addresses = AddressCounts(settings_.connections_per_address_max),
                 .gate = gate_,
                 .responses = responses_.get(),
                 .tell_supervisor = [this](const std::string& message) { control_->Tell(message); },
                 .worker_joined =
                     [this](std::uint32_t app) {
                       if (handover_.waits_for_worker)
                         lanes_[0].reactor->Post([this, app] { TakeJoined(app); });
                     },
                 .first_lane = handover_.first_lane});
  return Done();
}

void Front::RunLane(std::size_t index) {
  Lane& lane = lanes_[index];
  lane.shard->EnterThread();
  lane.reactor->Run();
}

// Once: the sockets are taken out of the handover.
bool Front::Listen() {
  if (shared_->draining.load() != Draining::kNo) return true;
  std::vector<os::Fd> sockets = std::exchange(handover_.listeners, {});
  FindHttpsPort(sockets);
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    const Secure secure = IsSecure(i) ? Secure::kYes : Secure::kNo;
    const Status added = AddListener(std::move(sockets[i]), Service::kApp, secure);
    if (!added.ok()) {
      handover_.log.Error("cannot listen: {}", added.error().message);
      return false;
    }
  }
  ListenForPurges();
  if (!handover_.admin.valid()) return true;
  const Status added = AddListener(std::move(handover_.admin), Service::kAdmin, Secure::kNo);
  if (!added.ok()) handover_.log.Error("no admin page: {}", added.error().message);
  return true;
}

// A front of before may still have it: its cache answers nobody any more once it drains.
void Front::ListenForPurges() {
  if (settings_.purge_socket.empty() || responses_ == nullptr) return;
  const auto open = [this]() -> Status {
    const auto address = TRY(os::SocketAddress::Parse("unix:" + settings_.purge_socket));
    os::RemoveFile(settings_.purge_socket);
    return AddListener(TRY(os::Listen(address, {})), Service::kPurge, Secure::kNo);
  };
  if (const Status opened = open(); !opened.ok()) {
    handover_.log.Warning("the app cannot purge kept answers: {}", opened.error().message);
  }
}

// Once, when each app has a worker.
void Front::TakeJoined(std::uint32_t app) {
  if (joined_.insert(app).second && joined_.size() == settings_.apps.size()) Listen();
}

bool Front::WatchForWorkers(std::size_t lane) {
  Lane& its = lanes_[lane];
  for (std::uint32_t app = 0; app < settings_.apps.size(); ++app) {
    its.attach.push_back(std::make_unique<attach::AttachListener>(
        std::move(handover_.attach[app * lanes_.size() + lane]),
        *its.reactor,
        handover_.log,
        [app, shard = its.shard.get()](std::unique_ptr<channel::FrontEnd> end) {
          shard->AddChannel(app, std::move(end));
        }));
    const Status watched = its.attach.back()->Watch();
    if (watched.ok()) continue;
    handover_.log.Error("cannot watch for workers: {}", watched.error().message);
    return false;
  }
  return true;
}

int Front::Serve() {
  // Each shard is made in the thread that runs it, before anybody may speak to it.
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    lanes_[i].shard =
        std::make_unique<Shard>(*shared_, static_cast<std::uint32_t>(i), *lanes_[i].reactor);
    if (!WatchForWorkers(i)) return 1;
  }
  for (const auto& upstream : upstreams_) {
    probers_.push_back(std::make_unique<upstream::Prober>(
        lanes_[0].shard->upstream_client(), *upstream, handover_.log));
  }
  if (!handover_.waits_for_worker && !Listen()) return 1;
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < lanes_.size(); ++i) {
    threads.emplace_back([this, i] { RunLane(i); });
  }
  control_->Tell(R"({"front":"ready"})");
  RunLane(0);
  for (std::size_t i = 1; i < lanes_.size(); ++i)
    lanes_[i].reactor->Stop();
  for (std::thread& thread : threads)
    thread.join();
  listeners_.clear();
  probers_.clear();
  for (Lane& lane : lanes_) {
    lane.attach.clear();
    lane.shard.reset();
  }
  return 0;
}

void Front::Drain(Draining how) {
  const Draining before = shared_->draining.exchange(how);
  if (before == how) return;
  for (auto& listener : listeners_)
    listener->Stop();
  drain_deadline_ = lanes_[0].reactor->now();
  drain_deadline_ += before == Draining::kGently ? kLastCall : settings_.drain_timeout;
  for (Lane& lane : lanes_) {
    Shard& shard = *lane.shard;
    lane.reactor->Post([&shard, how] { shard.Drain(how); });
  }
  EndWhenEmpty();
}

void Front::ShowBroken(const std::shared_ptr<const BrokenApp>& broken) {
  for (Lane& lane : lanes_) {
    Shard& shard = *lane.shard;
    lane.reactor->Post([&shard, broken] { shard.ShowBroken(broken); });
  }
}

void Front::EndWhenEmpty() {
  event::Reactor& reactor = *lanes_[0].reactor;
  const std::uint32_t left = shared_->connections.load(std::memory_order_relaxed);
  if (left == 0) return reactor.Stop();
  if (reactor.now() >= drain_deadline_) {
    if (shared_->draining.load() == Draining::kGently) return Drain(Draining::kNow);
    handover_.log.Warning("{} connections are cut: drain_timeout has passed", left);
    lanes_[0].shard->lane().Add(telemetry::Limit::kDrainTimeout);
    return reactor.Stop();
  }
  reactor.timers().Arm(drain_check_, reactor.now() + std::chrono::milliseconds(10));
}

}  // namespace

int Run(const Settings& settings, Handover handover) {
  telemetry::Log& log = handover.log;
  ::signal(SIGPIPE, SIG_IGN);
  // The supervisor decides when it ends; a Ctrl-C reaches the whole terminal's group.
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGTERM, SIG_IGN);
  Front front(settings, std::move(handover));
  const Status started = front.Start();
  if (!started.ok()) {
    log.Error("the front cannot start: {}", started.error().message);
    return 1;
  }
  return front.Serve();
}

}  // namespace onebox::front
