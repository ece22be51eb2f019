#pragma once
// One request that another server answers: it is given on, tried again where that is safe, and its answer
// passed to the client.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "channel/response.h"
#include "front/answer_writer.h"
#include "front/exchange.h"
#include "upstream/call.h"
#include "upstream/upstream.h"

namespace onebox::front {

class ProxyExchange final : public Exchange, private upstream::CallUser {
 public:
  ProxyExchange(Responder& responder,
                Shard& shard,
                std::string_view bytes,
                const http::RequestHead& head,
                const RouteRules& rules,
                upstream::Upstream& upstream);
  ~ProxyExchange() override;

  void Begin(const http::RequestHead* head) override;
  void OnClientGone() override;
  Time deadline() const override { return Time::max(); }  // each phase of a call has its own
  void OnDeadline(Time /*now*/) override {}
  void OnWritable() override;
  bool TakesTunnelBytes() const override;
  void OnTunnelBytes(std::string_view bytes) override;
  void OnTunnelEnd() override;

 private:
  void Leave(int status) override;
  void Describe(Ended& ended) const override;

  void OnInterim(const http::ResponseHead& head) override;
  void OnAnswer(const http::ResponseHead& head, std::string_view body, upstream::End end) override;
  void OnBody(std::string_view body, upstream::End end) override;
  void OnFailed(const upstream::Failed& failed) override;
  void OnTookBytes() override;

  void Try(const http::RequestHead& head);
  void Send(upstream::Server& server, const http::RequestHead& head, upstream::Call::Use use);
  upstream::Server* Next(const http::RequestHead& head);
  std::string KeyOf(const http::RequestHead& head);
  bool MayTryAgain(const upstream::Failed& failed);
  void TryAgain(const upstream::Failed& failed);
  void GiveUp(const upstream::Failed& failed);
  void FailNoServer();
  bool AnswersTunnel(const http::ResponseHead& head) const;
  void FailTunnel(int status);
  void SwitchProtocols(const http::ResponseHead& head, std::string_view bytes);
  void PassOn(std::string_view bytes, upstream::End end);
  void GoOn(upstream::End end);
  void EndTunnel();

  upstream::Upstream& upstream_;
  AnswerWriter writer_;
  upstream::Call call_;
  upstream::Server* server_ = nullptr;  // the last that was asked
  std::uint64_t tried_ = 0;             // a bit for each that is not to be asked again
  std::string websocket_key_;           // in the client's place, whose protocol has none
  Time asked_{};
  Time answered_{};
  Time deadline_ = Time::max();  // of the answer's head
  std::uint32_t tries_ = 0;      // servers that it was given to; stale connections do not count
  bool upgrade_ = false;         // the client asks for a tunnel
  bool tunnel_ = false;
  bool paused_ = false;
  bool client_ended_ = false;  // a tunnel: the client sends no more
};

}  // namespace onebox::front
