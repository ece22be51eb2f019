#include "front/http2_connection.h"

#include <algorithm>
#include <utility>

#include <sys/epoll.h>

#include "front/shard.h"

namespace onebox::front {
namespace {

constexpr std::size_t kWriteBytes = 64 << 10;  // made and sent at once
constexpr int kReadsPerTurn = 8;               // so that one client does not keep a reactor
constexpr int kWritesPerTurn = 16;
// After it the client is taken to have heard that no more requests are taken.
constexpr Duration kDrainNotice = std::chrono::seconds(1);

http2::Settings SettingsOf(const Settings& settings) {
  return {.head = settings.head,
          .streams_max = settings.http2_streams_max,
          .offers_websockets = !settings.upstreams.empty()};
}

telemetry::Limit CounterOf(http2::Flood flood) {
  static_assert(static_cast<std::size_t>(telemetry::Limit::kHttp2Errors) -
                        static_cast<std::size_t>(telemetry::Limit::kHttp2Resets) + 1 ==
                    http2::kFloods,
                "one limit for each flood, in their order");
  return static_cast<telemetry::Limit>(static_cast<std::size_t>(telemetry::Limit::kHttp2Resets) +
                                       static_cast<std::size_t>(flood));
}

}  // namespace

Http2Connection::Http2Connection(Shard& shard, Transport transport, const Peer& peer)
    : ClientConnection(shard, std::move(transport), peer),
      session_(*this, SettingsOf(shard.settings())),
      idle_since_(shard.now()),
      progress_(idle_since_) {
  shard_.lane().Add(telemetry::Counter::kHttp2Connections);
}

Http2Connection::~Http2Connection() {
  DropRest();
}

// --- turns

void Http2Connection::GoOn() {
  if (closed() || std::exchange(goes_on_, true)) return;
  shard_.PumpLater(*this);
}

void Http2Connection::OnReady(std::uint32_t events) {
  if (closed()) return;
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) return Close();
  if ((events & EPOLLOUT) != 0) transport_.OnWritable();
  if ((events & (EPOLLIN | EPOLLRDHUP)) != 0) readable_ = true;
  if ((events & EPOLLRDHUP) != 0) peer_done_ = true;
  GoOn();
}

void Http2Connection::Pump() {
  if (lingering_) {
    goes_on_ = false;
    return DiscardInput() ? ArmTimer() : Close();
  }
  goes_on_ = true;  // what is answered now leaves now
  const bool more_input = Read();
  if (closed()) return;
  goes_on_ = false;
  const bool more_output = Write();
  if (closed()) return;
  TellStreams();
  if (more_input || more_output) GoOn();
  ArmTimer();
}

// --- input

void Http2Connection::TakeOver(std::string_view bytes) {
  readable_ = true;  // it may be that there was more
  Feed(bytes);
  if (!Register()) {
    shard_.lane().Add(telemetry::Limit::kDescriptors);
    return Close();
  }
  GoOn();
}

// Also while there is a rest: what piles up behind that is bounded, by windows, streams and the limits of
// each kind of frame; and a client that writes without reading would wait for us as we for it.
bool Http2Connection::Read() {
  const std::span<char> buffer = shard_.read_buffer();
  for (int reads = 0; readable_ && !session_.finished(); ++reads) {
    if (reads == kReadsPerTurn) return true;
    const os::Moved moved = transport_.Receive(buffer);
    if (moved.state == os::Moved::State::kNotNow) {
      readable_ = false;
      break;
    }
    // Who sends no more also reads no more: HTTP/2 has no other use for that.
    if (moved.state == os::Moved::State::kGone || moved.bytes == 0) {
      Close();
      break;
    }
    // A short read has emptied the socket; what comes later is a new edge.
    readable_ = !transport_.emptied() || peer_done_;
    shard_.lane().Add(telemetry::Counter::kBytesReceived, moved.bytes);
    Feed({buffer.data(), moved.bytes});
  }
  return false;
}

void Http2Connection::Feed(std::string_view bytes) {
  session_.Receive(bytes, shard_.now());
  if (!session_.reading_head()) {
    head_since_ = Time::max();
  } else if (head_since_ == Time::max()) {
    head_since_ = shard_.now();
  }
}

http2::Stream* Http2Connection::OnRequest(const http2::Request& request) {
  ++requests_;
  streams_.push_back(std::make_unique<Http2Stream>(*this, request.id));
  Http2Stream& stream = *streams_.back();
  stream.index_ = static_cast<std::uint32_t>(streams_.size() - 1);
  stream.Start(request);
  return &stream;
}

void Http2Connection::Remove(Http2Stream& stream) {
  const std::size_t at = stream.index_;
  std::swap(streams_[at], streams_.back());
  streams_[at]->index_ = static_cast<std::uint32_t>(at);
  shard_.Retire(std::move(streams_.back()));
  streams_.pop_back();
  if (streams_.empty()) idle_since_ = shard_.now();
}

