#include "front/app_exchange.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "front/app_channel.h"
#include "front/shard.h"
#include "http/forwarded.h"
#include "http/path.h"
#include "http/response_head.h"
#include "http/upstream_request.h"

namespace onebox::front {
namespace {

using telemetry::Limit;
using EndStep = telemetry::Step;

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

}  // namespace

AppExchange::AppExchange(Responder& responder,
                         Shard& shard,
                         std::string_view bytes,
                         const http::RequestHead& head,
                         const RouteRules& rules)
    : Exchange(responder, shard, bytes, head, rules),
      writer_(shard,
              responder,
              head,
              {head_bytes_, id_, method_, more_fields_, &rules.headers},
              answer_fields_),
      has_framing_(head.framing != http::Framing::kNone),
      minor_version_(responder.protocol() == Protocol::kHttp2 ? channel::kHttp2
                                                              : head.minor_version),
      trusted_(shard.Trusts(responder.peer())) {
  reactor = shard.index();
  route = rules.number;
}

AppExchange::~AppExchange() {
  LeaveApp(channel::CancelReason::kClientLeft);
}

// --- wait

void AppExchange::Encode(const http::RequestHead& head) {
  http::NormalPath path;
  CHECK(!http::NormalizePath(head.path, shard_.path_storage(), path));
  const http::Origin origin = shard_.OriginOf(responder_.peer(), head);
  const std::string client_text =
      origin.client ? http::FormatAddress(*origin.client) : std::string();
  const std::string length = fmt::format_int(body_.size()).str();

  if (shard_.settings().address_share_max < 100) client = shard_.ClientOf(origin);

  channel::Request& request = shard_.request();
  request.method = head.method_name;
  request.path = path.path;
  request.query = head.query;
  request.target = head.target;
  request.scheme = origin.scheme;
  request.server_name = responder_.peer().endpoint->name;
  request.server_port = responder_.peer().endpoint->port;
  request.client_address = client_text;
  request.client_port =
      origin.client == responder_.peer().address ? responder_.peer().port : origin.client_port;
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
    if (Contains(kNotForTheApp, field.known) || http::MisleadsCgi(field.name)) continue;
    if (!trusted_ && Contains(kForwarded, field.known)) continue;
    const bool host = field.known == http::KnownField::kHost && !origin.host.empty();
    request.fields.push_back({field.name, host ? origin.host : field.value});
  }
  rules_.request_headers.Apply(request.fields);
  request.fields.push_back({"X-Request-ID", id_});
  const std::optional<tls::PeerCertificate> certificate =
      responder_.tls() == nullptr ? std::nullopt : responder_.tls()->peer();
  if (certificate) {
    request.fields.push_back({"SSL_CLIENT_VERIFY", "SUCCESS"});
    request.fields.push_back({"SSL_CLIENT_S_DN", certificate->subject});
    request.fields.push_back({"SSL_CLIENT_I_DN", certificate->issuer});
    request.fields.push_back({"SSL_CLIENT_M_SERIAL", certificate->serial});
    request.fields.push_back({"SSL_CLIENT_FINGERPRINT", certificate->fingerprint});
  }
  if (has_framing_) request.fields.push_back({"Content-Length", length});
  encoded_.clear();
  encoded_.reserve(head_bytes_.size() + 256);  // about what is added to it
  channel::EncodeRequest(encoded_, request);
}

void AppExchange::Begin(const http::RequestHead* head) {
  if (!body_.FitFor(channel::kInlineBodyBytesMax)) {
    shard_.lane().Add(Limit::kSpool);
    return Fail(503, EndStep::kReadBody, "there is no memory for the body");
  }
  deadline_ = shard_.now() + rules_.timeout;
  Encode(head != nullptr ? *head : HeadAgain());
  if (encoded_.size() > channel::kRequestHeadBytesMax) {
    return Fail(431, EndStep::kRoute, "the request head is too large for the app");
  }
  if (!rules_.early_hints.empty() && method_ == http::Method::kGet) {
    responder_.SendInterim(103, rules_.early_hints);
  }
  Enter(Dispatch::Position::kBack);
}

