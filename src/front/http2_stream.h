#pragma once
// One request of an HTTP/2 connection, and its answer.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "event/timers.h"
#include "front/budget.h"
#include "front/output.h"
#include "front/responder.h"
#include "http2/session.h"

namespace onebox::front {

class Exchange;
class Http2Connection;

// Its connection owns it until the session lets go of it; then the shard has it until the turn's end.
class Http2Stream final : public Responder, public http2::Stream, public event::Timer {
 public:
  Http2Stream(Http2Connection& connection, http2::StreamId id);
  ~Http2Stream() override;

  void Start(const http2::Request& request);
  // The connection has ended: nobody hears the answer.
  void OnConnectionClosed();
  // The client may have taken bytes of it, or asked for more.
  void OnWritten();
  void ShowBroken();

  // --- Responder
  const Peer& peer() const override;
  Protocol protocol() const override { return Protocol::kHttp2; }
  bool answers_head() const override { return answers_head_; }
  std::uint32_t requests() const override;
  const tls::Session* tls() const override;
  void SendInterim(int status, std::string_view fields) override;
  void SendHead(const AnswerHead& head, std::string_view body, Last last) override;
  void Send(std::string_view body, Last last) override;
  std::uint64_t SendPieces(const AnswerHead& head, Body body) override;
  void SendFile(os::Fd file, std::uint64_t offset, std::uint64_t size) override;
  void Finish() override;
  void Abort() override;
  void Refuse(http::RefusalKind kind, telemetry::Step step, std::string_view head) override;
  bool gone() const override { return gone_; }
  std::uint64_t pending() const override { return output_ ? output_->pending() : 0; }
  std::uint64_t answer_bytes() const override { return answer_bytes_; }
  void RecordWhenSent(AnswerRecord record) override;
  void HoldUntilSent(limits::Passage passage) override { passage_ = std::move(passage); }
  void SetPace(const limits::Pace& pace) override;
  bool may_switch() const override { return tunnel_ != nullptr; }
  bool must_switch() const override { return tunnel_ != nullptr; }
  void SwitchProtocols(std::string_view fields) override;
  void ArmTimer() override;
  void GoOnLater() override;

 private:
  friend class Http2Connection;

  // --- http2::Stream
  void OnBody(std::string_view bytes) override;
  void OnBodyEnd() override;
  void OnRefused(http::RefusalKind kind) override;
  void OnClosed() override;
  Supply Ready(std::size_t bytes_max) override;
  bool Take(std::size_t bytes, std::string& out) override;

  void OnTimer() override;

  // What the client sends into a tunnel and nobody has taken yet: not before it is open, nor while the other
  // side takes nothing. As much as the stream's window at most, since that stays shut meanwhile.
  struct Tunnel {
    explicit Tunnel(Budget& budget) : held(budget) {}
    std::string input;
    BudgetShare held;
    bool ended = false;  // the client's side; told when the input is
  };

  void TakeTunnelBytes(std::string_view bytes);
  void PassOn(std::string_view bytes);
  void GoOnWithTunnel();
  Output& NeedOutput();
  void Append(std::string_view body);
  void EndWith(http2::ErrorCode code);
  void LetGo();
  Time Deadline() const;

  Http2Connection& connection_;
  std::unique_ptr<Exchange> exchange_;
  std::optional<Output> output_;
  std::unique_ptr<Tunnel> tunnel_;  // where the request asks for one
  limits::Passage passage_;         // goes with the stream
  std::uint64_t answer_bytes_ = 0;
  Time since_;     // of the request
  Time progress_;  // when the last byte moved, in or out
  const http2::StreamId id_;
  std::uint32_t index_ = 0;  // in the connection's list
  bool answers_head_ = false;
  bool body_ended_ = false;  // of the request; that for a tunnel has none
  bool head_sent_ = false;
  bool finished_ = false;  // the whole answer is here
  bool gone_ = false;      // nobody hears it any more
  bool written_ = false;   // bytes were taken since OnWritten()
  bool wants_turn_ = false;
};

}  // namespace onebox::front
