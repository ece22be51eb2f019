#pragma once
// Control: what supervisor and broker say to each other.

#include <functional>
#include <utility>

#include <nlohmann/json.hpp>

#include "event/reactor.h"
#include "os/fd.h"

namespace onebox::broker {

// A SEQPACKET socket, one JSON object a message.
// To the supervisor:   {"broker":"ready"}, {"broker":"alive"} each second; {"tasks":true}: task workers are
//                      wanted; of a worker {"worker":N,"ready":true,"pid":4711}, {"worker":N,"stuck":true,
//                      "reason":"..."}, {"worker":N,"retired":true}, as a front says them.
// From the supervisor: {"drain":true}: begin nothing more; {"finish":true}: end when nothing runs;
//                      {"end":true}: end now; {"retire":N}: give that worker nothing more;
//                      {"ended":4711,"worker":N}: that process is no more; {"reopen":true}: the log.
// Its end of file means that the supervisor is gone.
class Control final : public event::Watcher {
 public:
  using Take = std::function<void(const nlohmann::json&)>;

  Control(os::Fd socket, event::Reactor& reactor, Take take)
      : socket_(std::move(socket)), reactor_(reactor), take_(std::move(take)) {}

  Status Watch();
  // One that does not read is stopped or dead; there is nobody else to tell.
  void Tell(const nlohmann::json& message);

 private:
  void OnReady(std::uint32_t events) override;

  os::Fd socket_;
  event::Reactor& reactor_;
  const Take take_;
};

}  // namespace onebox::broker
