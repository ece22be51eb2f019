#pragma once
// One client's connection: its bytes in, its bytes out, its requests one after the other.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "event/reactor.h"
#include "front/body.h"
#include "front/output.h"
#include "http/address.h"
#include "http/head_scanner.h"
#include "http/refusal.h"
#include "os/fd.h"
#include "os/socket.h"
#include "telemetry/metric_table.h"

namespace onebox::front {

class Shard;
class Stream;
struct StaticRecord;

// Nothing for a unix socket.
std::optional<http::Address> AddressOf(const os::SocketAddress& peer);

enum class Service : std::uint8_t { kApp, kAdmin };

// What a connection came in by; outlives it.
struct Endpoint {
  std::string name;  // SERVER_NAME: the address that is listened on
  std::uint16_t port = 0;
  Service service = Service::kApp;  // what its connections are for
};

// reading head -> reading body -> answering -> flushing -> reading head ..., or -> lingering -> gone.
// Idle is reading a head of which nothing has come. The Shard owns it and outlives it.
class Connection final : public event::Watcher, public event::Timer {
 public:
  Connection(Shard& shard, os::Fd socket, const os::SocketAddress& peer, const Endpoint& endpoint);
  ~Connection() override;

  // Reads what is there already; registers with the reactor only if that was not all.
  void Start();
  // No more requests: closes at once if idle, after the answer otherwise.
  void Drain();
  // The shard shows what is wrong with the app.
  void ShowBroken();

  // For the stream that is being answered.
  void Send(std::string_view bytes);
  // How many bytes have left at once.
  std::uint64_t SendPieces(std::string_view head, Body pieces);
  void SendFile(os::Fd file, std::uint64_t offset, std::uint64_t size);
  // For the access log, when what is pending has left, or the connection ends.
  void RecordWhenSent(StaticRecord record);
  std::uint64_t pending() const { return output_ == nullptr ? 0 : output_->pending(); }
  enum class After : std::uint8_t { kKeepAlive, kClose };
  void AnswerDone(After after);  // the stream ends here
  void Abort();                  // the answer cannot be completed: the client must notice

  // An answer of our own, to what was read so far; closes where the rest of the input is not known.
  void Refuse(http::RefusalKind kind, telemetry::Step step, std::string_view head = {});

  bool closed() const { return step_ == Step::kClosed; }
  bool unix_socket() const { return !address_.has_value(); }
  const std::optional<http::Address>& address() const { return address_; }
  std::uint16_t port() const { return port_; }
  const Endpoint& endpoint() const { return endpoint_; }
  std::uint32_t requests() const { return requests_; }
  Shard& shard() { return shard_; }
  bool answers_head() const { return answers_head_; }          // HEAD: no body
  bool answers_old_http() const { return answers_old_http_; }  // 1.0
  bool MayProbe() const { return output_ == nullptr && !unix_socket(); }
  void ArmTimer();

 private:
  friend class Shard;
  enum class Step : std::uint8_t {
    kHead,
    kBody,
    kAnswering,
    kFlushing,
    kLingering,
    kClosed,
  };

  void OnReady(std::uint32_t events) override;
  void OnTimer() override;

  void Pump();
  bool Read();
  std::size_t Process(std::string_view bytes);
  std::size_t ReadHead(std::string_view bytes, bool& progressed);
  bool WantsInput() const { return step_ == Step::kHead || step_ == Step::kBody; }
  void OnInputEnd();
  void Discard();
  bool Register();
  void Write();
  void WriteRest();
  void AfterWrite(Output::Wrote wrote);
  void Flushed();
  void Close();
  void Linger();
  std::optional<std::size_t> SendNow(std::string_view first, std::span<const Piece> pieces);
  Output& NeedOutput();
  bool HoldInput();
  void RefuseInput();
  void TellRecord();
  bool Idle() const { return step_ == Step::kHead && input_.empty(); }
  Time Deadline() const;
  Time WriteRateDeadline() const;

  Shard& shard_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Output> output_;  // only while something waits to leave
  std::unique_ptr<StaticRecord> record_;
  std::string input_;  // read, not yet processed
  http::HeadScanner scanner_;
  std::optional<http::Address> address_;
  Time since_;     // when this step began
  Time progress_;  // when the last byte moved in it
  const Endpoint& endpoint_;
  os::Fd socket_;
  std::uint32_t requests_ = 0;
  std::uint32_t input_held_ = 0;  // bytes of input_, as the budget knows them
  std::uint32_t index_ = 0;       // in the shard's list
  std::uint16_t port_ = 0;
  Step step_ = Step::kHead;
  After after_ = After::kKeepAlive;
  bool readable_ = false;
  bool registered_ = false;
  bool input_ended_ = false;
  bool draining_ = false;
  bool pumping_ = false;
  bool input_whole_ = false;  // nothing of the request is still to come
  bool answers_head_ = false;
  bool answers_old_http_ = false;
  bool peer_done_ = false;  // a FIN came: an end of the input waits to be read
};

// "<= 256 bytes of user memory for an idle connection", the allocator's word and the shard's list
// included.
static_assert(sizeof(Connection) <= 232);

}  // namespace onebox::front
