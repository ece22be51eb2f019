#include "acme/service.h"

#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "acme/curl_transport.h"
#include "acme/keeper.h"
#include "acme/metrics.h"
#include "acme/store.h"
#include "base/json.h"
#include "os/file.h"
#include "os/random.h"
#include "os/socket.h"

namespace onebox::acme {
namespace {

using nlohmann::json;

constexpr std::size_t kMessageBytesMax = 64 << 10;
constexpr Duration kLockPause = std::chrono::milliseconds(200);

class Service {
 public:
  Service(const Settings& settings, Surroundings surroundings)
      : settings_(settings), around_(std::move(surroundings)) {}

  Status Run() {
    transport_ = TRY(CurlTransport::New({.ca_file = settings_.ca_file,
                                         .agent = settings_.agent,
                                         .interrupt = around_.control,
                                         .listen = [this] { return Listen(); }}));
    Tell({{"acme", "ready"}});
    const os::Fd lock = TRY(Lock());
    if (transport_->ended()) return Done();
    keeper_.emplace(settings_,
                    Keeper::Outside{.transport = *transport_,
                                    .clock = around_.clock,
                                    .log = around_.log,
                                    .random = os::Random64,
                                    .changed = [this](const NameStatus& one) {
                                      Tell({{"certificate", AsJson(one)}});
                                      Publish();
                                    }});
    TRY(keeper_->Open());
    keeper_->Run();
    return Done();
  }

 private:
  // Not valid where we were told to end before we had it.
  Result<os::Fd> Lock() {
    TRY(os::MakeFolders(settings_.folder));
    const std::string path = Store(settings_.folder).lock_path();
    for (bool said = false;; transport_->Wait(kLockPause)) {
      if (transport_->ended()) return os::Fd();
      auto lock = os::LockFile(path);
      if (lock.ok() || lock.error().system_error != EWOULDBLOCK) return lock;
      if (!std::exchange(said, true)) {
        around_.log.Info("waiting for who obtains certificates in {}", settings_.folder);
      }
    }
  }

  // Whether to go on.
  bool Listen() {
    for (;;) {
      const auto message = os::ReceiveMessage(around_.control, kMessageBytesMax);
      if (message.ok() && !message.value()) break;
      if (!message.ok() || message.value()->bytes.empty()) return false;
      const json told = json::parse(message.value()->bytes, nullptr, /*allow_exceptions=*/false);
      if (IsTrue(At(told, "end"))) return false;
      if (IsTrue(At(told, "reopen"))) Reopen();
      if (keeper_) keeper_->Renew(Text(At(told, "renew")));
    }
    if (around_.clock.Now() >= alive_at_) {
      Tell({{"acme", "alive"}});
      Publish();
    }
    return true;
  }

  void Reopen() {
    if (const Status reopened = around_.log.Reopen(); !reopened.ok()) {
      around_.log.Warning("{}", reopened.error().message);
    }
  }

  void Publish() {
    alive_at_ = around_.clock.Now() + kHeartbeat;
    if (keeper_) around_.publish(Metrics(keeper_->names()));
  }

  // One that does not read is stopped or dead; there is nobody else to tell.
  void Tell(const json& message) {
    const std::string text = message.dump(-1, ' ', false, json::error_handler_t::replace);
    (void)os::SendDescriptors(around_.control, text, {});
  }

  const Settings& settings_;
  Surroundings around_;
  std::unique_ptr<CurlTransport> transport_;
  std::optional<Keeper> keeper_;
  Time alive_at_{};
};

}  // namespace

int Serve(const Settings& settings, Surroundings surroundings) {
  telemetry::Log& log = surroundings.log;
  Service service(settings, std::move(surroundings));
  const Status served = service.Run();
  if (served.ok()) return 0;
  log.Error("no certificates are obtained: {}", served.error().message);
  return 1;
}

}  // namespace onebox::acme
