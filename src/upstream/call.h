#pragma once
// One request to one server, and its answer.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "event/timers.h"
#include "http/chunked.h"
#include "http/head_scanner.h"
#include "http/method.h"
#include "http/upstream_response.h"
#include "os/fd.h"
#include "upstream/client.h"
#include "upstream/connection.h"
#include "upstream/failure.h"
#include "upstream/upstream.h"

namespace onebox::upstream {

enum class End : bool { kNotYet, kComplete };

// What has failed, and how far it had come.
struct Failed {
  Failure failure;
  std::string detail;      // for the log
  bool stale = false;      // the connection was an old one, which its server had given up
  bool untouched = true;   // no byte has left: the server knows nothing of the request
  bool answering = false;  // a part of the answer came
};

// Whom a call tells. Views are valid during the call. After OnFailed() and after what is kComplete it says
// no more, and may be started again within them.
class CallUser {
 public:
  virtual void OnInterim(const http::ResponseHead& head) = 0;  // 100 is for the call alone
  // The head, and the begin of the body. With 101 the body has no end, and no form: see Call::Send().
  virtual void OnAnswer(const http::ResponseHead& head, std::string_view body, End end) = 0;
  virtual void OnBody(std::string_view body, End end) = 0;
  virtual void OnFailed(const Failed& failed) = 0;
  virtual void OnTookBytes() = 0;  // of a tunnel: what was pending has left

 protected:
  ~CallUser() = default;
};

// idle -> connecting -> sending -> waiting -> answering -> idle, or -> tunnel -> idle. The client, the
// upstream and the user outlive it; it may not go within a call to its user.
class Call final : private Connection::User {
 public:
  // The views stay valid until the answer's head, but for the head: it may go when Start() returns.
  struct Request {
    std::string_view head;
    std::string_view body = {};  // where it is not in the file
    const os::Fd* file = nullptr;
    std::uint64_t body_bytes = 0;
    http::Method method = http::Method::kGet;
    bool upgrade = false;  // the request asks for it: 101 may be the answer
    Duration head_timeout{};
    bool is_probe = false;  // whoever sends it counts and judges for himself
  };

  Call(Client& client, Upstream& upstream, CallUser& user)
      : client_(client), upstream_(upstream), user_(user), scanner_(limits()) {}
  ~Call() { Abandon(); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // On an idle connection or, with `fresh`, on a new one. May call back before it returns.
  enum class Use : std::uint8_t { kAny, kFresh };
  void Start(Server& server, const Request& request, Use use);
  // Nobody wants it any more: it says nothing.
  void Abandon();
  bool running() const { return step_ != Step::kIdle; }

  // The user has enough for now: no more is read.
  void Pause() { paused_ = true; }
  void Resume();

  // --- of a tunnel
  // What the server does not take at once is kept: see pending().
  void Send(std::string_view bytes);
  std::uint64_t pending() const { return unsent_.size(); }
  void EndSending();
  Time last_byte() const { return progress_; }

 private:
  enum class Step : std::uint8_t { kIdle, kConnecting, kSending, kWaiting, kAnswering, kTunnel };

  http::Limits limits() const { return http::ResponseLimits(upstream_.settings().head_bytes_max); }
  void OnReady() override;
  void OnTimer();
  void Connect();
  void OnConnected();
  void SendSome();
  bool SendUnsent();
  bool SendBody();
  void Read();
  bool Take(std::string_view bytes);
  bool TakeHead(std::string_view bytes);
  bool TakeAnswer(const http::ResponseHead& head, std::string_view rest);
  void CountAnswer();
  bool TakeBody(std::string_view bytes);
  struct Piece {
    std::string_view bytes = {};
    End end = End::kNotYet;
    bool wrong = false;
    std::size_t consumed = 0;
  };
  Piece NextPiece(std::string_view bytes);
  bool Deliver(const Piece& piece, std::string_view all);
  void OnInputEnd(os::Moved::State state);
  void Release(bool reusable);
  void Fail(Failure failure, std::string detail);
  void Enter(Step step);
  Duration Limit() const;
  void ArmTimer();

  Client& client_;
  Upstream& upstream_;
  CallUser& user_;
  Server* server_ = nullptr;
  std::unique_ptr<Connection> connection_;
  Request request_;
  std::string unsent_;  // of the head, or of a tunnel
  std::string input_;   // the begin of a head
  http::HeadScanner scanner_;
  http::ChunkedDecoder chunks_;
  Time began_{};
  Time progress_{};
  std::uint64_t body_sent_ = 0;
  std::uint64_t left_ = 0;  // of an answer of known length
  event::CallTimer<&Call::OnTimer> timer_{*this};
  Step step_ = Step::kIdle;
  http::ResponseFraming framing_ = http::ResponseFraming::kNone;
  std::uint32_t run_ = 0;  // how often it was started
  std::uint8_t interims_ = 0;
  bool reused_ = false;
  bool sent_any_ = false;
  bool heard_any_ = false;  // a byte of the answer came
  bool keep_alive_ = false;
  bool paused_ = false;
  bool ending_ = false;  // a tunnel: no more is sent after what is pending
};

}  // namespace onebox::upstream
