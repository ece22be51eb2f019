#include "front/http1_connection.h"

#include <algorithm>
#include <array>
#include <utility>

#include <sys/epoll.h>

#include "front/exchange.h"
#include "front/pace.h"
#include "front/shard.h"
#include "http/response_head.h"
#include "http2/session.h"

namespace onebox::front {
namespace {

constexpr std::uint64_t kAnswerMemoryMax = 256 << 10;  // of one answer; above it a file
constexpr std::string_view kHttp2Head = http2::kPreface.substr(0, 18);  // the rest may come later
constexpr std::size_t kKeptBytes = 15;  // what a string holds without an allocation

}  // namespace

Http1Connection::Http1Connection(Shard& shard, Transport transport, const Peer& peer)
    : ClientConnection(shard, std::move(transport), peer),
      scanner_(shard.settings().head),
      since_(shard.now()),
      progress_(since_) {}

Http1Connection::~Http1Connection() {
  exchange_.reset();  // it may still speak to us
  shard_.budget().GiveBack(input_held_);
}

// --- input

void Http1Connection::OnReady(std::uint32_t events) {
  if (closed()) return;
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
    if (exchange_ != nullptr) exchange_->OnClientGone();
    Close();
    return;
  }
  if ((events & EPOLLOUT) != 0) transport_.OnWritable();
  if ((events & EPOLLOUT) != 0 && output_ != nullptr) WriteOutput();
  if (closed()) return;
  if ((events & (EPOLLIN | EPOLLRDHUP)) != 0) readable_ = true;
  if ((events & EPOLLRDHUP) != 0) {
    peer_done_ = true;
    OnHalfClosed();
    if (closed()) return;
  }
  if (step_ == Step::kLingering) {
    Discard();
  } else {
    Pump();
  }
}

// A FIN says "I send no more", and a client that has closed says no more than that. An interim answer is
// allowed at any time (RFC 9110 15.2); who has closed answers it with a reset.
void Http1Connection::OnHalfClosed() {
  const bool waits = step_ == Step::kAnswering && exchange_ != nullptr && !answer_begun_;
  if (waits && !IsSending() && !peer_.unix_socket()) SendInterim(100, {});
}

bool Http1Connection::WantsInput() const {
  if (step_ == Step::kTunnel) return exchange_ != nullptr && exchange_->TakesTunnelBytes();
  return step_ == Step::kHead || step_ == Step::kBody;
}

void Http1Connection::Pump() {
  const bool answers = step_ == Step::kAnswering || step_ == Step::kTunnel;
  if (exchange_ != nullptr && answers) exchange_->OnWritable();
  if (closed()) return;
  pumping_ = true;
  while (WantsInput()) {
    if (!input_.empty()) {
      const std::size_t consumed = Process(input_);
      if (closed()) break;
      input_.erase(0, consumed);
      if (!WantsInput()) break;
    }
    if (!readable_ || !Read()) break;
  }
  pumping_ = false;
  if (closed()) return;
  if (input_.empty() && input_.capacity() > kKeptBytes) std::string().swap(input_);
  if (WantsInput() && input_ended_) {
    OnInputEnd();
    return;
  }
  HoldInput() ? ArmTimer() : RefuseInput();
}

// What waits to be processed, half a head or what is pipelined, is a part of the budget.
bool Http1Connection::HoldInput() {
  const auto bytes = static_cast<std::uint32_t>(input_.size() > kKeptBytes ? input_.capacity() : 0);
  if (bytes > input_held_ && !shard_.budget().Take(bytes - input_held_)) return false;
  if (bytes < input_held_) shard_.budget().GiveBack(input_held_ - bytes);
  input_held_ = bytes;
  return true;
}

void Http1Connection::RefuseInput() {
  shard_.lane().Add(telemetry::Limit::kBufferBytes);
  if (step_ == Step::kHead) {
    ForgetRequest();
    shard_.Refuse(*this, {.status = 503, .why = "all buffers are full"});
    if (closed()) return;
  }
  // What was sent ahead of an answer is not heard: the connection ends after that.
  std::string().swap(input_);
  HoldInput();
  input_whole_ = false;
  draining_ = true;
  ArmTimer();
}

