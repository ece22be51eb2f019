#include "front/connection.h"

#include <algorithm>
#include <array>
#include <utility>

#include <sys/epoll.h>

#include "front/shard.h"
#include "front/stream.h"
#include "http/response_head.h"
#include "os/stream_socket.h"

namespace onebox::front {
namespace {

constexpr std::uint64_t kAnswerMemoryMax = 256 << 10;  // of one answer; above it a file
constexpr std::size_t kKeptBytes = 15;                 // what a string holds without an allocation
constexpr Duration kLingerTime = std::chrono::seconds(2);

// `begin`, later by the time that `bytes` may take at the lowest rate that is allowed.
Time AtRate(Time begin, std::uint64_t bytes, std::uint64_t rate_min) {
  if (rate_min == 0) return Time::max();
  constexpr std::uint64_t kSecondsMax = 1'000'000;
  const std::uint64_t milliseconds =
      std::min(bytes / rate_min, kSecondsMax) * 1000 + bytes % rate_min * 1000 / rate_min;
  return begin + std::chrono::milliseconds(milliseconds);
}

}  // namespace

std::optional<http::Address> AddressOf(const os::SocketAddress& peer) {
  const auto bytes = peer.ip_bytes();
  if (bytes.size() == 4) return http::Address::V4({bytes[0], bytes[1], bytes[2], bytes[3]});
  if (bytes.size() != 16) return std::nullopt;
  std::array<std::uint8_t, 16> six{};
  std::copy(bytes.begin(), bytes.end(), six.begin());
  return http::Address::V6(six);
}

Connection::Connection(Shard& shard,
                       os::Fd socket,
                       const os::SocketAddress& peer,
                       const Endpoint& endpoint)
    : shard_(shard),
      scanner_(shard.settings().head),
      address_(AddressOf(peer)),
      since_(shard.now()),
      progress_(since_),
      endpoint_(endpoint),
      socket_(std::move(socket)),
      port_(peer.port()) {}

Connection::~Connection() {
  stream_.reset();  // it may still speak to us
  shard_.budget().GiveBack(input_held_);
}

// --- input

void Connection::Start() {
  readable_ = true;  // TCP_DEFER_ACCEPT: there are bytes
  Pump();
  if (!closed() && !Register()) {
    shard_.lane().Add(telemetry::Limit::kDescriptors);
    Close();
  }
}

bool Connection::Register() {
  if (registered_) return true;
  registered_ = shard_.reactor().Watch(socket_.get(), *this, EPOLLIN | EPOLLOUT | EPOLLRDHUP).ok();
  return registered_;
}

void Connection::OnReady(std::uint32_t events) {
  if (closed()) return;
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
    if (stream_ != nullptr) stream_->OnClientGone();
    Close();
    return;
  }
  if ((events & EPOLLOUT) != 0 && output_ != nullptr) Write();
  if (closed()) return;
  if ((events & (EPOLLIN | EPOLLRDHUP)) != 0) readable_ = true;
  if ((events & EPOLLRDHUP) != 0) {
    peer_done_ = true;
    if (stream_ != nullptr) stream_->OnClientHalfClosed();
    if (closed()) return;
  }
  if (step_ == Step::kLingering) {
    Discard();
  } else {
    Pump();
  }
}