void Http2Connection::OnFlood(http2::Flood flood) {
  shard_.lane().Add(CounterOf(flood));
}

void Http2Connection::OnStreamsMax() {
  shard_.lane().Add(telemetry::Limit::kHttp2Streams);
}

void Http2Connection::OnBreach() {
  shard_.lane().Add(telemetry::Counter::kHttp2Breaches);
}

// --- output

void Http2Connection::DropRest() {
  std::string().swap(rest_);
  rest_begin_ = 0;
  shard_.budget().GiveBack(std::exchange(rest_held_, 0));
}

bool Http2Connection::Keep(std::string_view rest) {
  if (!shard_.budget().Take(rest.size())) {
    shard_.lane().Add(telemetry::Limit::kBufferBytes);
    return false;
  }
  rest_held_ = rest.size();
  rest_.assign(rest);
  return true;
}

// False where the socket is full, or there is nothing.
bool Http2Connection::WriteOnce() {
  std::string& made = shard_.wire_buffer();
  std::string_view out = std::string_view(rest_).substr(rest_begin_);
  if (rest_.empty()) {
    made.clear();
    session_.Produce(made, kWriteBytes);
    out = made;
  }
  if (out.empty()) return false;
  const os::Moved moved = transport_.Send(out, {});
  if (moved.state == os::Moved::State::kGone) {
    Close();
    return false;
  }
  if (moved.bytes > 0) progress_ = shard_.now();
  shard_.lane().Add(telemetry::Counter::kBytesSent, moved.bytes);
  if (moved.bytes == out.size()) {
    if (!rest_.empty()) DropRest();
    return true;
  }
  if (!rest_.empty()) {
    rest_begin_ += moved.bytes;
    return false;
  }
  progress_ = shard_.now();
  if (!Keep(out.substr(moved.bytes))) Close();
  return false;
}

bool Http2Connection::Write() {
  for (int writes = 0; WriteOnce(); ++writes) {
    if (writes == kWritesPerTurn) return true;
  }
  if (!closed() && rest_.empty() && session_.finished()) Linger();
  return false;
}

void Http2Connection::TellStreams() {
  for (std::size_t i = 0; i < streams_.size(); ++i)
    streams_[i]->OnWritten();
}

// --- the end

void Http2Connection::DrainIfDue() {
  if (shard_.KeepsAlive(*this)) return;
  const bool enough = requests_ >= shard_.settings().requests_per_connection_max;
  if (enough && !std::exchange(enough_, true)) {
    shard_.lane().Add(telemetry::Limit::kRequestsPerConnection);
  }
  Drain();
}

void Http2Connection::Drain() {
  if (closed() || std::exchange(draining_, true)) return;
  drain_since_ = shard_.now();
  session_.Drain();
  GoOn();
}

void Http2Connection::ShowBroken() {
  for (std::size_t i = 0; i < streams_.size(); ++i)
    streams_[i]->ShowBroken();
}

// So that the client sees the last frames: see Http1Connection::Linger().
void Http2Connection::Linger() {
  lingering_ = true;
  idle_since_ = shard_.now();
  transport_.EndSending();
  if (!DiscardInput()) return Close();
}

void Http2Connection::Close() {
  if (closed()) return;
  CloseSocket();
  for (const auto& stream : streams_)
    stream->OnConnectionClosed();
}

// --- time

Time Http2Connection::Deadline() const {
  const Settings& settings = shard_.settings();
  if (lingering_) return idle_since_ + kLingerTime;
  Time deadline = Time::max();
  if (!rest_.empty()) deadline = progress_ + settings.write_timeout;
  if (head_since_ != Time::max()) {
    deadline = std::min(deadline, head_since_ + settings.head_timeout);
  }
  if (told_) return deadline;
  if (draining_) return std::min(deadline, drain_since_ + kDrainNotice);
  return streams_.empty() ? std::min(deadline, idle_since_ + settings.idle_timeout) : deadline;
}

void Http2Connection::ArmTimer() {
  if (closed()) return;
  const Time deadline = Deadline();
  if (deadline != Time::max()) shard_.reactor().timers().Arm(*this, deadline);
}

void Http2Connection::OnTimer() {
  const Settings& settings = shard_.settings();
  const Time now = shard_.now();
  if (now < Deadline()) return ArmTimer();
  if (lingering_) return Close();
  if (!rest_.empty() && now >= progress_ + settings.write_timeout) {
    shard_.lane().Add(telemetry::Limit::kWriteTimeout);
    return Close();
  }
  if (head_since_ != Time::max() && now >= head_since_ + settings.head_timeout) {
    shard_.lane().Add(telemetry::Limit::kHeadTimeout);
    session_.End(http2::ErrorCode::kProtocolError);
    head_since_ = Time::max();
    return GoOn();
  }
  if (!draining_) {
    shard_.lane().Add(telemetry::Limit::kIdleTimeout);
    session_.Drain();
  }
  told_ = true;
  session_.EndDrain();
  GoOn();
}

}  // namespace onebox::front