// Whether there was anything. Bytes are processed where they were read; only what waits is kept.
bool Http1Connection::Read() {
  const std::span<char> buffer = shard_.read_buffer();
  const os::Moved moved = transport_.Receive(buffer);
  if (moved.state != os::Moved::State::kDone || moved.bytes == 0) {
    readable_ = false;
    input_ended_ = moved.state != os::Moved::State::kNotNow;
    return false;
  }
  const std::string_view bytes(buffer.data(), moved.bytes);
  // A short read has emptied the socket; what comes later is a new edge.
  readable_ = !transport_.emptied() || peer_done_;
  shard_.lane().Add(telemetry::Counter::kBytesReceived, bytes.size());
  if (Idle()) since_ = shard_.now();  // of the head
  progress_ = shard_.now();
  if (!input_.empty()) {
    input_.append(bytes);  // Pump() goes on with it
    return true;
  }
  const std::size_t consumed = Process(bytes);
  if (closed()) return false;
  input_.assign(bytes.substr(consumed));
  return WantsInput();
}

std::size_t Http1Connection::Process(std::string_view bytes) {
  std::size_t position = 0;
  bool progressed = true;
  while (progressed && position < bytes.size()) {
    progressed = false;
    if (step_ == Step::kHead) {
      position += ReadHead(bytes.substr(position), progressed);
    } else if (step_ == Step::kBody) {
      position += exchange_->TakeBody(bytes.substr(position));
      progressed = true;
      if (step_ == Step::kBody && exchange_->body_complete()) {
        step_ = Step::kAnswering;
        input_whole_ = true;
        exchange_->Begin(nullptr);
      }
    } else if (step_ == Step::kTunnel && exchange_ != nullptr) {
      exchange_->OnTunnelBytes(bytes.substr(position));
      position = bytes.size();
    }
  }
  return position;
}

// Of the one before, when there is another: nothing is known of that yet.
void Http1Connection::ForgetRequest() {
  keep_alive_ = input_whole_ = answers_head_ = answer_begun_ = false;
  protocol_ = Protocol::kHttp11;
  answer_bytes_ = 0;
}

std::size_t Http1Connection::ReadHead(std::string_view bytes, bool& progressed) {
  const http::HeadScanner::Progress scanned = scanner_.Scan(bytes);
  if (scanned.state == http::HeadScanner::State::kNeedMore) return 0;
  progressed = true;
  ForgetRequest();
  if (scanned.state == http::HeadScanner::State::kRefused) {
    Refuse(scanned.refusal, telemetry::Step::kReadHead, {});
    return bytes.size();
  }
  scanner_.Reset();
  ++requests_;
  http::RequestHead& head = shard_.head();
  const std::string_view head_bytes = bytes.substr(scanned.begin, scanned.end - scanned.begin);
  if (requests_ == 1 && head_bytes == kHttp2Head && shard_.settings().http2) {
    shard_.SpeakHttp2(*this, bytes.substr(scanned.begin));
    return bytes.size();
  }
  if (const auto refused = http::ParseRequestHead(head_bytes, shard_.settings().head, head)) {
    Refuse(*refused, telemetry::Step::kReadHead, head_bytes);
    return bytes.size();
  }
  answers_head_ = head.method == http::Method::kHead;
  if (head.minor_version == 0) protocol_ = Protocol::kHttp10;
  keep_alive_ = head.keep_alive;
  step_ = Step::kAnswering;
  since_ = progress_ = shard_.now();
  input_whole_ = head.framing == http::Framing::kNone;
  exchange_ = shard_.Route(*this, head_bytes, head);
  if (exchange_ != nullptr && step_ == Step::kAnswering) {
    if (exchange_->body_complete()) {
      input_whole_ = true;
      exchange_->Begin(&head);
    } else {
      step_ = Step::kBody;
      exchange_->ExpectBody();
    }
  }
  return scanned.end;
}