void Connection::Pump() {
  if (stream_ != nullptr && step_ == Step::kAnswering) stream_->OnWritable();
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
bool Connection::HoldInput() {
  const auto bytes = static_cast<std::uint32_t>(input_.size() > kKeptBytes ? input_.capacity() : 0);
  if (bytes > input_held_ && !shard_.budget().Take(bytes - input_held_)) return false;
  if (bytes < input_held_) shard_.budget().GiveBack(input_held_ - bytes);
  input_held_ = bytes;
  return true;
}

void Connection::RefuseInput() {
  shard_.lane().Add(telemetry::Limit::kBufferBytes);
  const bool half_a_head = step_ == Step::kHead;
  if (half_a_head) {
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
bool Connection::Read() {
  const std::span<char> buffer = shard_.read_buffer();
  const os::Moved moved = os::Receive(socket_, buffer);
  if (moved.state != os::Moved::State::kDone || moved.bytes == 0) {
    readable_ = false;
    input_ended_ = moved.state != os::Moved::State::kNotNow;
    return false;
  }
  const std::string_view bytes(buffer.data(), moved.bytes);
  // A short read has emptied the socket; what comes later is a new edge.
  readable_ = bytes.size() == buffer.size() || peer_done_;
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

std::size_t Connection::Process(std::string_view bytes) {
  std::size_t position = 0;
  bool progressed = true;
  while (progressed && position < bytes.size()) {
    progressed = false;
    if (step_ == Step::kHead) {
      position += ReadHead(bytes.substr(position), progressed);
    } else if (step_ == Step::kBody) {
      position += stream_->TakeBody(bytes.substr(position));
      progressed = true;
      if (step_ == Step::kBody && stream_->body_complete()) {
        step_ = Step::kAnswering;
        input_whole_ = true;
        stream_->Begin();
      }
    }
  }
  return position;
}

std::size_t Connection::ReadHead(std::string_view bytes, bool& progressed) {
  const http::HeadScanner::Progress scanned = scanner_.Scan(bytes);
  if (scanned.state == http::HeadScanner::State::kNeedMore) return 0;
  progressed = true;
  if (scanned.state == http::HeadScanner::State::kRefused) {
    Refuse(scanned.refusal, telemetry::Step::kReadHead);
    return bytes.size();
  }
  scanner_.Reset();
  ++requests_;
  input_whole_ = false;
  answers_head_ = answers_old_http_ = false;
  http::RequestHead& head = shard_.head();
  const std::string_view head_bytes = bytes.substr(scanned.begin, scanned.end - scanned.begin);
  if (const auto refused = http::ParseRequestHead(head_bytes, shard_.settings().head, head)) {
    Refuse(*refused, telemetry::Step::kReadHead, head_bytes);
    return bytes.size();
  }
  answers_head_ = head.method == http::Method::kHead;
  answers_old_http_ = head.minor_version == 0;
  step_ = Step::kAnswering;
  since_ = progress_ = shard_.now();
  input_whole_ = head.framing == http::Framing::kNone;
  stream_ = shard_.Route(*this, head_bytes, head);
  if (stream_ != nullptr && step_ == Step::kAnswering) {
    if (stream_->body_complete()) {
      stream_->Begin(&head);
    } else {
      step_ = Step::kBody;
      stream_->ExpectBody();
    }
  }
  return scanned.end;
}

void Connection::OnInputEnd() {
  // Nothing of a request, or a part of one that will never be whole, and that nobody waits for.
  const bool half_a_head = step_ == Step::kHead && !input_.empty();
  if (half_a_head || step_ == Step::kBody) {
    shard_.lane().Add(telemetry::Counter::kRequestsAbandoned);
  }
  Close();
}

// --- output

Output& Connection::NeedOutput() {
  if (output_ == nullptr) {
    output_ =
        std::make_unique<Output>(shard_.budget(),
                                 Output::Room{kAnswerMemoryMax, shard_.settings().spool_folder},
                                 shard_.now());
  }
  return *output_;
}

// How much of it the socket takes at once, where nothing waits before it; nothing where the client
// is gone.
std::optional<std::size_t> Connection::SendNow(std::string_view first,
                                               std::span<const Piece> pieces) {
  if (output_ != nullptr) return 0;
  const os::Moved moved = SendSome(socket_, first, pieces);
  if (moved.state == os::Moved::State::kGone) return std::nullopt;
  shard_.lane().Add(telemetry::Counter::kBytesSent, moved.bytes);
  progress_ = shard_.now();
  return moved.bytes;
}

void Connection::Send(std::string_view bytes) {
  if (closed() || bytes.empty()) return;
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

std::uint64_t Connection::SendPieces(std::string_view head, Body pieces) {
  std::uint64_t left = 0;
  if (closed()) return left;
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

void Connection::SendFile(os::Fd file, std::uint64_t offset, std::uint64_t size) {
  if (closed()) return;
  NeedOutput().AppendFile(std::move(file), offset, size);
  WriteRest();
}

void Connection::RecordWhenSent(StaticRecord record) {
  record_ = std::make_unique<StaticRecord>(std::move(record));
}

void Connection::TellRecord() {
  if (record_ == nullptr) return;
  const auto record = std::move(record_);
  shard_.Record(*this, *record, pending());
}

void Connection::WriteRest() {
  if (!registered_ && !Register()) return Abort();
  Write();
}

void Connection::Write() {
  const std::uint64_t before = output_->sent();
  const Output::Wrote wrote = output_->WriteTo(socket_);
  const std::uint64_t sent = output_->sent() - before;
  if (sent > 0) progress_ = shard_.now();
  shard_.lane().Add(telemetry::Counter::kBytesSent, sent);
  AfterWrite(wrote);
}

void Connection::AfterWrite(Output::Wrote wrote) {
  if (wrote == Output::Wrote::kGone) {
    if (stream_ != nullptr) stream_->OnClientGone();
    return Close();
  }
  if (wrote == Output::Wrote::kAll) output_.reset();
  if (stream_ != nullptr) stream_->OnWritable();
  if (closed()) return;
  if (output_ == nullptr && step_ == Step::kFlushing) {
    Flushed();
  } else {
    ArmTimer();
  }
}

void Connection::AnswerDone(After after) {
  if (closed()) return;
  after_ = after;
  if (stream_ != nullptr) shard_.Retire(std::move(stream_));
  step_ = Step::kFlushing;
  if (output_ != nullptr) return ArmTimer();
  Flushed();
}

void Connection::Flushed() {
  TellRecord();
  const bool enough = requests_ >= shard_.settings().requests_per_connection_max;
  if (enough) shard_.lane().Add(telemetry::Limit::kRequestsPerConnection);
  if (after_ == After::kClose || draining_ || enough) return Linger();
  step_ = Step::kHead;
  since_ = progress_ = shard_.now();
  // Who calls us outside Pump() lets the next pipelined request begin at the turn's end.
  if (pumping_) return;
  ArmTimer();
  if (!input_.empty() || readable_ || input_ended_) shard_.PumpLater(*this);
}

void Connection::Abort() {
  if (closed()) return;
  if (stream_ != nullptr) stream_->OnClientGone();
  Close();
}

void Connection::Refuse(http::RefusalKind kind, telemetry::Step step, std::string_view head) {
  const http::Refusal& refusal = http::RefusalOf(kind);
  shard_.lane().CountRefusal(static_cast<std::size_t>(kind));
  shard_.CountLimit(kind);
  shard_.Refuse(*this,
                {.status = refusal.status, .why = refusal.reason, .step = step, .head = head});
}

// --- the end

void Connection::Drain() {
  draining_ = true;
  if (Idle()) Close();
}

void Connection::ShowBroken() {
  if (stream_ != nullptr) stream_->OnBroken();
}

// A close() with unread input resets the connection, and the reset may overtake our last answer
// (RFC 9112 9.6): so say that no more comes, and read until the client has seen it.
void Connection::Linger() {
  if (input_ended_ || (input_whole_ && input_.empty())) return Close();
  step_ = Step::kLingering;
  since_ = shard_.now();
  os::EndSending(socket_);
  if (!Register()) return Close();
  Discard();
}

void Connection::Discard() {
  const std::span<char> buffer = shard_.read_buffer();
  for (int reads = 0; reads < 16; ++reads) {
    const os::Moved moved = os::Receive(socket_, buffer);
    if (moved.state == os::Moved::State::kNotNow) return ArmTimer();
    if (moved.state == os::Moved::State::kGone || moved.bytes == 0) return Close();
  }
  Close();  // it goes on sending
}

void Connection::Close() {
  if (closed()) return;
  step_ = Step::kClosed;
  TellRecord();
  shard_.reactor().timers().Disarm(*this);
  if (registered_) shard_.reactor().Unwatch(socket_.get(), *this);
  if (stream_ != nullptr) shard_.Retire(std::move(stream_));
  shard_.Doom(*this);
}

// --- time

Time Connection::Deadline() const {
  const Settings& settings = shard_.settings();
  Time deadline = Time::max();
  switch (step_) {
    case Step::kHead:
      deadline = since_ + (input_.empty() ? settings.idle_timeout : settings.head_timeout);
      break;
    case Step::kBody:
      deadline = std::min(
          progress_ + settings.body_timeout,
          AtRate(since_ + settings.body_timeout, stream_->body().size(), settings.body_rate_min));
      break;
    case Step::kAnswering:
      if (stream_ != nullptr) deadline = stream_->deadline();
      break;
    case Step::kLingering:
      return since_ + kLingerTime;
    case Step::kFlushing:
    case Step::kClosed:
      break;
  }
  if (output_ != nullptr) {
    deadline = std::min({deadline, progress_ + settings.write_timeout, WriteRateDeadline()});
  }
  return deadline;
}

Time Connection::WriteRateDeadline() const {
  const Settings& settings = shard_.settings();
  return AtRate(
      output_->since() + settings.write_timeout, output_->sent(), settings.write_rate_min);
}

void Connection::ArmTimer() {
  if (closed()) return;
  const Time deadline = Deadline();
  if (deadline != Time::max()) shard_.reactor().timers().Arm(*this, deadline);
}

void Connection::OnTimer() {
  const Time now = shard_.now();
  if (now < Deadline()) return ArmTimer();
  const Settings& settings = shard_.settings();
  if (output_ != nullptr && now >= progress_ + settings.write_timeout) {
    shard_.lane().Add(telemetry::Limit::kWriteTimeout);
    return Abort();
  }
  if (output_ != nullptr && now >= WriteRateDeadline()) {
    shard_.lane().Add(telemetry::Limit::kWriteRate);
    return Abort();
  }
  switch (step_) {
    case Step::kHead:
      if (input_.empty()) {
        shard_.lane().Add(telemetry::Limit::kIdleTimeout);
        return Close();
      }
      shard_.lane().Add(telemetry::Limit::kHeadTimeout);
      return shard_.Refuse(*this,
                           {.status = 408, .why = "the request head did not arrive in time"});
    case Step::kBody: {
      const bool stopped = now >= progress_ + settings.body_timeout;
      shard_.lane().Add(stopped ? telemetry::Limit::kBodyTimeout : telemetry::Limit::kBodyRate);
      return stream_->OnBodyTimeout();
    }
    case Step::kAnswering:
      if (stream_ != nullptr) stream_->OnDeadline(now);
      return ArmTimer();
    case Step::kLingering:
      return Close();
    case Step::kFlushing:
    case Step::kClosed:
      return ArmTimer();
  }
}

}  // namespace onebox::front
