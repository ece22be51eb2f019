#pragma once
// The server's side of one HTTP/2 connection (RFC 9113), over memory: it is fed bytes and gives bytes.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "http/limits.h"
#include "http/refusal.h"
#include "http2/flood_guard.h"
#include "http2/request_text.h"

struct nghttp2_session;

namespace onebox::http2 {

// What a client sends first, over TLS or in clear: RFC 9113 3.4.
inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// RFC 9113 7.
enum class ErrorCode : std::uint32_t {
  kNoError = 0,
  kProtocolError = 1,
  kInternalError = 2,
  kStreamClosed = 5,
  kRefusedStream = 7,
  kCancel = 8,
  kEnhanceYourCalm = 11,
};

struct Settings {
  http::Limits head;                              // its fields and their sizes, as in HTTP/1
  std::uint32_t streams_max = 128;                // at once, of this connection
  std::uint32_t stream_window = 256U << 10;       // bytes of a body that may be on their way
  std::uint32_t connection_window = 1024U << 10;  // of all bodies; at least 65535
  bool offers_websockets = false;                 // extended CONNECT (RFC 8441)
};

class Session;

// The owner's side of one request. It must live until OnClosed(), or as long as the session.
class Stream {
 public:
  virtual ~Stream() = default;

  virtual void OnBody(std::string_view bytes) = 0;
  virtual void OnBodyEnd() = 0;
  // The rest of the request is not what it must be; nothing more of it comes.
  virtual void OnRefused(http::RefusalKind kind) = 0;
  // Both sides have said all, or one of them gave it up: the last call, and the id means nothing now.
  virtual void OnClosed() = 0;

  struct Supply {
    std::size_t bytes = 0;
    bool last = false;
  };
  // How much of the answer's body is there, up to `bytes_max`. Nothing, and not the last of it: the
  // session asks again after Resume().
  virtual Supply Ready(std::size_t bytes_max) = 0;
  // Appends that much; false where it cannot be had any more: the stream is reset.
  virtual bool Take(std::size_t bytes, std::string& out) = 0;

 private:
  friend class Session;
  // Here and not in a table of the session, which would have to be asked for each frame.
  std::uint64_t body_left_ = 0;  // of the request, where Content-Length says how much there is
  bool counts_body_ = false;
  bool ignores_body_ = false;
  bool holds_window_ = false;
};

using StreamId = std::int32_t;

// A request whose head is whole. The text is valid during the call.
struct Request {
  StreamId id = 0;
  std::string_view head;  // as HTTP/1.1, see RequestText
  std::optional<http::RefusalKind> refused;
  bool ended = false;      // no body follows
  bool websocket = false;  // RFC 8441
};

// What a session tells its owner, from within Receive() and Produce(). The owner may use the session
// there, but for these two and for destroying it.
class Owner {
 public:
  virtual ~Owner() = default;
  // Null: nobody cares what else comes of it.
  virtual Stream* OnRequest(const Request& request) = 0;
  // A client sent more of it than anybody needs; the session is over.
  virtual void OnFlood(Flood flood) = 0;
  // More than streams_max; that stream was refused, and may be asked for again.
  virtual void OnStreamsMax() = 0;
  // The client broke the protocol; the session is over.
  virtual void OnBreach() = 0;
};

class Session {
 public:
  // Both outlive it.
  Session(Owner& owner, const Settings& settings);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // What the client sent, cut anywhere; the preface is its beginning.
  void Receive(std::string_view bytes, Time now);
  // Appends frames until `out` has `bytes_max` or there are none; by less than a frame more.
  void Produce(std::string& out, std::size_t bytes_max);
  bool HasOutput() const;
  // All was said, or what is left to Produce() is the last: then close the connection.
  bool finished() const;

  // `fields`: whole lines, as HTTP/1.1 has them, without framing. A stream that is gone is no mistake.
  void SendInterim(StreamId id, int status, std::string_view fields);
  struct Head {
    int status = 0;
    std::string_view fields = {};
    Stream* body = nullptr;  // null: it ends with its head
  };
  void SendHead(StreamId id, const Head& head);
  // What still comes of the request is for nobody.
  static void IgnoreBody(Stream& stream);
  // Of what comes from now on the stream's window is not opened again, but by Consume(): so a client that is
  // not read from stops. The connection's is, since others share it.
  static void HoldWindow(Stream& stream);
  void Consume(StreamId id, std::size_t bytes);
  // There is more of the answer's body, or its end.
  void Resume(StreamId id);
  void Reset(StreamId id, ErrorCode code);

  // A head has begun and is not whole: nothing else can come.
  bool reading_head() const { return reading_head_; }

  // At once, with what is under way: all that is left to say is GOAWAY.
  void End(ErrorCode code);
  // Takes no new streams soon: says so, and when the client has heard it, which was the last.
  void Drain();
  // The client has had time enough to hear it.
  void EndDrain();

 private:
  struct Callbacks;  // what nghttp2 calls
  struct Delete {
    void operator()(nghttp2_session* session) const;
  };

  bool Exceeds(Flood flood);
  void FinishHead(StreamId id, RequestText::Ends ends);
  void FinishTrailers(StreamId id, RequestText::Ends ends);
  void TakeBody(StreamId id, std::string_view bytes);
  void EndBody(Stream& stream);
  void RefuseBody(Stream& stream, http::RefusalKind kind);
  Stream* StreamOf(StreamId id) const;

  Owner& owner_;
  std::unique_ptr<nghttp2_session, Delete> session_;
  RequestText head_;
  std::optional<http::RefusalKind> trailer_refused_;
  FloodGuard guard_;
  Time now_{};
  std::string* out_ = nullptr;  // of Produce()
  std::size_t out_max_ = 0;
  std::optional<ErrorCode> end_;  // GOAWAY, as the last of all
  bool end_sent_ = false;
  bool reading_head_ = false;
  enum class Draining : std::uint8_t { kNo, kAnnounced, kYes } draining_ = Draining::kNo;
};

}  // namespace onebox::http2