void Http1Connection::OnInputEnd() {
  if (step_ == Step::kTunnel) return exchange_->OnTunnelEnd();
  // Nothing of a request, or a part of one that will never be whole, and that nobody waits for.
  const bool half_a_head = step_ == Step::kHead && !input_.empty();
  if (half_a_head || step_ == Step::kBody) {
    shard_.lane().Add(telemetry::Counter::kRequestsAbandoned);
  }
  Close();
}

// --- output

Output& Http1Connection::NeedOutput() {
  if (output_ == nullptr) {
    output_ =
        std::make_unique<Output>(shard_.budget(),
                                 Output::Room{kAnswerMemoryMax, shard_.settings().spool_folder},
                                 shard_.now());
  } else if (!IsSending()) {
    progress_ = shard_.now();
    output_->Restart(progress_);
  }
  return *output_;
}

// How much of it the socket takes at once, where nothing waits before it; nothing where the client
// is gone.
std::optional<std::size_t> Http1Connection::SendNow(std::string_view first,
                                                    std::span<const Piece> pieces) {
  if (output_ != nullptr) return 0;
  const os::Moved moved = transport_.Send(first, pieces);
  if (moved.state == os::Moved::State::kGone) return std::nullopt;
  shard_.lane().Add(telemetry::Counter::kBytesSent, moved.bytes);
  progress_ = shard_.now();
  return moved.bytes;
}

void Http1Connection::Write(std::string_view bytes) {
  if (closed() || bytes.empty()) return;
  answer_bytes_ += bytes.size();
  const auto sent = SendNow(bytes, {});
  if (!sent) return Abort();
  bytes.remove_prefix(*sent);
  if (bytes.empty()) return;
  if (!NeedOutput().Append(bytes)) {
    shard_.lane().Add(telemetry::Limit::kSpool);
    return Abort();
  }
  WriteRest();
}

void Http1Connection::SendInterim(int status, std::string_view fields) {
  if (protocol_ == Protocol::kHttp10) return;
  // Clients are known that take it for the answer.
  if (status == 103 && !shard_.settings().early_hints_http1) return;
  answer_begun_ = true;
  std::string& out = shard_.wire_buffer();
  out.clear();
  http::AppendStatusLine(out, status);
  out += fields;
  out += "\r\n";
  Write(out);
}

// With what only this connection's client is to know: RFC 9112 6.1 and 9.3.
void Http1Connection::AppendHead(std::string& out, const AnswerHead& head) {
  answer_begun_ = true;
  const bool http10 = protocol_ == Protocol::kHttp10;
  chunked_ = head.framing == Framing::kUntilEnd && !http10;
  const bool ends_it = head.framing == Framing::kUntilEnd && http10;
  keep_alive_ = keep_alive_ && input_whole_ && !ends_it && shard_.KeepsAlive(*this);
  if (head.reason.empty()) {
    http::AppendStatusLine(out, head.status);
  } else {
    http::AppendStatusLine(out, head.status, head.reason);
  }
  shard_.AppendAnswerFields(out, head, peer());
  if (chunked_) http::AppendField(out, "Transfer-Encoding", "chunked");
  if (!keep_alive_) {
    http::AppendField(out, "Connection", "close");
  } else if (http10) {
    http::AppendField(out, "Connection", "keep-alive");
  }
  out += "\r\n";
}

void Http1Connection::SendHead(const AnswerHead& head, std::string_view body, Last last) {
  std::string& out = shard_.wire_buffer();
  out.clear();
  AppendHead(out, head);
  if (chunked_) {
    http::AppendChunk(out, body);
    if (last == Last::kYes) out += http::kLastChunk;
  } else {
    out += body;
  }
  Write(out);
}

void Http1Connection::Send(std::string_view body, Last last) {
  if (!chunked_) return Write(body);
  std::string& out = shard_.wire_buffer();
  out.clear();
  http::AppendChunk(out, body);
  if (last == Last::kYes) out += http::kLastChunk;
  Write(out);
}

