#pragma once
// A client's connection that speaks HTTP/1: its bytes in, its bytes out, its requests one after the
// other.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "front/body.h"
#include "front/client_connection.h"
#include "front/output.h"
#include "front/responder.h"
#include "http/head_scanner.h"
#include "http/refusal.h"
#include "telemetry/metric_table.h"

namespace onebox::front {

class Exchange;
class Shard;

// reading head -> reading body -> answering -> flushing -> reading head ..., or -> lingering -> gone.
// Idle is reading a head of which nothing has come. From answering it may become a tunnel, until it flushes.
class Http1Connection final : public ClientConnection, public Responder {
 public:
  Http1Connection(Shard& shard, Transport transport, const Peer& peer);
  ~Http1Connection() override;

  void Pump() override;
  void Drain() override;
  void ShowBroken() override;

  // --- for the exchange that is being answered
  const Peer& peer() const override { return ClientConnection::peer(); }
  Protocol protocol() const override { return protocol_; }
  bool answers_head() const override { return answers_head_; }
  std::uint32_t requests() const override { return requests_; }
  const tls::Session* tls() const override { return transport_.session(); }
  void SendInterim(int status, std::string_view fields) override;
  void SendHead(const AnswerHead& head, std::string_view body, Last last) override;
  void Send(std::string_view body, Last last) override;
  std::uint64_t SendPieces(const AnswerHead& answer_head, Body pieces) override;
  void SendFile(os::Fd file, std::uint64_t offset, std::uint64_t size) override;
  void Finish() override;
  bool may_switch() const override { return protocol_ == Protocol::kHttp11; }
  void SwitchProtocols(std::string_view fields) override;
  void Abort() override;
  void Refuse(http::RefusalKind kind, telemetry::Step step, std::string_view head) override;
  bool gone() const override { return closed(); }
  std::uint64_t pending() const override { return output_ == nullptr ? 0 : output_->pending(); }
  std::uint64_t answer_bytes() const override { return answer_bytes_; }
  void RecordWhenSent(AnswerRecord record) override;
  void SetPace(const limits::Pace& pace) override;
  void HoldUntilSent(limits::Passage passage) override;
  void ArmTimer() override;
  void GoOnLater() override;

 private:
  enum class Step : std::uint8_t { kHead, kBody, kAnswering, kTunnel, kFlushing, kLingering };

  void OnReady(std::uint32_t events) override;
  void OnTimer() override;

  bool Read();
  std::size_t Process(std::string_view bytes);
  std::size_t ReadHead(std::string_view bytes, bool& progressed);
  void ForgetRequest();
  bool WantsInput() const;
  void OnInputEnd();
  void OnHalfClosed();
  void Discard();
  void AppendHead(std::string& out, const AnswerHead& head);
  void Write(std::string_view bytes);
  void WriteRest();
  void WriteOutput();
  void AfterWrite(Output::Wrote wrote);
  void Flushed();
  void Close() override;
  void Leave();  // with nothing under way
  void Linger();
  std::optional<std::size_t> SendNow(std::string_view first, std::span<const Piece> pieces);
  Output& NeedOutput();
  bool IsSending() const { return pending() > 0; }
  bool HoldInput();
  void RefuseInput();
  void TellRecord();
  bool Idle() const { return step_ == Step::kHead && input_.empty(); }
  Time Deadline() const;

  std::unique_ptr<Exchange> exchange_;
  std::unique_ptr<Output> output_;  // only while something waits to leave
  std::string input_;               // read, not yet processed
  http::HeadScanner scanner_;
  Time since_;                      // when this step began
  Time progress_;                   // when the last byte moved in it
  std::uint64_t answer_bytes_ = 0;  // of the answer under way, or the last
  std::uint32_t input_held_ = 0;    // bytes of input_, as the budget knows them
  Step step_ = Step::kHead;
  Protocol protocol_ = Protocol::kHttp11;  // of the request under way, or the last
  bool pumping_ : 1 = false;
  bool input_whole_ : 1 = false;   // nothing of the request is still to come
  bool keep_alive_ : 1 = false;    // the client wants it, and we know where the next request begins
  bool answers_head_ : 1 = false;  // HEAD: no body
  bool answer_begun_ : 1 = false;  // its head, or an interim one, was sent
  bool chunked_ : 1 = false;       // the answer's body
  bool peer_done_ : 1 = false;     // a FIN came: an end of the input waits to be read
};

// "<= 256 bytes of user memory for an idle connection", the allocator's word and the shard's list
// included.
static_assert(sizeof(Http1Connection) <= 232);

}  // namespace onebox::front
