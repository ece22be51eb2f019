#pragma once
// AttachListener: where workers come to. Accepts each, waits for its greeting, and gives it a channel.

#include <functional>
#include <memory>
#include <vector>

#include "channel/front_end.h"
#include "event/reactor.h"
#include "os/fd.h"
#include "telemetry/log.h"

namespace onebox::attach {

// Of one reactor, and of its thread. Whoever does not run as our user is not heard.
class AttachListener final : public event::Watcher {
 public:
  using Take = std::function<void(std::unique_ptr<channel::FrontEnd>)>;

  AttachListener(os::Fd socket, event::Reactor& reactor, telemetry::Log& log, Take take)
      : socket_(std::move(socket)), reactor_(reactor), log_(log), take_(std::move(take)) {}

  Status Watch();

 private:
  class Greeting final : public event::Watcher {
   public:
    Greeting(AttachListener& listener, os::Fd socket)
        : listener_(listener), socket_(std::move(socket)) {}

    Status Watch();
    void OnReady(std::uint32_t events) override;

   private:
    AttachListener& listener_;
    os::Fd socket_;
  };

  void OnReady(std::uint32_t events) override;
  void Welcome(os::Fd socket, const channel::Hello& hello);
  void Forget(Greeting& greeting);

  os::Fd socket_;
  event::Reactor& reactor_;
  telemetry::Log& log_;
  const Take take_;
  std::vector<std::unique_ptr<Greeting>> greetings_;
};

}  // namespace onebox::attach