std::uint64_t Http1Connection::SendPieces(const AnswerHead& answer_head, Body pieces) {
  std::uint64_t left = 0;
  if (closed()) return left;
  std::string& out = shard_.wire_buffer();
  out.clear();
  AppendHead(out, answer_head);
  std::string_view head = out;
  answer_bytes_ += head.size() + pieces.size();
  for (std::size_t taken = 1; taken > 0 && (!head.empty() || !pieces.empty());) {
    const auto sent = SendNow(head, pieces.pieces());
    if (!sent) {
      Abort();
      return left;
    }
    taken = *sent;
    left += taken;
    const std::size_t of_head = std::min(taken, head.size());
    head.remove_prefix(of_head);
    pieces.Advance(taken - of_head);
  }
  if (head.empty() && pieces.empty()) return left;
  Output& output = NeedOutput();
  if (!head.empty() && !output.Append(head)) {
    shard_.lane().Add(telemetry::Limit::kSpool);
    Abort();
    return left;
  }
  output.AppendPieces(std::move(pieces));
  WriteRest();
  return left;
}

void Http1Connection::SendFile(os::Fd file, std::uint64_t offset, std::uint64_t size) {
  if (closed()) return;
  answer_bytes_ += size;
  NeedOutput().AppendFile(std::move(file), offset, size);
  WriteRest();
}

void Http1Connection::SwitchProtocols(std::string_view fields) {
  if (closed()) return;
  keep_alive_ = chunked_ = false;
  answer_begun_ = true;
  step_ = Step::kTunnel;
  std::string& out = shard_.wire_buffer();
  out.clear();
  http::AppendStatusLine(out, 101);
  http::AppendField(out, "Connection", "Upgrade");
  out += fields;
  out += "\r\n";
  Write(out);
  if (!closed()) GoOnLater();  // the client may have spoken ahead
}

void Http1Connection::RecordWhenSent(AnswerRecord record) {
  if (output_ != nullptr) output_->KeepRecord(std::move(record));
}

void Http1Connection::SetPace(const limits::Pace& pace) {
  if (!closed()) NeedOutput().SetPace(pace, shard_.now());
}

void Http1Connection::HoldUntilSent(limits::Passage passage) {
  if (output_ != nullptr) output_->Hold(std::move(passage));
}

void Http1Connection::GoOnLater() {
  shard_.PumpLater(*this);
}

void Http1Connection::TellRecord() {
  if (output_ == nullptr) return;
  if (const auto record = output_->TakeRecord()) shard_.Record(*this, *record, pending());
}

void Http1Connection::WriteRest() {
  if (!Register()) return Abort();
  WriteOutput();
}

void Http1Connection::WriteOutput() {
  const std::uint64_t before = output_->sent();
  const Output::Wrote wrote = output_->WriteTo(transport_, shard_.now());
  const std::uint64_t sent = output_->sent() - before;
  if (sent > 0) progress_ = shard_.now();
  shard_.lane().Add(telemetry::Counter::kBytesSent, sent);
  AfterWrite(wrote);
}

void Http1Connection::AfterWrite(Output::Wrote wrote) {
  if (wrote == Output::Wrote::kGone) {
    if (exchange_ != nullptr) exchange_->OnClientGone();
    return Close();
  }
  if (wrote == Output::Wrote::kAll) {
    TellRecord();
    // A pace holds until the answer's end.
    if (!output_->paced() || step_ == Step::kFlushing) output_.reset();
  }
  if (exchange_ != nullptr) exchange_->OnWritable();
  if (closed()) return;
  if (output_ == nullptr && step_ == Step::kFlushing) {
    Flushed();
  } else {
    ArmTimer();
  }
}

void Http1Connection::Finish() {
  if (closed()) return;
  if (exchange_ != nullptr) {
    HoldUntilSent(exchange_->TakePassage());
    shard_.Retire(std::move(exchange_));
  }
  step_ = Step::kFlushing;
  if (IsSending()) return ArmTimer();
  output_.reset();
  Flushed();
}

void Http1Connection::Flushed() {
  const bool enough = requests_ >= shard_.settings().requests_per_connection_max;
  if (enough) shard_.lane().Add(telemetry::Limit::kRequestsPerConnection);
  if (!keep_alive_ || draining_ || enough) return Linger();
  step_ = Step::kHead;
  since_ = progress_ = shard_.now();
  // Who calls us outside Pump() lets the next pipelined request begin at the turn's end.
  if (pumping_) return;
  ArmTimer();
  if (!input_.empty() || readable_ || input_ended_) shard_.PumpLater(*this);
}

