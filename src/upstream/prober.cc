#include "upstream/prober.h"

#include <utility>

#include <fmt/format.h>

namespace onebox::upstream {

// One server's.
class Prober::Probe final : private CallUser {
 public:
  Probe(Client& client, Upstream& upstream, Server& server, telemetry::Log& log)
      : client_(client),
        upstream_(upstream),
        server_(server),
        log_(log),
        head_(fmt::format(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: onebox\r\n"
            "Connection: close\r\n\r\n",
            upstream.settings().probe.path,
            upstream.settings().host.empty() ? server.authority() : upstream.settings().host)),
        call_(client, upstream, *this) {
    // Not all at the same moment.
    const auto interval = static_cast<std::uint64_t>(upstream.settings().probe.interval.count());
    ArmAfter(Duration(static_cast<Duration::rep>(client.Random() % (interval / 4 + 1))));
  }

 private:
  void ArmAfter(Duration wait) {
    client_.reactor().timers().Arm(timer_, client_.reactor().now() + wait);
  }

  void OnTimer() {
    if (call_.running()) {
      call_.Abandon();
      return Judge(false, "no answer in time");
    }
    ArmAfter(upstream_.settings().probe.timeout);
    call_.Start(
        server_,
        {.head = head_, .head_timeout = upstream_.settings().probe.timeout, .is_probe = true},
        Call::Use::kFresh);
  }

  void OnInterim(const http::ResponseHead& /*head*/) override {}
  void OnAnswer(const http::ResponseHead& head, std::string_view /*body*/, End /*end*/) override {
    const ProbeSettings& wanted = upstream_.settings().probe;
    const bool works = head.status >= wanted.status_min && head.status <= wanted.status_max;
    const int status = head.status;
    call_.Abandon();
    Judge(works, fmt::format("it answers {}", status));
  }
  void OnBody(std::string_view /*body*/, End /*end*/) override {}
  void OnFailed(const Failed& failed) override {
    const std::string_view reason = RowOf(failed.failure).reason;
    Judge(
        false,
        failed.detail.empty() ? std::string(reason) : fmt::format("{}: {}", reason, failed.detail));
  }
  void OnTookBytes() override {}

  void Judge(bool works, const std::string& why) {
    ArmAfter(upstream_.settings().probe.interval);
    failures_ = works ? 0 : failures_ + 1;
    if (works && server_.health().ProbeSucceeded(client_.reactor().now())) {
      log_.Info("upstream {}: {} is up again", upstream_.settings().name, server_.name());
    }
    if (failures_ == kProbesToDown && server_.health().ProbeFailed()) {
      log_.Error("upstream {}: {} is down: {}", upstream_.settings().name, server_.name(), why);
    }
  }

  Client& client_;
  Upstream& upstream_;
  Server& server_;
  telemetry::Log& log_;
  const std::string head_;
  Call call_;
  std::uint32_t failures_ = 0;
  event::CallTimer<&Probe::OnTimer> timer_{*this};
};

Prober::Prober(Client& client, Upstream& upstream, telemetry::Log& log) {
  if (upstream.settings().probe.path.empty()) return;
  for (const auto& server : upstream.servers())
    probes_.push_back(std::make_unique<Probe>(client, upstream, *server, log));
}

Prober::~Prober() = default;

}  // namespace onebox::upstream
