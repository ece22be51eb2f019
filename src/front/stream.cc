#include "front/stream.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "front/app_channel.h"
#include "front/connection.h"
#include "front/shard.h"
#include "http/forwarded.h"
#include "http/media_type.h"
#include "http/negotiate.h"
#include "http/path.h"
#include "http/request_id.h"
#include "http/response_head.h"
#include "os/file.h"

namespace onebox::front {
namespace {

using telemetry::Limit;
using EndStep = telemetry::Step;

// A worker is let run ahead of the client by this much; behind it stands the disk.
// What belongs to this connection, not to the request (RFC 9110 7.6.1), or would only mislead.
constexpr std::array kNotForTheApp = {
    http::KnownField::kConnection,
    http::KnownField::kKeepAlive,
    http::KnownField::kTe,
    http::KnownField::kTrailer,
    http::KnownField::kTransferEncoding,
    http::KnownField::kContentLength,
    http::KnownField::kXRequestId,
};
// What only a trusted proxy may say.
constexpr std::array kForwarded = {
    http::KnownField::kForwarded,
    http::KnownField::kXForwardedFor,
    http::KnownField::kXForwardedHost,
    http::KnownField::kXForwardedPort,
    http::KnownField::kXForwardedPrefix,
    http::KnownField::kXForwardedProto,
    http::KnownField::kXRealIp,
};

template <std::size_t kSize>
bool Contains(const std::array<http::KnownField, kSize>& fields, http::KnownField field) {
  return std::find(fields.begin(), fields.end(), field) != fields.end();
}

// CGI turns "-" and "_" into the same name, and "Proxy" into the variable that HTTP clients obey.
bool Misleads(std::string_view name) {
  return name.find('_') != std::string_view::npos || EqualsIgnoreCase(name, "Proxy");
}

// Of the body as the app sent it, which the coded one does not have any more.
bool IsDigest(std::string_view name) {
  constexpr std::array<std::string_view, 4> kNames = {
      "Content-Digest", "Repr-Digest", "Digest", "Content-MD5"};
  return std::any_of(kNames.begin(), kNames.end(), [name](std::string_view digest) {
    return EqualsIgnoreCase(name, digest);
  });
}

bool VariesByEncoding(const channel::ResponseHead& head) {
  return std::any_of(head.fields.begin(), head.fields.end(), [](const channel::Field& field) {
    return EqualsIgnoreCase(field.name, "Vary") &&
           (field.value == "*" ||
            Lowered(field.value).find("accept-encoding") != std::string::npos);
  });
}

bool OursToSay(std::string_view name) {
  constexpr std::array<std::string_view, 7> kNames = {"Connection",
                                                      "Keep-Alive",
                                                      "Transfer-Encoding",
                                                      "Content-Length",
                                                      "Upgrade",
                                                      "Trailer",
                                                      "X-Request-ID"};
  return std::any_of(kNames.begin(), kNames.end(), [&](std::string_view ours) {
    return EqualsIgnoreCase(name, ours);
  });
}

}  // namespace

Stream::Stream(Connection& connection,
               std::string_view bytes,
               const http::RequestHead& head,
               const RouteRules& rules)
    : connection_(connection),
      shard_(connection.shard()),
      rules_(rules),
      head_bytes_(bytes),
      body_(shard_.budget(), {shard_.settings().body_memory_max, shard_.settings().spool_folder}),
      began_(shard_.now()),
      content_length_(head.content_length),
      method_(head.method),
      framing_(head.framing),
      minor_version_(head.minor_version),
      keep_alive_(head.keep_alive),
      expect_continue_(head.expect_continue),
      body_complete_(head.framing == http::Framing::kNone ||
                     (head.framing == http::Framing::kContentLength && head.content_length == 0)) {
  reactor = shard_.index();
  route = rules.number;
  trusted_ = shard_.Trusts(connection);
  id_ = shard_.RequestIdFor(connection, head);
  const CompressionSettings& compression = shard_.settings().compression;
  if (compression.enabled && head.Has(http::KnownField::kAcceptEncoding)) {
    coding_ =
        http::AcceptedCodings(head).Choose(compression.codings).value_or(http::Coding::kIdentity);
  }
}

Stream::~Stream() {
  LeaveApp(channel::CancelReason::kClientLeft);
}

bool Stream::cancel_disconnected() const {
  return rules_.cancel_disconnected;
}

std::string_view Stream::request_line() const {
  const std::string_view head = head_bytes_;
  return head.substr(0, head.find('\r'));
}

// --- read_body

void Stream::ExpectBody() {
  if (framing_ == http::Framing::kContentLength && content_length_ > rules_.body_bytes_max) {
    shard_.lane().Add(Limit::kBodyBytes);
    return Fail(413, EndStep::kReadBody, "the request body is too large");
  }
  if (expect_continue_) connection_.Send("HTTP/1.1 100 Continue\r\n\r\n");
}

bool Stream::StoreBody(std::string_view bytes) {
  if (body_.size() + bytes.size() > rules_.body_bytes_max) {
    shard_.lane().Add(Limit::kBodyBytes);
    Fail(413, EndStep::kReadBody, "the request body is too large");
    return false;
  }
  switch (body_.Append(bytes)) {
    case RequestBody::Stored::kYes:
      return true;
    case RequestBody::Stored::kNoBudget:
      shard_.lane().Add(Limit::kBufferBytes);
      Fail(503, EndStep::kReadBody, "all buffers are full");
      return false;
    case RequestBody::Stored::kNoDisk:
      shard_.lane().Add(Limit::kSpool);
      Fail(503, EndStep::kReadBody, "the disk took no more");
      return false;
  }
  return false;
}

std::size_t Stream::TakeBody(std::string_view bytes) {
  if (framing_ == http::Framing::kContentLength) {
    const std::size_t mine = std::min<std::uint64_t>(bytes.size(), content_length_ - body_.size());
    if (!StoreBody(bytes.substr(0, mine))) return bytes.size();
    body_complete_ = body_.size() == content_length_;
    return mine;
  }
  std::size_t position = 0;
  while (position < bytes.size()) {
    const http::ChunkedDecoder::Step step = chunks_.Feed(bytes.substr(position));
    position += step.consumed;
    switch (step.state) {
      case http::ChunkedDecoder::State::kNeedMore:
        return position;
      case http::ChunkedDecoder::State::kData:
        if (!StoreBody(step.data)) return bytes.size();
        break;
      case http::ChunkedDecoder::State::kEnd:
        body_complete_ = true;
        return position;
      case http::ChunkedDecoder::State::kRefused:
        step_ = Step::kDone;
        connection_.Refuse(step.refusal, EndStep::kReadBody, head_bytes_);
        return bytes.size();
    }
  }
  return position;
}

// --- wait

const http::RequestHead& Stream::HeadAgain() {
  http::RequestHead& head = shard_.head();
  CHECK(!http::ParseRequestHead(head_bytes_, shard_.settings().head, head));
  return head;
}

void Stream::Encode(const http::RequestHead& head) {
  http::NormalPath path;
  CHECK(!http::NormalizePath(head.path, shard_.path_storage(), path));
  const http::Origin origin = shard_.OriginOf(connection_, head);
  const std::string client_text =
      origin.client ? http::FormatAddress(*origin.client) : std::string();
  const std::string length = fmt::format_int(body_.size()).str();

  if (shard_.settings().address_share_max < 100) client = shard_.ClientOf(origin);

  channel::Request& request = shard_.request();
  request.method = head.method_name;
  request.path = path.path;
  request.query = head.query;
  request.target = head.target;
  request.scheme = origin.scheme.empty() ? "http" : origin.scheme;
  request.server_name = connection_.endpoint().name;
  request.server_port = connection_.endpoint().port;
  request.client_address = client_text;
  request.client_port = origin.client == connection_.address() ? connection_.port() : 0;
  request.version_minor = minor_version_;
  request.id = id_;
  request.deadline = deadline_.time_since_epoch().count();
  request.cancel_disconnected = cancel_disconnected();
  request.body_size = body_.size();
  request.body_place = body_.size() == 0 ? channel::BodyPlace::kNone
                       : body_.in_file() ? channel::BodyPlace::kFile
                                         : channel::BodyPlace::kInline;
  request.fields.clear();
  for (const http::Field& field : head.fields()) {
    if (Contains(kNotForTheApp, field.known) || Misleads(field.name)) continue;
    if (!trusted_ && Contains(kForwarded, field.known)) continue;
    const bool host = field.known == http::KnownField::kHost && !origin.host.empty();
    request.fields.push_back({field.name, host ? origin.host : field.value});
  }
  request.fields.push_back({"X-Request-ID", id_});
  if (framing_ != http::Framing::kNone) request.fields.push_back({"Content-Length", length});
  encoded_.clear();
  encoded_.reserve(head_bytes_.size() + 256);  // about what is added to it
  channel::EncodeRequest(encoded_, request);
}

void Stream::Begin(const http::RequestHead* head) {
  if (!body_.FitFor(channel::kInlineBodyBytesMax)) {
    shard_.lane().Add(Limit::kSpool);
    return Fail(503, EndStep::kReadBody, "there is no memory for the body");
  }
  deadline_ = shard_.now() + rules_.timeout;
  Encode(head != nullptr ? *head : HeadAgain());
  if (encoded_.size() > channel::kRequestHeadBytesMax) {
    return Fail(431, EndStep::kRoute, "the request head is too large for the app");
  }
  Enter(Dispatch::Position::kBack);
}

void Stream::Enter(Dispatch::Position position) {
  step_ = Step::kWaiting;
  entered_ = shard_.now();
  started_ = Time();
  if (shard_.broken() != nullptr) return FailBroken();
  Place place;
  const Dispatch::Entered entered = shard_.dispatch().Enter(*this, position, entered_, place);
  if (entered == Dispatch::Entered::kPlace) return OnGrant(std::move(place));
  if (entered == Dispatch::Entered::kQueued) return connection_.ArmTimer();
  RefuseToWait(entered);
}

void Stream::RefuseToWait(Dispatch::Entered refused) {
  retry_after_ =
      static_cast<std::uint8_t>(shard_.dispatch().RetryAfter(*this, refused, shard_.now()).count());
  const auto refuse = [this](Limit limit, std::string_view why) {
    shard_.lane().Add(limit);
    Fail(503, EndStep::kWait, why);
  };
  switch (refused) {
    case Dispatch::Entered::kFull:
      return refuse(Limit::kQueue, "the queue is full");
    case Dispatch::Entered::kRouteFull:
      return refuse(Limit::kRouteQueue, "too many requests of this kind wait");
    case Dispatch::Entered::kClientFull:
      return refuse(Limit::kAddressShare, "too many requests of this address wait");
    case Dispatch::Entered::kHopeless:
      return refuse(Limit::kHopeless, "too many requests wait to answer this one in time");
    case Dispatch::Entered::kPlace:
    case Dispatch::Entered::kQueued:
      return refuse(Limit::kQueueTimeout, "no worker was free in time");
  }
}

void Stream::OnGrant(Place place) {
  started_ = shard_.now();
  step_ = Step::kRunning;
  worker_pid_ = place.worker->pid;
  place_ = std::move(place);
  shard_.Assign(*this, place_);  // calls back through OnLost() if the worker is gone
}

void Stream::LeaveApp(channel::CancelReason reason) {
  if (step_ == Step::kWaiting) shard_.dispatch().Cancel(*this, shard_.now());
  if (channel_ != nullptr) std::exchange(channel_, nullptr)->Abandon(*this, reason);
}

void Stream::OnClientGone() {
  if (step_ == Step::kDone) return;
  if (step_ != Step::kAnswering) shard_.lane().Add(telemetry::Counter::kRequestsAbandoned);
  const EndStep step = step_ == Step::kBody      ? EndStep::kReadBody
                       : step_ == Step::kWaiting ? EndStep::kWait
                       : step_ == Step::kRunning ? EndStep::kRun
                                                 : EndStep::kWrite;
  LeaveApp(step_ == Step::kAnswering ? channel::CancelReason::kAnswering
                                     : channel::CancelReason::kClientLeft);
  step_ = Step::kDone;
  if (status_ == 0) status_ = 499;  // nginx's word for it, in the log alone
  Record(step);
}

// A FIN says "I send no more", and a client that has closed says no more than that. An interim
// answer is allowed at any time (RFC 9110 15.2); who has closed answers it with a reset.
void Stream::OnClientHalfClosed() {
  const bool waits = step_ == Step::kWaiting || step_ == Step::kRunning;
  if (!waits || probed_ || minor_version_ == 0 || !connection_.MayProbe()) return;
  probed_ = true;
  connection_.Send("HTTP/1.1 100 Continue\r\n\r\n");
}

Time Stream::deadline() const {
  if (step_ == Step::kWaiting) {
    return std::min(deadline_, entered_ + rules_.queue_timeout);
  }
  return step_ == Step::kRunning ? deadline_ : Time::max();
}

void Stream::OnDeadline(Time now) {
  if (step_ == Step::kWaiting) return RefuseToWait(Dispatch::Entered::kQueued);
  if (step_ != Step::kRunning) return;
  shard_.lane().Add(Limit::kRequestTimeout);
  shard_.log().Warning("request {} \"{}\": no answer from the app within {} ms (worker {})",
                       id_,
                       request_line(),
                       std::chrono::duration_cast<std::chrono::milliseconds>(now - began_).count(),
                       worker_pid_);
  Fail(504, EndStep::kRun, "the app took too long");
}

void Stream::OnBodyTimeout() {
  Fail(408, EndStep::kReadBody, "the request body did not arrive in time");
}

void Stream::OnBroken() {
  if (step_ == Step::kWaiting) FailBroken();
}

void Stream::OnLost(Lost lost) {
  channel_ = nullptr;
  if (step_ == Step::kDone) return;
  if (lost == Lost::kNotTaken) return Enter(Dispatch::Position::kFront);
  ++workers_lost_;
  if (step_ == Step::kAnswering) {
    shard_.log().Error("request {} \"{}\": worker {} died in the middle of the answer",
                       id_,
                       request_line(),
                       worker_pid_);
    Record(EndStep::kRun);
    step_ = Step::kDone;
    return connection_.Abort();
  }
  if (http::IsIdempotent(method_) && workers_lost_ == 1) {
    shard_.lane().Add(telemetry::Counter::kRequestsRerun);
    shard_.log().Warning("request {} \"{}\": worker {} died with it; it runs again",
                         id_,
                         request_line(),
                         worker_pid_);
    return Enter(Dispatch::Position::kFront);
  }
  shard_.log().Error("request {} \"{}\": worker {} died with it; {}",
                     id_,
                     request_line(),
                     worker_pid_,
                     workers_lost_ > 1 ? "it is the second, so it is not tried again"
                                       : "it is not idempotent, so it is not tried again");
  Fail(502, EndStep::kRun, "the app ended while it worked on the request");
}

void Stream::Fail(int status, EndStep step, std::string_view why) {
  EndWith({.status = status,
           .why = why,
           .id = id_,
           .keep_alive = body_complete_ && keep_alive_,
           .retry_after = retry_after_,
           .head = head_bytes_},
          step);
}

void Stream::FailBroken() {
  const BrokenApp& broken = *shard_.broken();
  EndWith({.status = 500,
           .id = id_,
           .keep_alive = keep_alive_,
           .fields = broken.fields,
           .head = head_bytes_,
           .broken = &broken},
          EndStep::kWait);
}

void Stream::EndWith(const OwnAnswer& answer, EndStep step) {
  LeaveApp(answer.status == 504 ? channel::CancelReason::kDeadline
                                : channel::CancelReason::kClientLeft);
  status_ = answer.status;
  step_ = Step::kDone;
  body_.Drop();  // now, not at the turn's end: others may wait for the room in this turn
  const AnswerSize size = shard_.Answer(connection_, answer);
  answer_bytes_ = size.body;
  sent_bytes_ = size.sent;
  Record(step);
}

// --- write

// A body whose length nobody knows is compressed chunk by chunk, so that none of them waits; where
// they are small that gains nothing.
bool Stream::WantsCompression(const channel::ResponseHead& head, std::string_view body) const {
  const CompressionSettings& settings = shard_.settings().compression;
  if (!settings.enabled || head.status == 206 || !http::StatusHasBody(head.status)) return false;
  if (head.content_length.value_or(body.size()) < settings.bytes_min) return false;
  bool compressible = false;
  for (const channel::Field& field : head.fields) {
    if (EqualsIgnoreCase(field.name, "Content-Encoding") || IsDigest(field.name)) return false;
    if (EqualsIgnoreCase(field.name, "X-Accel-Buffering") && EqualsIgnoreCase(field.value, "no")) {
      return false;  // what apps say to nginx of a stream
    }
    if (EqualsIgnoreCase(field.name, "Cache-Control") &&
        Lowered(field.value).find("no-transform") != std::string::npos) {
      return false;
    }
    if (EqualsIgnoreCase(field.name, "Content-Type")) {
      compressible = http::IsCompressible(field.value, settings.types);
    }
  }
  return compressible;
}

// The client asks whether what it has is right: the coded form that we sent, by the tag that we gave it.
bool Stream::KnowsItAsWeak(std::string_view etag) const {
  return coding_ != http::Coding::kIdentity &&
         head_bytes_.find(fmt::format("W/{}", etag)) != std::string::npos;
}

// The app's fields and ours; false where one of them is none.
bool Stream::AppendFields(std::string& out,
                          const channel::ResponseHead& head,
                          Negotiated negotiated) {
  bool date = false, server = false;
  bool vary = !negotiated.may_be_coded || VariesByEncoding(head);
  for (const channel::Field& field : head.fields) {
    if (!http::IsValidFieldName(field.name) || !http::IsValidFieldValue(field.value)) return false;
    if (OursToSay(field.name)) continue;
    date = date || EqualsIgnoreCase(field.name, "Date");
    server = server || EqualsIgnoreCase(field.name, "Server");
    if (EqualsIgnoreCase(field.name, "ETag") && !field.value.starts_with("W/") &&
        (negotiated.is_coded || (head.status == 304 && KnowsItAsWeak(field.value)))) {
      http::AppendField(out, "ETag", fmt::format("W/{}", field.value));
    } else if (!vary && EqualsIgnoreCase(field.name, "Vary")) {
      vary = true;
      http::AppendField(out, "Vary", fmt::format("{}, Accept-Encoding", field.value));
    } else {
      http::AppendField(out, field.name, field.value);
    }
  }
  if (!date) shard_.AppendDate(out);
  if (!server) shard_.AppendServer(out);
  if (!vary) http::AppendField(out, "Vary", "Accept-Encoding");
  if (negotiated.is_coded) http::AppendField(out, "Content-Encoding", http::NameOf(coding_));
  http::AppendField(out, "X-Request-ID", id_);
  return true;
}

// Appends the coded form of `bytes`; all of it where they are the last, else all that was appended.
void Stream::Compress(std::string_view bytes, bool last, std::string& out) {
  compress_->Append(bytes, out);
  if (last) {
    compress_->Finish(out);
    compress_.reset();
  } else {
    compress_->Flush(out);
  }
}

void Stream::WriteHead(const channel::ResponseHead& head, std::string_view body, channel::End end) {
  no_body_ = method_ == http::Method::kHead || !http::StatusHasBody(head.status);
  std::string& out = shard_.answer_buffer();
  out.clear();
  if (head.reason.empty() || !http::IsValidFieldValue(head.reason)) {
    http::AppendStatusLine(out, head.status);
  } else {
    http::AppendStatusLine(out, head.status, head.reason);
  }
  const bool candidate = WantsCompression(head, body);
  const bool coded = candidate && coding_ != http::Coding::kIdentity;
  // What stands for a 200 has the Vary that it would have (RFC 9110 15.3.7, 15.4.5).
  const bool stands_for_200 =
      shard_.settings().compression.enabled && (head.status == 304 || head.status == 206);
  if (!AppendFields(out, head, {.may_be_coded = candidate || stands_for_200, .is_coded = coded})) {
    shard_.log().Error(
        "request {} \"{}\": the worker sent a header field that is none", id_, request_line());
    return Fail(502, EndStep::kRun, "the app's answer was not valid");
  }
  const bool whole = end == channel::End::kComplete || head.content_length == body.size();
  length_known_ = head.content_length.has_value() || (whole && !no_body_);
  answer_left_ = head.content_length.value_or(body.size());
  if (coded) length_known_ = false;
  if (coded && !no_body_) {
    shard_.lane().Add(telemetry::Counter::kResponsesCompressed);
    compress_ = std::make_unique<CompressFilter>(shard_.shelf(), coding_);
    if (whole) {  // its coded length is known too
      std::string& bytes = shard_.coded_buffer();
      bytes.clear();
      Compress(body, true, bytes);
      body = bytes;
      length_known_ = true;
      answer_left_ = bytes.size();
    }
  }
  if (!http::StatusHasBody(head.status) && head.status != 304) length_known_ = false;
  if (head.status == 205) {  // a client waits for the end of its body all the same: RFC 9110 15.3.6
    length_known_ = true;
    answer_left_ = 0;
  }
  if (length_known_) http::AppendField(out, "Content-Length", answer_left_);
  chunked_answer_ = !no_body_ && !length_known_ && minor_version_ == 1;
  if (chunked_answer_) http::AppendField(out, "Transfer-Encoding", "chunked");
  if (!no_body_ && !length_known_ && minor_version_ == 0) keep_alive_ = false;
  if (!shard_.KeepsAlive(connection_)) keep_alive_ = false;
  Shard::AppendConnection(out, keep_alive_, minor_version_ == 0);
  out += "\r\n";
  if (shard_.LogsAnswerFields()) answer_head_ = out;
  AppendBody(out, body, end);
  Send(out);
}

void Stream::Send(std::string_view bytes) {
  sent_bytes_ += bytes.size();
  connection_.Send(bytes);
}

void Stream::AppendBody(std::string& out, std::string_view bytes, channel::End end) {
  if (no_body_) return;
  const bool last = end == channel::End::kComplete;
  if (compress_ != nullptr && (last || !bytes.empty())) {
    std::string& coded = shard_.coded_buffer();
    coded.clear();
    Compress(bytes, last, coded);
    bytes = coded;
  }
  if (length_known_) {
    bytes = bytes.substr(0, answer_left_);  // the worker has cut it; we trust nobody
    answer_left_ -= bytes.size();
  }
  answer_bytes_ += bytes.size();
  if (chunked_answer_) {
    http::AppendChunk(out, bytes);
    if (last) out += http::kLastChunk;
  } else {
    out += bytes;
  }
}

void Stream::OnHead(const channel::ResponseHead& head, std::string_view body, channel::End end) {
  if (step_ != Step::kRunning) return;
  if (head.status < 200 || head.status > 599) {
    shard_.log().Error(
        "request {} \"{}\": the worker sent status {}", id_, request_line(), head.status);
    return Fail(502, EndStep::kRun, "the app's answer was not valid");
  }
  step_ = Step::kAnswering;
  status_ = head.status;
  unacknowledged_ += body.size();
  WriteHead(head, body, end);
  if (step_ == Step::kAnswering) Finish(end);
}

// A file is the last of a body in this release; a worker that sends more is broken.
bool Stream::FileIsLast() {
  if (!file_.valid()) return true;
  shard_.log().Error("request {} \"{}\": the worker sent more after a file", id_, request_line());
  connection_.Abort();
  return false;
}

void Stream::OnBody(std::string_view bytes, channel::End end) {
  if (step_ != Step::kAnswering || !FileIsLast()) return;
  unacknowledged_ += bytes.size();
  std::string& out = shard_.answer_buffer();
  out.clear();
  AppendBody(out, bytes, end);
  Send(out);
  if (step_ == Step::kAnswering) Finish(end);
}

void Stream::OnFile(os::Fd file, std::uint64_t offset, std::uint64_t size, channel::End end) {
  if (step_ != Step::kAnswering || !FileIsLast()) return;
  unacknowledged_ += size;
  const bool plain = length_known_ && !no_body_ && compress_ == nullptr && size == answer_left_ &&
                     end == channel::End::kComplete;
  if (plain) {
    answer_left_ = 0;
    answer_bytes_ += size;
    sent_bytes_ += size;
    connection_.SendFile(std::move(file), offset, size);
    if (step_ == Step::kAnswering) Finish(end);
    return;
  }
  file_ = std::move(file);
  file_offset_ = offset;
  file_left_ = no_body_ ? 0 : size;
  file_end_ = end;
  SendFilePart();
}

// A file that is compressed or cut into chunks: a few pieces a turn, and as fast as the client takes
// them.
void Stream::SendFilePart() {
  constexpr std::uint64_t kPieceBytes = 128 << 10;
  constexpr int kPiecesPerTurn = 4;
  if (std::exchange(sending_file_, true)) return;  // called by the connection that we write to
  const auto may_go_on = [this] { return step_ == Step::kAnswering && connection_.pending() == 0; };
  for (int pieces = 0; pieces < kPiecesPerTurn && file_left_ > 0 && may_go_on(); ++pieces) {
    const auto piece = os::ReadAt(file_, std::min(kPieceBytes, file_left_), file_offset_);
    if (!piece.ok() || piece.value().empty()) {
      file_left_ = 0;
      file_end_ = channel::End::kBrokenOff;
      break;
    }
    file_offset_ += piece.value().size();
    file_left_ -= piece.value().size();
    std::string& out = shard_.answer_buffer();
    out.clear();
    AppendBody(out, piece.value(), channel::End::kNotYet);
    Send(out);
  }
  sending_file_ = false;
  if (step_ != Step::kAnswering) return;
  if (file_left_ > 0) {
    if (connection_.pending() == 0) shard_.PumpLater(connection_);
    return;
  }
  file_.Reset();
  OnEnd(file_end_);
}

void Stream::OnEnd(channel::End end) {
  if (step_ == Step::kRunning) {
    // It failed before it said anything.
    channel_ = nullptr;
    return Fail(500, EndStep::kRun, "the app failed");
  }
  if (step_ != Step::kAnswering || !FileIsLast()) return;
  if (end == channel::End::kComplete) {
    std::string& out = shard_.answer_buffer();
    out.clear();
    AppendBody(out, {}, end);
    Send(out);
  }
  if (step_ == Step::kAnswering) Finish(end);
}

// After each frame: lets the worker go on, or ends the stream.
void Stream::Finish(channel::End end) {
  if (end == channel::End::kNotYet) return Acknowledge();
  channel_ = nullptr;  // the channel frees the slot itself
  step_ = Step::kDone;
  const bool short_of_it = length_known_ && !no_body_ && answer_left_ > 0;
  Record(EndStep::kWrite);
  if (end == channel::End::kBrokenOff || short_of_it) return connection_.Abort();
  connection_.AnswerDone(keep_alive_ ? Connection::After::kKeepAlive : Connection::After::kClose);
}

void Stream::Acknowledge() {
  if (channel_ == nullptr) return;
  if (connection_.pending() > shard_.settings().answer_ahead_max) return;
  channel_->Acknowledge(slot_, std::exchange(unacknowledged_, 0));
}

void Stream::OnWritable() {
  if (unacknowledged_ > 0) Acknowledge();
  if (file_.valid()) SendFilePart();
}

// --- record

void Stream::Record(EndStep step) {
  const Time now = shard_.now();
  shard_.lane().CountAnswer(std::clamp(status_, 100, 599), step);
  shard_.lane().Observe(telemetry::Histogram::kTotal, now - began_);
  const bool ran = started_ != Time();
  if (entered_ != Time()) {
    shard_.lane().Observe(telemetry::Histogram::kQueueWait, (ran ? started_ : now) - entered_);
  }
  if (ran) shard_.lane().Observe(telemetry::Histogram::kRun, now - started_);
  shard_.LogAccess(
      connection_,
      {.head = head_bytes_,
       .id = id_,
       .status = status_,
       .answer_head = answer_head_,
       .body_bytes = answer_bytes_,
       .sent_bytes = sent_bytes_,
       .request_bytes = head_bytes_.size() + body_.size(),
       .total = now - began_,
       .queue_wait = entered_ == Time() ? Duration() : (ran ? started_ : now) - entered_,
       .run = ran ? now - started_ : Duration(-1),
       .worker_pid = worker_pid_});
}

}  // namespace onebox::front