void AppExchange::Enter(Dispatch::Position position) {
  step_ = Step::kWaiting;
  entered_ = shard_.now();
  started_ = Time();
  if (shard_.broken() != nullptr) return FailBroken();
  Place place;
  const Dispatch::Entered entered =
      shard_.dispatch(rules_.app).Enter(*this, position, entered_, place);
  if (entered == Dispatch::Entered::kPlace) return OnGrant(std::move(place));
  if (entered == Dispatch::Entered::kQueued) return responder_.ArmTimer();
  RefuseToWait(entered);
}

void AppExchange::RefuseToWait(Dispatch::Entered refused) {
  retry_after_ = static_cast<std::uint8_t>(
      shard_.dispatch(rules_.app).RetryAfter(*this, refused, shard_.now()).count());
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

void AppExchange::OnGrant(Place place) {
  started_ = shard_.now();
  step_ = Step::kRunning;
  worker_pid_ = place.worker->pid;
  place_ = std::move(place);
  shard_.Assign(*this, place_);  // calls back through OnLost() if the worker is gone
}

void AppExchange::LeaveApp(channel::CancelReason reason) {
  if (step_ == Step::kWaiting) shard_.dispatch(rules_.app).Cancel(*this, shard_.now());
  if (channel_ != nullptr) std::exchange(channel_, nullptr)->Abandon(*this, reason);
}

void AppExchange::OnClientGone() {
  if (step_ == Step::kDone) return;
  if (step_ != Step::kAnswering) shard_.lane().Add(telemetry::Counter::kRequestsAbandoned);
  const EndStep step = step_ == Step::kBody      ? EndStep::kReadBody
                       : step_ == Step::kWaiting ? EndStep::kWait
                       : step_ == Step::kRunning ? EndStep::kRun
                                                 : EndStep::kWrite;
  LeaveApp(step_ == Step::kAnswering ? channel::CancelReason::kAnswering
                                     : channel::CancelReason::kClientLeft);
  step_ = Step::kDone;
  answer_bytes_ = writer_.body_bytes();
  if (status_ == 0) status_ = 499;  // nginx's word for it, in the log alone
  Record(step);
}

Time AppExchange::deadline() const {
  if (step_ == Step::kWaiting) {
    return std::min(deadline_, entered_ + rules_.queue_timeout);
  }
  return step_ == Step::kRunning || instead_ != nullptr ? deadline_ : Time::max();
}

void AppExchange::OnDeadline(Time now) {
  if (step_ == Step::kWaiting) return RefuseToWait(Dispatch::Entered::kQueued);
  if (step_ != Step::kRunning && instead_ == nullptr) return;
  shard_.lane().Add(Limit::kRequestTimeout);
  shard_.log().Warning("request {} \"{}\": no answer from the app within {} ms (worker {})",
                       id_,
                       request_line(),
                       std::chrono::duration_cast<std::chrono::milliseconds>(now - began_).count(),
                       worker_pid_);
  Fail(504, EndStep::kRun, "the app took too long");
}

void AppExchange::OnBroken() {
  if (step_ == Step::kWaiting) FailBroken();
}

void AppExchange::OnLost(Lost lost) {
  channel_ = nullptr;
  if (step_ == Step::kDone) return;
  if (lost == Lost::kNotTaken) return Enter(Dispatch::Position::kFront);
  ++workers_lost_;
  if (step_ == Step::kAnswering) {
    shard_.log().Error("request {} \"{}\": worker {} died in the middle of the answer",
                       id_,
                       request_line(),
                       worker_pid_);
    answer_bytes_ = writer_.body_bytes();
    Record(EndStep::kRun);
    step_ = Step::kDone;
    return responder_.Abort();
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

void AppExchange::FailBroken() {
  const BrokenApp& broken = *shard_.broken();
  EndWith({.status = 500,
           .id = id_,
           .fields = broken.fields,
           .head = head_bytes_,
           .broken = &broken,
           .rules = &rules_},
          EndStep::kWait);
}

void AppExchange::Leave(int status) {
  LeaveApp(status == 504 ? channel::CancelReason::kDeadline : channel::CancelReason::kClientLeft);
}

// --- write

// A worker that has let a wrong field through says no hints; what it answers is checked by itself.
void AppExchange::OnEarlyHints(const channel::ResponseHead& head) {
  if (step_ != Step::kRunning) return;
  std::string fields;
  for (const channel::Field& field : head.fields) {
    if (!http::IsValidFieldName(field.name) || !http::IsValidFieldValue(field.value)) return;
    if (!IsOursToSay(field.name)) http::AppendField(fields, field.name, field.value);
  }
  if (!fields.empty()) responder_.SendInterim(103, fields);
}

void AppExchange::OnHead(const channel::ResponseHead& head,
                         std::string_view body,
                         channel::End end) {
  if (step_ != Step::kRunning) return;
  if (head.status < 200 || head.status > 599) {
    shard_.log().Error(
        "request {} \"{}\": the worker sent status {}", id_, request_line(), head.status);
    return Fail(502, EndStep::kRun, "the app's answer was not valid");
  }
  unacknowledged_ += body.size();
  if (TakeFileField(head, end)) return;
  step_ = Step::kAnswering;
  status_ = head.status;
  shard_.InvalidateIfChanged(responder_, head_bytes_, method_, status_);
  if (!writer_.Begin(head, body, end)) {
    shard_.log().Error(
        "request {} \"{}\": the worker sent a header field that is none", id_, request_line());
    return Fail(502, EndStep::kRun, "the app's answer was not valid");
  }
  GoOn(end);
}

// Whether the app asks for a file in the place of its answer. It is sent when the app has ended.
bool AppExchange::TakeFileField(const channel::ResponseHead& head, channel::End end) {
  const channel::Field* const field = FindFileField(head);
  const auto& folders = shard_.settings().protected_folders;
  // A proxy in front of us may be who is asked.
  if (field == nullptr || (folders.empty() && trusted_)) return false;
  const auto file = LocateFile(folders, *field);
  if (!file) {
    RefuseFile(*field);
    return true;
  }
  auto instead = std::make_unique<Instead>();
  instead->answer = shard_.files().AnswerForApp(HeadAgain(), *file->files, file->name);
  auto fields = FieldsWithFile(head, instead->answer);
  if (!fields) {
    shard_.log().Error(
        "request {} \"{}\": the worker sent a header field that is none", id_, request_line());
    Fail(502, EndStep::kRun, "the app's answer was not valid");
    return true;
  }
  if (instead->answer.status == 404) {
    shard_.log().Warning(
        "request {} \"{}\": the app lets a file be sent that is not there: {} in {}",
        id_,
        request_line(),
        file->name,
        file->files->folder);
  }
  instead->fields = *std::move(fields);
  instead_ = std::move(instead);
  step_ = Step::kAnswering;
  GoOn(end);
  return true;
}

void AppExchange::RefuseFile(const channel::Field& field) {
  shard_.log().Error(
      "request {} \"{}\": the app asks by {} for a file that is in no folder of "
      "front.protected: {}",
      id_,
      request_line(),
      field.name,
      field.value);
  Fail(502, EndStep::kRun, "the app's answer was not valid");
}

// Whole: the app has ended, and who waits for the client are the file's pieces alone.
void AppExchange::SendProtected() {
  const std::unique_ptr<Instead> instead = std::move(instead_);
  StaticAnswer& answer = instead->answer;
  if (answer.status >= 400) {
    return EndWith({.status = answer.status,
                    .id = id_,
                    .fields = answer.fields,
                    .head = head_bytes_,
                    .rules = &rules_},
                   EndStep::kWrite);
  }
  std::string& fields = instead->fields;
  fields += more_fields_;
  shard_.AppendOurs(fields, id_);
  const bool bodiless = answer.body.empty() &&
                        (method_ == http::Method::kHead || !http::StatusHasBody(answer.status));
  const AnswerHead head{.status = answer.status,
                        .fields = fields,
                        .framing = bodiless ? Framing::kNone : Framing::kLength,
                        .rules = &rules_.headers};
  status_ = answer.status;
  answer_bytes_ = answer.body.size();
  step_ = Step::kDone;
  if (shard_.LogsAnswerFields()) shard_.AppendAnswerFields(answer_fields_, head, responder_.peer());
  responder_.SendPieces(head, std::move(answer.body));
  Record(EndStep::kWrite);
  responder_.Finish();
}

// A file is the last of a body in this release; a worker that sends more is broken.
bool AppExchange::FileIsLast() {
  if (!writer_.has_file()) return true;
  shard_.log().Error("request {} \"{}\": the worker sent more after a file", id_, request_line());
  responder_.Abort();
  return false;
}

void AppExchange::OnBody(std::string_view bytes, channel::End end) {
  if (step_ != Step::kAnswering || !FileIsLast()) return;
  unacknowledged_ += bytes.size();
  if (instead_ == nullptr) writer_.Append(bytes, end);
  GoOn(end);
}

void AppExchange::OnFile(os::Fd file, std::uint64_t offset, std::uint64_t size, channel::End end) {
  if (step_ != Step::kAnswering || !FileIsLast()) return;
  unacknowledged_ += size;
  if (instead_ != nullptr) return GoOn(end);
  writer_.AppendFile(std::move(file), offset, size, end);
  if (!writer_.has_file()) return GoOn(end);
  file_end_ = end;
  SendFileParts();
}

void AppExchange::SendFileParts() {
  switch (writer_.AppendFileParts()) {
    case AnswerWriter::FileState::kNone:
    case AnswerWriter::FileState::kWaits:
      return;
    case AnswerWriter::FileState::kSent:
      return OnEnd(file_end_);
    case AnswerWriter::FileState::kBroken:
      return OnEnd(channel::End::kBrokenOff);
  }
}

void AppExchange::OnEnd(channel::End end) {
  if (step_ == Step::kRunning) {
    // It failed before it said anything.
    channel_ = nullptr;
    return Fail(500, EndStep::kRun, "the app failed");
  }
  if (step_ != Step::kAnswering || !FileIsLast()) return;
  if (end == channel::End::kComplete && instead_ == nullptr) writer_.Append({}, end);
  GoOn(end);
}

// After each frame: lets the worker go on, or ends the exchange.
void AppExchange::GoOn(channel::End end) {
  if (step_ != Step::kAnswering) return;  // the client has gone
  answer_bytes_ = writer_.body_bytes();
  if (end == channel::End::kNotYet) return Acknowledge();
  channel_ = nullptr;  // the channel frees the slot itself
  if (instead_ != nullptr) {
    return end == channel::End::kBrokenOff ? Fail(500, EndStep::kRun, "the app failed")
                                           : SendProtected();
  }
  step_ = Step::kDone;
  Record(EndStep::kWrite);
  if (end == channel::End::kBrokenOff || writer_.IsShort()) return responder_.Abort();
  responder_.Finish();
}

void AppExchange::Acknowledge() {
  if (channel_ == nullptr) return;
  if (responder_.pending() > shard_.settings().answer_ahead_max) return;
  channel_->Acknowledge(slot_, std::exchange(unacknowledged_, 0));
}

void AppExchange::OnWritable() {
  if (unacknowledged_ > 0) Acknowledge();
  if (writer_.has_file()) SendFileParts();
}

// --- record

void AppExchange::Describe(Ended& ended) const {
  const Time now = shard_.now();
  const bool ran = started_ != Time();
  if (entered_ != Time()) ended.queue_wait = (ran ? started_ : now) - entered_;
  if (ran) ended.run = now - started_;
  ended.worker_pid = worker_pid_;
}

}  // namespace onebox::front
