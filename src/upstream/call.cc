#include "upstream/call.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/check.h"

namespace onebox::upstream {
namespace {

constexpr int kReadsPerTurn = 16;  // others have their turn too
constexpr std::uint8_t kInterimsMax = 16;
constexpr std::size_t kFilePieceMax = 1 << 20;
// A server closes what is idle when it likes to. What must not run twice goes out only on a connection
// that was in use so short a time ago that no server has given it up.
constexpr Duration kSurelyOpen = seconds(1);

}  // namespace

void Call::Start(Server& server, const Request& request, Use use) {
  CHECK(step_ == Step::kIdle);
  ++run_;
  server_ = &server;
  request_ = request;
  unsent_.clear();
  input_.clear();
  scanner_ = http::HeadScanner(limits());
  chunks_ = http::ChunkedDecoder();
  began_ = client_.reactor().now();
  body_sent_ = left_ = 0;
  interims_ = 0;
  sent_any_ = heard_any_ = keep_alive_ = paused_ = ending_ = false;
  if (!request.is_probe) server.Begin();
  if (use == Use::kAny) {
    const bool twice = http::IsIdempotent(request.method);
    connection_ = client_.Take(server, twice ? Time() : began_ - kSurelyOpen);
  }
  reused_ = connection_ != nullptr;
  if (!reused_) {
    unsent_ = request.head;
    return Connect();
  }
  server.CountConnection(true);
  connection_->UseBy(this);
  OnConnected();
}

void Call::Connect() {
  Enter(Step::kConnecting);
  const auto address = server_->NextAddress();
  if (!address) return Fail(Failure::kUnknownHost, {});
  std::optional<Connection::Tls> tls;
  if (server_->address().secure) {
    const std::string& name = upstream_.settings().tls.name;
    tls = {.context = upstream_.tls_context(),
           .host = name.empty() ? server_->address().host : name,
           .scratch = client_.tls_scratch()};
  }
  auto begun = Connection::Begin(client_.reactor(), *address, tls);
  if (!begun.ok()) {
    server_->TurnAddress();
    return Fail(Failure::kConnect, begun.error().message);
  }
  server_->CountConnection(false);
  connection_ = std::move(begun).value();
  connection_->UseBy(this);
  ArmTimer();
}

void Call::Enter(Step step) {
  step_ = step;
  progress_ = client_.reactor().now();
}

void Call::OnConnected() {
  Enter(Step::kSending);
  SendSome();
}

void Call::OnReady() {
  if (step_ == Step::kConnecting) {
    if (connection_->state() == Connection::State::kConnecting) return;
    if (connection_->state() == Connection::State::kBroken) {
      if (connection_->of_tls()) return Fail(Failure::kTls, connection_->failure());
      server_->TurnAddress();
      return Fail(Failure::kConnect, connection_->failure());
    }
    return OnConnected();
  }
  if (step_ == Step::kSending) {
    SendSome();
  } else if (step_ == Step::kTunnel && !unsent_.empty()) {
    if (!SendUnsent()) return Fail(Failure::kSend, {});
    if (unsent_.empty()) {
      if (ending_) connection_->EndSending();
      user_.OnTookBytes();
    }
  }
  if (step_ != Step::kIdle && step_ != Step::kConnecting) Read();
}

// --- the request

// False where the server takes no more at all.
bool Call::SendUnsent() {
  std::string_view head = unsent_;
  std::array<std::string_view, 2> parts{};
  while (!unsent_.empty()) {
    std::size_t count = 0;
    parts[count++] = head;
    if (step_ == Step::kSending && !request_.body.empty()) parts[count++] = request_.body;
    const os::Moved moved = connection_->Send(std::span(parts.data(), count));
    if (moved.state == os::Moved::State::kGone) return false;
    if (moved.state == os::Moved::State::kNotNow) return true;
    sent_any_ = true;
    progress_ = client_.reactor().now();
    const std::size_t of_head = std::min(moved.bytes, head.size());
    unsent_.erase(0, of_head);
    head = unsent_;
    body_sent_ += moved.bytes - of_head;
  }
  return true;
}

bool Call::SendBody() {
  while (body_sent_ < request_.body_bytes) {
    const std::uint64_t left = request_.body_bytes - body_sent_;
    const std::string_view rest =
        request_.body.substr(std::min<std::uint64_t>(body_sent_, request_.body.size()));
    const os::Moved moved =
        request_.file != nullptr
            ? connection_->SendFile(
                  *request_.file,
                  body_sent_,
                  static_cast<std::size_t>(std::min<std::uint64_t>(left, kFilePieceMax)))
            : connection_->Send(std::span(&rest, 1));
    if (moved.state == os::Moved::State::kGone) return false;
    if (moved.state == os::Moved::State::kNotNow) return true;
    sent_any_ = true;
    progress_ = client_.reactor().now();
    body_sent_ += moved.bytes;
  }
  return true;
}

void Call::SendSome() {
  if (unsent_.empty() && !sent_any_) unsent_ = request_.head;
  const bool taken = SendUnsent() && (!unsent_.empty() || SendBody());
  // Who closes in the middle of a request may have said why before: that is read first.
  if (!taken) {
    const std::uint32_t run = run_;
    if (connection_->readable()) Read();
    if (run == run_ && step_ == Step::kSending) Fail(Failure::kSend, {});
    return;
  }
  if (unsent_.empty() && body_sent_ == request_.body_bytes) Enter(Step::kWaiting);
  ArmTimer();
}

// --- the answer

void Call::Read() {
  for (int reads = 0; reads < kReadsPerTurn && !paused_ && connection_->readable(); ++reads) {
    const std::span<char> buffer = client_.read_buffer();
    const os::Moved moved = connection_->Receive(buffer);
    if (moved.state == os::Moved::State::kNotNow) return;
    if (moved.state == os::Moved::State::kGone || moved.bytes == 0) return OnInputEnd(moved.state);
    heard_any_ = true;
    if (step_ >= Step::kAnswering) progress_ = client_.reactor().now();
    if (!Take({buffer.data(), moved.bytes})) return;
  }
  // What is left is read in the next turn.
  if (!paused_ && connection_->readable()) {
    client_.reactor().timers().Arm(timer_, client_.reactor().now());
  }
}

// Whether the call goes on.
bool Call::Take(std::string_view bytes) {
  if (step_ == Step::kTunnel) {
    user_.OnBody(bytes, End::kNotYet);
    return step_ == Step::kTunnel;
  }
  if (step_ == Step::kAnswering) return TakeBody(bytes);
  if (input_.empty()) return TakeHead(bytes);
  input_.append(bytes);
  const std::string all = std::move(input_);
  input_.clear();
  return TakeHead(all);
}

bool Call::TakeHead(std::string_view bytes) {
  for (;;) {
    const auto scanned = scanner_.Scan(bytes);
    if (scanned.state == http::HeadScanner::State::kRefused) {
      Fail(Failure::kHead, std::string(http::WrongResponse(scanned.refusal)));
      return false;
    }
    if (scanned.state == http::HeadScanner::State::kNeedMore) {
      input_.assign(bytes);
      return true;
    }
    scanner_.Reset();
    http::ResponseHead& head = client_.head();
    const auto wrong =
        http::ParseResponseHead(bytes.substr(0, scanned.end), request_.method, limits(), head);
    if (wrong) {
      Fail(Failure::kHead, std::string(*wrong));
      return false;
    }
    bytes.remove_prefix(scanned.end);
    if (head.status >= 200 || head.status == 101) return TakeAnswer(head, bytes);
    if (++interims_ > kInterimsMax) {
      Fail(Failure::kHead, "too many interim answers");
      return false;
    }
    if (head.status != 100) user_.OnInterim(head);
    if (step_ == Step::kIdle) return false;
    if (bytes.empty()) return true;
  }
}

void Call::CountAnswer() {
  if (request_.is_probe) return;
  server_->CountAnswer(client_.reactor().now() - began_);
  server_->health().Succeeded();
}

bool Call::TakeAnswer(const http::ResponseHead& head, std::string_view rest) {
  if (head.status == 101) {
    if (!request_.upgrade || step_ != Step::kWaiting) {
      Fail(Failure::kHead, "another protocol, which nobody asked for");
      return false;
    }
    CountAnswer();
    Enter(Step::kTunnel);
    ArmTimer();
    user_.OnAnswer(head, rest, End::kNotYet);
    return step_ == Step::kTunnel;
  }
  CountAnswer();
  // What answers before it has the request whole does not want the rest of it.
  keep_alive_ = head.keep_alive && step_ == Step::kWaiting;
  framing_ = head.framing;
  left_ = head.content_length;
  Enter(Step::kAnswering);
  const Piece piece = NextPiece(rest);
  if (piece.wrong) {
    Fail(Failure::kBody, "a chunk is not valid");
    return false;
  }
  if (piece.end == End::kComplete) {
    Release(keep_alive_ && piece.consumed == rest.size());
  } else {
    ArmTimer();
  }
  user_.OnAnswer(head, piece.bytes, piece.end);
  return step_ == Step::kAnswering;
}

bool Call::TakeBody(std::string_view bytes) {
  const Piece piece = NextPiece(bytes);
  if (piece.wrong) {
    Fail(Failure::kBody, "a chunk is not valid");
    return false;
  }
  if (piece.end == End::kComplete) Release(keep_alive_ && piece.consumed == bytes.size());
  if (!piece.bytes.empty() || piece.end == End::kComplete) user_.OnBody(piece.bytes, piece.end);
  return step_ == Step::kAnswering;
}

// All of the body that `bytes` hold.
Call::Piece Call::NextPiece(std::string_view bytes) {
  using enum http::ResponseFraming;
  switch (framing_) {
    case kNone:
      return {.end = End::kComplete};
    case kContentLength: {
      const std::string_view mine = bytes.substr(0, std::min<std::uint64_t>(left_, bytes.size()));
      left_ -= mine.size();
      return {.bytes = mine,
              .end = left_ == 0 ? End::kComplete : End::kNotYet,
              .consumed = mine.size()};
    }
    case kUntilClose:
      return {.bytes = bytes, .consumed = bytes.size()};
    case kChunked:
      break;
  }
  std::string& decoded = client_.decoded();
  decoded.clear();
  Piece piece;
  while (piece.consumed < bytes.size()) {
    const auto step = chunks_.Feed(bytes.substr(piece.consumed));
    piece.consumed += step.consumed;
    if (step.state == http::ChunkedDecoder::State::kNeedMore) break;
    if (step.state == http::ChunkedDecoder::State::kRefused) {
      piece.wrong = true;
      return piece;
    }
    if (step.state == http::ChunkedDecoder::State::kEnd) {
      piece.end = End::kComplete;
      break;
    }
    decoded.append(step.data);
  }
  piece.bytes = decoded;
  return piece;
}

void Call::OnInputEnd(os::Moved::State state) {
  const bool clean = state == os::Moved::State::kDone;
  if (step_ == Step::kTunnel) {
    Release(false);
    return user_.OnBody({}, End::kComplete);
  }
  if (step_ == Step::kAnswering) {
    if (framing_ == http::ResponseFraming::kUntilClose && clean) {
      Release(false);
      return user_.OnBody({}, End::kComplete);
    }
    return Fail(Failure::kBody, clean ? "it closed before the end" : "it reset the connection");
  }
  Fail(Failure::kClosed, clean ? "" : "it reset the connection");
}

void Call::Resume() {
  if (!std::exchange(paused_, false) || step_ == Step::kIdle) return;
  progress_ = client_.reactor().now();
  Read();
}

// --- the end

void Call::Release(bool reusable) {
  client_.reactor().timers().Disarm(timer_);
  step_ = Step::kIdle;
  if (!request_.is_probe) server_->End();
  if (connection_ == nullptr) return;
  connection_->UseBy(nullptr);
  if (reusable) {
    client_.Keep(upstream_, *server_, std::move(connection_));
  } else {
    connection_.reset();
  }
}

void Call::Abandon() {
  if (step_ != Step::kIdle) Release(false);
}

void Call::Fail(Failure failure, std::string detail) {
  const bool gone = failure == Failure::kSend || failure == Failure::kClosed;
  const Failed failed{.failure = failure,
                      .detail = std::move(detail),
                      .stale = reused_ && !heard_any_ && gone,
                      .untouched = !sent_any_,
                      .answering = step_ == Step::kAnswering || step_ == Step::kTunnel};
  Release(false);
  if (!failed.stale && !request_.is_probe) {
    upstream_.Failed(*server_, failure, client_.reactor().now(), client_.Random());
  }
  user_.OnFailed(failed);
}

// --- time

Duration Call::Limit() const {
  const Settings& settings = upstream_.settings();
  switch (step_) {
    case Step::kConnecting:
      return settings.connect_timeout;
    case Step::kSending:
      return settings.send_timeout;
    case Step::kWaiting:
      return request_.head_timeout;
    case Step::kAnswering:
      return settings.read_timeout;
    case Step::kIdle:
    case Step::kTunnel:
      break;
  }
  return settings.tunnel_timeout;
}

void Call::ArmTimer() {
  if (step_ == Step::kIdle) return;
  client_.reactor().timers().Arm(timer_, progress_ + Limit());
}

void Call::OnTimer() {
  if (step_ == Step::kIdle) return;
  const bool reads = step_ == Step::kAnswering || step_ == Step::kTunnel;
  if (!paused_ && connection_ != nullptr && connection_->readable() && step_ != Step::kConnecting) {
    Read();
    if (step_ != Step::kIdle && !timer_.armed()) ArmTimer();
    return;
  }
  if (paused_ && reads)
    progress_ = client_.reactor().now();  // it is not the server that we wait for
  if (client_.reactor().now() < progress_ + Limit()) return ArmTimer();
  switch (step_) {
    case Step::kConnecting:
      server_->TurnAddress();
      return Fail(Failure::kConnectTimeout, {});
    case Step::kSending:
      return Fail(Failure::kSendTimeout, {});
    case Step::kWaiting:
      return Fail(Failure::kHeadTimeout, {});
    case Step::kAnswering:
      return Fail(Failure::kReadTimeout, {});
    case Step::kTunnel:
      Release(false);
      return user_.OnBody({}, End::kComplete);
    case Step::kIdle:
      return;
  }
}

// --- a tunnel

void Call::Send(std::string_view bytes) {
  CHECK(step_ == Step::kTunnel);
  unsent_.append(bytes);
  if (!SendUnsent()) Fail(Failure::kSend, {});
}

void Call::EndSending() {
  if (step_ != Step::kTunnel) return;
  ending_ = true;
  if (unsent_.empty()) connection_->EndSending();
}

}  // namespace onebox::upstream
