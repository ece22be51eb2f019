#pragma once
// One request to the app and its answer: read body, wait, run, write, record.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "channel/layout.h"
#include "channel/response.h"
#include "front/compress_filter.h"
#include "front/dispatch.h"
#include "front/request_body.h"
#include "front/settings.h"
#include "http/chunked.h"
#include "http/request_head.h"
#include "os/fd.h"
#include "telemetry/metric_table.h"

namespace onebox::front {

class AppChannel;
class Connection;
class Shard;
struct OwnAnswer;

// reading body -> waiting -> running -> answering -> done. A connection has at most one.
class Stream final : public Ticket {
 public:
  // `bytes` is the head as it was read, `head` what it says. The rules outlive it.
  Stream(Connection& connection,
         std::string_view bytes,
         const http::RequestHead& head,
         const RouteRules& rules);
  ~Stream();

  // Takes bytes of the body; returns how many. May refuse the request.
  std::size_t TakeBody(std::string_view bytes);
  bool body_complete() const { return body_complete_; }
  // Before the body is read: says 100, or refuses what is announced to be too large.
  void ExpectBody();
  // The body is complete: waits for a worker. `head`: what the constructor was given, where it still
  // holds; else it is read again from our own copy.
  void Begin(const http::RequestHead* head = nullptr);

  void OnGrant(Place place);
  void OnClientGone();        // nobody is there to answer
  void OnClientHalfClosed();  // it sends no more; whether it still reads is to be found out
  void OnDeadline(Time now);
  void OnBodyTimeout();
  void OnBroken();    // what waits for the app waits in vain
  void OnWritable();  // the client took bytes, or it is this stream's turn again
  Time deadline() const;

  const std::string& encoded() const { return encoded_; }
  const RequestBody& body() const { return body_; }
  std::string_view request_line() const;
  std::string_view id() const { return id_; }
  Time began() const { return began_; }
  // Whether a client that leaves ends the request where it runs.
  bool cancel_disconnected() const;

  // From the AppChannel; views are valid during the call.
  void OnHead(const channel::ResponseHead& head, std::string_view body, channel::End end);
  void OnBody(std::string_view bytes, channel::End end);
  void OnFile(os::Fd file, std::uint64_t offset, std::uint64_t size, channel::End end);
  void OnEnd(channel::End end);
  // The channel has let go of it. kNotTaken: no thread has begun it.
  enum class Lost : std::uint8_t { kNotTaken, kWorkerDied };
  void OnLost(Lost lost);

 private:
  friend class AppChannel;  // knows where it is
  enum class Step : std::uint8_t { kBody, kWaiting, kRunning, kAnswering, kDone };

  void Encode(const http::RequestHead& head);
  const http::RequestHead& HeadAgain();
  bool StoreBody(std::string_view bytes);
  void Enter(Dispatch::Position position);
  void Fail(int status, telemetry::Step step, std::string_view why);
  void FailBroken();
  void EndWith(const OwnAnswer& answer, telemetry::Step step);
  void RefuseToWait(Dispatch::Entered refused);
  void LeaveApp(channel::CancelReason reason);
  void Finish(channel::End end);
  bool WantsCompression(const channel::ResponseHead& head, std::string_view body) const;
  bool KnowsItAsWeak(std::string_view etag) const;
  void WriteHead(const channel::ResponseHead& head, std::string_view body, channel::End end);
  struct Negotiated {
    bool may_be_coded = false;  // other clients may get it coded
    bool is_coded = false;
  };
  bool AppendFields(std::string& out, const channel::ResponseHead& head, Negotiated negotiated);
  void Compress(std::string_view bytes, bool last, std::string& out);
  void AppendBody(std::string& out, std::string_view bytes, channel::End end);
  void Send(std::string_view bytes);
  void SendFilePart();
  bool FileIsLast();
  void Acknowledge();
  void Record(telemetry::Step step);

  Connection& connection_;
  Shard& shard_;
  const RouteRules& rules_;
  const std::string head_bytes_;
  RequestBody body_;
  std::string encoded_;  // channel::EncodeRequest()
  std::string id_;
  std::string answer_head_;  // only where the access log shows fields of it
  http::ChunkedDecoder chunks_;
  std::unique_ptr<CompressFilter> compress_;

  AppChannel* channel_ = nullptr;  // while it is on one
  Place place_;                    // the last that it was given
  std::uint32_t slot_ = 0;

  const Time began_;
  Time entered_;                    // the queue, the last time
  Time started_;                    // handed to a worker
  Time deadline_ = Time::max();     // of the app, from the moment when the request is whole
  std::uint64_t content_length_;    // of the request
  std::uint64_t answer_left_ = 0;   // of the promised Content-Length
  std::uint64_t answer_bytes_ = 0;  // of the body, as sent
  std::uint64_t sent_bytes_ = 0;    // heads and framing included
  std::uint64_t unacknowledged_ = 0;

  os::Fd file_;  // of the answer, while its bytes pass through our hands
  std::uint64_t file_offset_ = 0;
  std::uint64_t file_left_ = 0;
  channel::End file_end_ = channel::End::kNotYet;  // what follows it
  std::int32_t worker_pid_ = 0;
  int status_ = 0;
  const http::Method method_;
  const http::Framing framing_;
  http::Coding coding_ = http::Coding::kIdentity;  // what the client would take
  Step step_ = Step::kBody;
  std::uint8_t workers_lost_ = 0;  // that died with it
  std::uint8_t retry_after_ = 1;   // seconds, where it is refused
  const std::uint8_t minor_version_;
  bool keep_alive_;
  const bool expect_continue_;
  bool body_complete_;
  bool trusted_ = false;
  bool length_known_ = false;
  bool chunked_answer_ = false;
  bool no_body_ = false;
  bool probed_ = false;
  bool sending_file_ = false;
};

}  // namespace onebox::front
