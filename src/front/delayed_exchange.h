#pragma once
// A request that comes too early for a limit: it waits for its turn, and is answered then as any other.

#include <memory>
#include <string_view>

#include "front/exchange.h"
#include "limits/gate.h"

namespace onebox::front {

// reading body -> waiting -> another exchange has it, to which all goes that we are told. The body is
// read meanwhile, and is that one's then.
class DelayedExchange final : public Exchange {
 public:
  DelayedExchange(Responder& responder,
                  Shard& shard,
                  std::string_view bytes,
                  const http::RequestHead& head,
                  const RouteRules& rules,
                  Time due,
                  limits::Passage passage);

  void Begin(const http::RequestHead* head) override;
  void OnClientGone() override;
  Time deadline() const override;
  void OnDeadline(Time now) override;
  void OnWritable() override;
  bool TakesTunnelBytes() const override;
  void OnTunnelBytes(std::string_view bytes) override;
  void OnTunnelEnd() override;
  void OnBroken() override;

 private:
  void Leave(int status) override;
  void Describe(Ended& ended) const override;
  void GoOn();

  const Time due_;
  std::unique_ptr<Exchange> next_;
};

}  // namespace onebox::front
