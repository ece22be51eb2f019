#include "front/http2_stream.h"

#include <algorithm>
#include <utility>

#include "front/exchange.h"
#include "front/http2_connection.h"
#include "front/pace.h"
#include "front/shard.h"

namespace onebox::front {
namespace {

constexpr std::uint64_t kAnswerMemoryMax = 256 << 10;  // of one answer; above it a file

}  // namespace

Http2Stream::Http2Stream(Http2Connection& connection, http2::StreamId id)
    : connection_(connection), since_(connection.shard().now()), progress_(since_), id_(id) {}

Http2Stream::~Http2Stream() {
  exchange_.reset();  // it may still speak to us
}

const Peer& Http2Stream::peer() const {
  return connection_.peer();
}

std::uint32_t Http2Stream::requests() const {
  return connection_.requests();
}

const tls::Session* Http2Stream::tls() const {
  return connection_.tls();
}

// --- the request

void Http2Stream::Start(const http2::Request& request) {
  Shard& shard = connection_.shard();
  body_ended_ = request.ended;
  if (request.refused) return Refuse(*request.refused, telemetry::Step::kReadHead, request.head);
  http::RequestHead& head = shard.head();
  if (const auto refused = http::ParseRequestHead(request.head, shard.settings().head, head)) {
    return Refuse(*refused, telemetry::Step::kReadHead, request.head);
  }
  answers_head_ = head.method == http::Method::kHead;
  if (request.websocket) {
    tunnel_ = std::make_unique<Tunnel>(shard.budget());
    tunnel_->ended = std::exchange(body_ended_, true);
    http2::Session::HoldWindow(*this);
  }
  exchange_ = shard.Route(*this, request.head, head);
  if (exchange_ == nullptr) return;
  if (body_ended_) return exchange_->Begin(&head);
  exchange_->ExpectBody();
  ArmTimer();
}

void Http2Stream::OnBody(std::string_view bytes) {
  if (exchange_ == nullptr) return;
  if (tunnel_ != nullptr) return TakeTunnelBytes(bytes);
  progress_ = connection_.shard().now();
  exchange_->TakePlainBody(bytes);
}

void Http2Stream::OnBodyEnd() {
  if (tunnel_ != nullptr) {
    tunnel_->ended = true;
    return GoOnWithTunnel();
  }
  body_ended_ = true;
  if (exchange_ == nullptr) return;
  exchange_->EndBody();
  exchange_->Begin(nullptr);
}

void Http2Stream::OnRefused(http::RefusalKind kind) {
  if (exchange_ == nullptr) return;
  if (tunnel_ != nullptr) return EndWith(http2::ErrorCode::kProtocolError);
  exchange_->RefuseBody(kind);
}

void Http2Stream::Refuse(http::RefusalKind kind, telemetry::Step step, std::string_view head) {
  connection_.shard().Refuse(*this, kind, step, head);
}

// --- a tunnel

void Http2Stream::TakeTunnelBytes(std::string_view bytes) {
  if (tunnel_->input.empty() && exchange_->TakesTunnelBytes()) return PassOn(bytes);
  if (!tunnel_->held.Grow(bytes.size())) {
    connection_.shard().lane().Add(telemetry::Limit::kBufferBytes);
    return EndWith(http2::ErrorCode::kEnhanceYourCalm);
  }
  tunnel_->input.append(bytes);
}

void Http2Stream::PassOn(std::string_view bytes) {
  exchange_->OnTunnelBytes(bytes);
  connection_.session().Consume(id_, bytes.size());
  connection_.GoOn();
}

void Http2Stream::GoOnWithTunnel() {
  if (exchange_ == nullptr || !exchange_->TakesTunnelBytes()) return;
  const std::string input = std::exchange(tunnel_->input, {});
  tunnel_->held.Clear();
  if (!input.empty()) PassOn(input);
  if (exchange_ != nullptr && std::exchange(tunnel_->ended, false)) exchange_->OnTunnelEnd();
}

void Http2Stream::SwitchProtocols(std::string_view fields) {
  if (gone_) return;
  answer_bytes_ += fields.size();
  connection_.session().SendHead(id_, {.status = 200, .fields = fields, .body = this});
  GoOnLater();  // the client may have spoken ahead
}

// --- the answer

Output& Http2Stream::NeedOutput() {
  if (!output_) {
    Shard& shard = connection_.shard();
    output_.emplace(
        shard.budget(), Output::Room{kAnswerMemoryMax, shard.settings().spool_folder}, shard.now());
    progress_ = shard.now();
  } else if (output_->pending() == 0) {
    progress_ = connection_.shard().now();
    output_->Restart(progress_);
  }
  return *output_;
}

void Http2Stream::SetPace(const limits::Pace& pace) {
  if (!gone_) NeedOutput().SetPace(pace, connection_.shard().now());
}

void Http2Stream::SendInterim(int status, std::string_view fields) {
  if (gone_) return;
  connection_.session().SendInterim(id_, status, fields);
  connection_.GoOn();
}

void Http2Stream::SendHead(const AnswerHead& head, std::string_view body, Last last) {
  if (gone_) return;
  head_sent_ = true;
  std::string& fields = connection_.shard().wire_buffer();
  fields.clear();
  connection_.shard().AppendAnswerFields(fields, head, peer());
  answer_bytes_ += fields.size();
  const bool bodiless = head.framing == Framing::kNone || (last == Last::kYes && body.empty());
  connection_.session().SendHead(
      id_, {.status = head.status, .fields = fields, .body = bodiless ? nullptr : this});
  connection_.GoOn();
  if (!bodiless) Append(body);
}

void Http2Stream::Append(std::string_view body) {
  if (gone_ || body.empty()) return;
  answer_bytes_ += body.size();
  if (!NeedOutput().Append(body)) {
    connection_.shard().lane().Add(telemetry::Limit::kSpool);
    return Abort();
  }
  connection_.session().Resume(id_);
  connection_.GoOn();
}

// The end is what Finish() says: one frame for both.
void Http2Stream::Send(std::string_view body, Last /*last*/) {
  Append(body);
}

std::uint64_t Http2Stream::SendPieces(const AnswerHead& head, Body body) {
  if (gone_) return 0;
  const bool whole = head.framing == Framing::kNone || body.empty();
  SendHead(head, {}, whole ? Last::kYes : Last::kNo);
  if (whole) return 0;
  answer_bytes_ += body.size();
  NeedOutput().AppendPieces(std::move(body));
  return 0;
}

void Http2Stream::SendFile(os::Fd file, std::uint64_t offset, std::uint64_t size) {
  if (gone_) return;
  answer_bytes_ += size;
  NeedOutput().AppendFile(std::move(file), offset, size);
  connection_.session().Resume(id_);
  connection_.GoOn();
}

void Http2Stream::RecordWhenSent(AnswerRecord record) {
  NeedOutput().KeepRecord(std::move(record));
}

void Http2Stream::Finish() {
  if (gone_) return;
  finished_ = true;
  LetGo();
  if (!body_ended_ || tunnel_ != nullptr) http2::Session::IgnoreBody(*this);
  connection_.session().Resume(id_);
  connection_.DrainIfDue();
  connection_.GoOn();
}

void Http2Stream::Abort() {
  if (!gone_) EndWith(http2::ErrorCode::kInternalError);
}

void Http2Stream::EndWith(http2::ErrorCode code) {
  gone_ = true;
  connection_.session().Reset(id_, code);
  connection_.GoOn();
  if (exchange_ != nullptr) exchange_->OnClientGone();
  LetGo();
}

void Http2Stream::LetGo() {
  if (exchange_ != nullptr) connection_.shard().Retire(std::move(exchange_));
}

http2::Stream::Supply Http2Stream::Ready(std::size_t bytes_max) {
  const std::uint64_t waits = pending();
  const std::uint64_t may_leave = waits == 0 ? 0 : output_->Allowance(connection_.shard().now());
  const std::size_t bytes = std::min<std::uint64_t>({bytes_max, waits, may_leave});
  if (may_leave == 0 && waits > 0) ArmTimer();  // the pace holds it back
  return {.bytes = bytes, .last = finished_ && bytes == waits};
}

bool Http2Stream::Take(std::size_t bytes, std::string& out) {
  written_ = true;
  progress_ = connection_.shard().now();
  return bytes == 0 || output_->MoveTo(out, bytes);
}

void Http2Stream::OnWritten() {
  const bool moved = std::exchange(written_, false);
  const bool turn = std::exchange(wants_turn_, false);
  if (exchange_ != nullptr && body_ended_ && (moved || turn)) exchange_->OnWritable();
  if (tunnel_ != nullptr) GoOnWithTunnel();
  if (pending() > 0) ArmTimer();
}

void Http2Stream::GoOnLater() {
  wants_turn_ = true;
  connection_.GoOn();
}

void Http2Stream::ShowBroken() {
  if (exchange_ != nullptr) exchange_->OnBroken();
}

// --- the end

void Http2Stream::OnClosed() {
  OnConnectionClosed();
  connection_.Remove(*this);
}

void Http2Stream::OnConnectionClosed() {
  gone_ = true;
  connection_.shard().reactor().timers().Disarm(*this);
  if (exchange_ != nullptr) exchange_->OnClientGone();
  LetGo();
  if (!output_) return;
  if (const auto record = output_->TakeRecord()) {
    connection_.shard().Record(*this, *record, pending());
  }
}

// --- time

Time Http2Stream::Deadline() const {
  const Settings& settings = connection_.shard().settings();
  Time deadline = Time::max();
  if (exchange_ != nullptr) {
    deadline = body_ended_ ? exchange_->deadline()
                           : BodyDeadline(settings, since_, progress_, exchange_->body().size());
  }
  if (pending() > 0) {
    deadline = std::min({deadline, WriteDeadline(settings, *output_, progress_), output_->ready()});
  }
  return deadline;
}

void Http2Stream::ArmTimer() {
  if (gone_) return;
  const Time deadline = Deadline();
  if (deadline != Time::max()) connection_.shard().reactor().timers().Arm(*this, deadline);
}

void Http2Stream::OnTimer() {
  Shard& shard = connection_.shard();
  const Settings& settings = shard.settings();
  const Time now = shard.now();
  if (gone_) return;
  if (now < Deadline()) return ArmTimer();
  if (pending() > 0 && output_->paced() && output_->Allowance(now) > 0) {
    connection_.session().Resume(id_);
    connection_.GoOn();
    if (now < Deadline()) return ArmTimer();
  }
  if (pending() > 0 && now >= WriteDeadline(settings, *output_, progress_)) {
    const bool stopped = now >= progress_ + settings.write_timeout;
    shard.lane().Add(stopped ? telemetry::Limit::kWriteTimeout : telemetry::Limit::kWriteRate);
    return EndWith(http2::ErrorCode::kCancel);
  }
  if (exchange_ == nullptr) return;
  if (body_ended_) {
    exchange_->OnDeadline(now);
    return ArmTimer();
  }
  const bool stopped = now >= progress_ + settings.body_timeout;
  shard.lane().Add(stopped ? telemetry::Limit::kBodyTimeout : telemetry::Limit::kBodyRate);
  exchange_->OnBodyTimeout();
}

}  // namespace onebox::front
