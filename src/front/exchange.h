#pragma once
// One request and who answers it: read body, the answer, record.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "front/request_body.h"
#include "front/responder.h"
#include "front/settings.h"
#include "http/chunked.h"
#include "http/request_head.h"
#include "limits/gate.h"
#include "telemetry/metric_table.h"

namespace onebox::front {

class Shard;
struct Ended;
struct OwnAnswer;

// reading body -> waiting -> running -> answering -> done. Its Responder's owner owns it, and deletes it
// at the end of a turn: it may be told anything by the Responder that it calls.
class Exchange {
 public:
  // `bytes` is the head as it was read, `head` what it says. The rules outlive it.
  Exchange(Responder& responder,
           Shard& shard,
           std::string_view bytes,
           const http::RequestHead& head,
           const RouteRules& rules);
  virtual ~Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // --- read body
  // Takes bytes of it, framed as the head says; returns how many. May refuse the request.
  std::size_t TakeBody(std::string_view bytes);
  // The same of a protocol with frames of its own: bytes of the body itself, and where it ends.
  void TakePlainBody(std::string_view bytes) { StoreBody(bytes); }
  void EndBody() { body_complete_ = true; }
  // What comes is not what was announced.
  void RefuseBody(http::RefusalKind kind);
  bool body_complete() const { return body_complete_; }
  // Before the body is read: says 100, or refuses what is announced to be too large.
  void ExpectBody();
  void OnBodyTimeout();

  // What another has begun: its body, which is complete, and when it began.
  void TakeOver(Exchange& other);
  // What it holds of its limits, until the answer has left.
  void Hold(limits::Passage passage) { passage_ = std::move(passage); }
  limits::Passage TakePassage() { return std::move(passage_); }

  // The body is complete. `head`: what the constructor was given, where it still holds; else it is read
  // again from our own copy.
  virtual void Begin(const http::RequestHead* head) = 0;
  // Nobody is there to answer.
  virtual void OnClientGone() = 0;
  // When it is to be told that it takes too long; Time::max() for never.
  virtual Time deadline() const = 0;
  virtual void OnDeadline(Time now) = 0;
  // The client took bytes, or it is its turn again.
  virtual void OnWritable() = 0;
  // Of a tunnel: what the client sends, while it takes any; and that no more comes.
  virtual bool TakesTunnelBytes() const { return false; }
  virtual void OnTunnelBytes(std::string_view /*bytes*/) {}
  virtual void OnTunnelEnd() {}
  // What waits for the app waits in vain.
  virtual void OnBroken() {}

  // Whole lines that go with the answer, if it is not one of our own; before Begin().
  void AddFields(std::string fields) { more_fields_ = std::move(fields); }

  const RequestBody& body() const { return body_; }
  std::string_view request_line() const;  // for the log
  std::string_view id() const { return id_; }
  Time began() const { return began_; }

 protected:
  enum class Step : std::uint8_t { kBody, kWaiting, kRunning, kAnswering, kDone };

  // Lets go of whoever was asked: the request has been answered otherwise.
  virtual void Leave(int status) = 0;
  // Says who answered, and how long it waited and ran.
  virtual void Describe(Ended& ended) const = 0;

  const http::RequestHead& HeadAgain();
  void Fail(int status, telemetry::Step step, std::string_view why);
  void EndWith(const OwnAnswer& answer, telemetry::Step step);
  void Record(telemetry::Step step);

  Responder& responder_;
  Shard& shard_;
  const RouteRules& rules_;
  const std::string head_bytes_;
  RequestBody body_;
  std::string id_;
  std::string more_fields_;
  std::string answer_fields_;  // only where the access log shows some of them
  Time began_;
  limits::Passage passage_;
  std::uint64_t answer_bytes_ = 0;  // of the body, as sent
  int status_ = 0;
  Step step_ = Step::kBody;
  std::uint8_t retry_after_ = 1;  // seconds, where it is refused
  const http::Method method_;

 private:
  bool StoreBody(std::string_view bytes);

  http::ChunkedDecoder chunks_;
  const std::uint64_t content_length_;  // of the request
  const http::Framing framing_;
  const bool expect_continue_;
  bool body_complete_;
};

}  // namespace onebox::front
