#include "front/exchange.h"

#include <algorithm>

#include "front/shard.h"

namespace onebox::front {

using telemetry::Limit;
using EndStep = telemetry::Step;

Exchange::Exchange(Responder& responder,
                   Shard& shard,
                   std::string_view bytes,
                   const http::RequestHead& head,
                   const RouteRules& rules)
    : responder_(responder),
      shard_(shard),
      rules_(rules),
      head_bytes_(bytes),
      body_(shard.budget(), {shard.settings().body_memory_max, shard.settings().spool_folder}),
      id_(shard.RequestIdFor(responder.peer(), head)),
      began_(shard.now()),
      method_(head.method),
      content_length_(head.content_length),
      framing_(head.framing),
      expect_continue_(head.expect_continue),
      body_complete_(head.framing == http::Framing::kNone ||
                     (head.framing == http::Framing::kContentLength && head.content_length == 0)) {}

std::string_view Exchange::request_line() const {
  const std::string_view head = head_bytes_;
  const std::string_view line = head.substr(0, head.find('\r'));
  return shard_.settings().log_privacy.query ? WithoutQuery(line) : line;
}

const http::RequestHead& Exchange::HeadAgain() {
  http::RequestHead& head = shard_.head();
  CHECK(!http::ParseRequestHead(head_bytes_, shard_.settings().head, head));
  return head;
}

// --- read_body

void Exchange::ExpectBody() {
  if (framing_ == http::Framing::kContentLength && content_length_ > rules_.body_bytes_max) {
    shard_.lane().Add(Limit::kBodyBytes);
    return Fail(413, EndStep::kReadBody, "the request body is too large");
  }
  if (expect_continue_) responder_.SendInterim(100, {});
}

bool Exchange::StoreBody(std::string_view bytes) {
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

std::size_t Exchange::TakeBody(std::string_view bytes) {
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
        RefuseBody(step.refusal);
        return bytes.size();
    }
  }
  return position;
}

void Exchange::RefuseBody(http::RefusalKind kind) {
  step_ = Step::kDone;
  responder_.Refuse(kind, EndStep::kReadBody, head_bytes_);
}

void Exchange::TakeOver(Exchange& other) {
  body_.TakeFrom(other.body_);
  body_complete_ = true;
  began_ = other.began_;
}

void Exchange::OnBodyTimeout() {
  Fail(408, EndStep::kReadBody, "the request body did not arrive in time");
}

// --- the end

void Exchange::Fail(int status, EndStep step, std::string_view why) {
  EndWith({.status = status,
           .why = why,
           .id = id_,
           .retry_after = retry_after_,
           .head = head_bytes_,
           .rules = &rules_},
          step);
}

void Exchange::EndWith(const OwnAnswer& answer, EndStep step) {
  Leave(answer.status);
  status_ = answer.status;
  step_ = Step::kDone;
  body_.Drop();  // now, not at the turn's end: others may wait for the room in this turn
  answer_bytes_ = shard_.Answer(responder_, answer);
  Record(step);
}

// --- record

void Exchange::Record(EndStep step) {
  const Duration total = shard_.now() - began_;
  Ended ended{.head = head_bytes_,
              .id = id_,
              .status = status_,
              .answer_fields = answer_fields_,
              .body_bytes = answer_bytes_,
              .sent_bytes = responder_.answer_bytes(),
              .request_bytes = head_bytes_.size() + body_.size(),
              .total = total};
  Describe(ended);
  if (!ended.observed && ended.queue_wait >= Duration(0)) {
    shard_.lane().Observe(telemetry::Histogram::kQueueWait, ended.queue_wait);
  }
  if (!ended.observed && ended.run >= Duration(0))
    shard_.lane().Observe(telemetry::Histogram::kRun, ended.run);
  if (responder_.records()) return responder_.TakeEnded(ended);
  shard_.lane().CountAnswer(std::clamp(status_, 100, 599), step);
  shard_.lane().Observe(telemetry::Histogram::kTotal, total);
  shard_.LogAccess(responder_, ended);
}

}  // namespace onebox::front