void Http1Connection::Abort() {
  if (closed()) return;
  if (exchange_ != nullptr) exchange_->OnClientGone();
  Close();
}

void Http1Connection::Refuse(http::RefusalKind kind, telemetry::Step step, std::string_view head) {
  keep_alive_ = false;
  shard_.Refuse(*this, kind, step, head);
}

// --- the end

void Http1Connection::Drain() {
  draining_ = true;
  if (Idle()) Leave();
}

void Http1Connection::Leave() {
  transport_.SayGoodbye();
  Close();
}

void Http1Connection::ShowBroken() {
  if (exchange_ != nullptr) exchange_->OnBroken();
}

// A close() with unread input resets the connection, and the reset may overtake our last answer
// (RFC 9112 9.6): so say that no more comes, and read until the client has seen it.
void Http1Connection::Linger() {
  if (input_ended_ || (input_whole_ && input_.empty())) return Leave();
  step_ = Step::kLingering;
  since_ = shard_.now();
  transport_.EndSending();
  if (!Register()) return Close();
  Discard();
}

void Http1Connection::Discard() {
  DiscardInput() ? ArmTimer() : Close();
}

void Http1Connection::Close() {
  if (closed()) return;
  CloseSocket();
  TellRecord();
  if (exchange_ != nullptr) shard_.Retire(std::move(exchange_));
}

// --- time

Time Http1Connection::Deadline() const {
  const Settings& settings = shard_.settings();
  Time deadline = Time::max();
  switch (step_) {
    case Step::kHead:
      deadline = since_ + (input_.empty() ? settings.idle_timeout : settings.head_timeout);
      break;
    case Step::kBody:
      deadline = BodyDeadline(settings, since_, progress_, exchange_->body().size());
      break;
    case Step::kAnswering:
      if (exchange_ != nullptr) deadline = exchange_->deadline();
      break;
    case Step::kTunnel:  // the exchange sees to it
      break;
    case Step::kLingering:
      return since_ + kLingerTime;
    case Step::kFlushing:
      break;
  }
  if (IsSending()) {
    deadline = std::min({deadline, WriteDeadline(settings, *output_, progress_), output_->ready()});
  }
  return deadline;
}

void Http1Connection::ArmTimer() {
  if (closed()) return;
  const Time deadline = Deadline();
  if (deadline != Time::max()) shard_.reactor().timers().Arm(*this, deadline);
}

void Http1Connection::OnTimer() {
  const Time now = shard_.now();
  if (now < Deadline()) return ArmTimer();
  const Settings& settings = shard_.settings();
  if (IsSending() && now >= output_->ready()) return WriteOutput();
  if (IsSending() && now >= progress_ + settings.write_timeout) {
    shard_.lane().Add(telemetry::Limit::kWriteTimeout);
    return Abort();
  }
  if (IsSending() && now >= WriteRateDeadline(settings, *output_)) {
    shard_.lane().Add(telemetry::Limit::kWriteRate);
    return Abort();
  }
  switch (step_) {
    case Step::kHead:
      if (input_.empty()) {
        shard_.lane().Add(telemetry::Limit::kIdleTimeout);
        return Leave();
      }
      shard_.lane().Add(telemetry::Limit::kHeadTimeout);
      ForgetRequest();
      return shard_.Refuse(*this,
                           {.status = 408, .why = "the request head did not arrive in time"});
    case Step::kBody: {
      const bool stopped = now >= progress_ + settings.body_timeout;
      shard_.lane().Add(stopped ? telemetry::Limit::kBodyTimeout : telemetry::Limit::kBodyRate);
      return exchange_->OnBodyTimeout();
    }
    case Step::kAnswering:
      if (exchange_ != nullptr) exchange_->OnDeadline(now);
      return ArmTimer();
    case Step::kLingering:
      return Close();
    case Step::kTunnel:
    case Step::kFlushing:
      return ArmTimer();
  }
}

}  // namespace onebox::front
