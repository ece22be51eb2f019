#pragma once
// The client's side of one request: where its answer goes, whatever protocol carries it.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "front/body.h"
#include "front/header_rules.h"
#include "front/peer.h"
#include "http/refusal.h"
#include "limits/gate.h"
#include "limits/pacer.h"
#include "os/fd.h"
#include "telemetry/metric_table.h"
#include "tls/session.h"

namespace onebox::front {

struct Ended;

enum class Protocol : std::uint8_t { kHttp10, kHttp11, kHttp2 };

// What follows the head.
enum class Framing : std::uint8_t {
  kNone,      // no byte: the answer to HEAD, 204, 304
  kLength,    // as many as Content-Length among the fields says
  kUntilEnd,  // as many as come
};

enum class Last : bool { kNo, kYes };  // whether it is the end of the body

struct AnswerHead {
  int status = 200;              // 200 to 599
  std::string_view reason = {};  // empty: the usual one
  // Whole lines, each with its CRLF, without the empty line after the last. Never one that belongs to
  // the connection (RFC 9110 7.6.1): Connection, Transfer-Encoding and the like.
  std::string_view fields = {};
  Framing framing = Framing::kNone;
  // What the operator changes in the fields; null: nothing. It is done by whoever writes to the client,
  // once, by Shard::AppendAnswerFields(): who keeps an answer keeps it as it is.
  const HeaderRules* rules = nullptr;
};

// An answer from pieces that has not left whole yet: the access log hears of it when it has, or never
// will.
struct AnswerRecord {
  std::string head;  // of the request, as it was read
  std::string id;
  std::string answer_fields;
  int status = 0;
  std::uint64_t body_bytes = 0;
  Time began{};
};

// One answer: SendInterim() any number of times, a head, its body in parts, Finish(). Or Refuse(), or
// Abort() at any time. After the end, and where the client turns out to be gone, the rest is not heard;
// who answers may be gone too when these return: see Exchange.
class Responder {
 public:
  virtual const Peer& peer() const = 0;
  virtual Protocol protocol() const = 0;
  virtual bool answers_head() const = 0;       // the request was HEAD: no body
  virtual std::uint32_t requests() const = 0;  // of this connection until now, this one included

  // Of the connection; null without TLS.
  virtual const tls::Session* tls() const = 0;

  // RFC 9110 15.2, RFC 8297: 100, 103. Not to a client of HTTP/1.0, and 103 to one of HTTP/1.1 where the
  // operator wants that alone.
  virtual void SendInterim(int status, std::string_view fields) = 0;
  virtual void SendHead(const AnswerHead& head, std::string_view body, Last last) = 0;
  virtual void Send(std::string_view body, Last last) = 0;
  // The whole answer, its body from pieces. How many bytes have left at once.
  virtual std::uint64_t SendPieces(const AnswerHead& answer_head, Body pieces) = 0;
  // The rest of a body of Framing::kLength.
  virtual void SendFile(os::Fd file, std::uint64_t offset, std::uint64_t size) = 0;
  virtual void Finish() = 0;
  // Whether the connection, or the stream, may become a tunnel; and it does, with 101, or with 200, and
  // these fields: whole lines, the new protocol among them. Then what the client sends is given to
  // Exchange::OnTunnelBytes() as it comes, and Send() carries the rest, until Finish().
  virtual bool may_switch() const { return false; }
  virtual void SwitchProtocols(std::string_view /*fields*/) { Abort(); }
  // The request is for a tunnel and nothing else, so that a 2xx would be taken for one (RFC 8441 5). Of the
  // fields by which HTTP/1 agrees on it the client says none, and hears none.
  virtual bool must_switch() const { return false; }
  // The answer cannot be completed: the client must notice.
  virtual void Abort() = 0;
  // An answer of our own to what is no valid request; nothing more of it is read, and of HTTP/1 nothing
  // more from this client. `head`: as far as there is one.
  virtual void Refuse(http::RefusalKind kind, telemetry::Step step, std::string_view head) = 0;

  virtual bool gone() const = 0;
  virtual std::uint64_t pending() const = 0;  // bytes of answers that wait to leave
  // Of the answer, heads and framing included: given to the client's side, if not all sent. Of HTTP/2 the
  // head counts as what it is before it is compressed, and frames count nothing.
  virtual std::uint64_t answer_bytes() const = 0;
  virtual void RecordWhenSent(AnswerRecord record) = 0;
  // Given back when the answer has left, or never will.
  virtual void HoldUntilSent(limits::Passage passage) {
    const limits::Passage ends = std::move(passage);
  }
  // How fast its body may leave, from its first byte on; said before the head.
  virtual void SetPace(const limits::Pace& /*pace*/) {}
  // The exchange's deadline() has changed.
  virtual void ArmTimer() = 0;
  // Calls the exchange's OnWritable() once more at the turn's end.
  virtual void GoOnLater() = 0;

  // Whether it is the cache's: it is told what the app says to the cache alone, and whoever asked the cache
  // says to the log what there is to be said.
  virtual bool records() const { return false; }
  virtual void TakeEnded(const Ended&) {}

 protected:
  ~Responder() = default;
};

}  // namespace onebox::front
