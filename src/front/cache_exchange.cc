#include "front/cache_exchange.h"

#include <algorithm>
#include <utility>

#include "front/cache_fetch.h"
#include "front/shard.h"
#include "telemetry/metric_table.h"

namespace onebox::front {

using EndStep = telemetry::Step;
using telemetry::Cached;

CacheExchange::CacheExchange(Responder& responder,
                             Shard& shard,
                             std::string_view bytes,
                             const http::RequestHead& head,
                             const RouteRules& rules,
                             FetchPlan plan,
                             bool waits)
    : Exchange(responder, shard, bytes, head, rules),
      plan_(std::move(plan)),
      leads_(!waits),
      waits_(waits) {}

CacheExchange::~CacheExchange() {
  StopWaiting();
  if (fetch_ != nullptr) fetch_->DropClient();
  if (leads_) shard_.responses().Land(plan_, webcache::Landed::kNotShared, nullptr);
}

void CacheExchange::StopWaiting() {
  if (!std::exchange(waits_, false)) return;
  shard_.responses().StopWaiting(*plan_.flight, *this);
}

void CacheExchange::Begin(const http::RequestHead*) {
  step_ = Step::kWaiting;
  if (waits_) {
    // As long as it would wait for a worker; then it asks for itself.
    wait_until_ = began_ + std::min(rules_.queue_timeout, rules_.timeout);
    shard_.responses().Wait(*plan_.flight, *this);
    return responder_.ArmTimer();
  }
  FetchPlan plan = plan_;  // ours goes on: the key is that of the answer
  plan_.flight = nullptr;
  if (!shard_.responses().Start(std::move(plan), this, responder_.peer(), rules_)) Pass("head");
}

void CacheExchange::OnLanded(const webcache::Flight& flight) {
  waits_ = false;
  if (step_ != Step::kWaiting) return;
  const http::CacheStatus status{
      .forwarded = plan_.known == nullptr ? http::Forwarded::kMiss : http::Forwarded::kStale,
      .collapsed = true};
  if (flight.landed() == webcache::Landed::kAnswer) {
    const webcache::Recorded& recorded = flight.answer()->recorded();
    std::string values;
    if (!recorded.vary.empty()) webcache::AppendVaryValues(values, recorded.vary, HeadAgain());
    if (values == recorded.vary_values) {
      shard_.lane().Add(Cached::kWaited);
      return Answer(flight.answer(), status);
    }
  }
  shard_.lane().Add(Cached::kPass);
  Pass("not_shared");
}

void CacheExchange::Answer(const webcache::AnswerRef& answer, const http::CacheStatus& status) {
  fetch_ = nullptr;
  step_ = Step::kDone;
  status_ = answer->status();
  const http::RequestHead& head = HeadAgain();
  shard_.responses().Send(
      {responder_, head_bytes_, head, id_, began_, rules_}, plan_.key, answer, status);
}

// Not at once: who calls may be in the middle of an answer from the channel that this would write to.
void CacheExchange::Pass(std::string_view detail) {
  fetch_ = nullptr;
  pass_for_ = detail;
  responder_.GoOnLater();
}

// The client's own request, with all that it said.
void CacheExchange::BeginToPass() {
  step_ = Step::kDone;
  const std::string line = http::CacheStatusLine(
      {.forwarded = plan_.known == nullptr ? http::Forwarded::kMiss : http::Forwarded::kStale,
       .detail = std::exchange(pass_for_, {})});
  const http::RequestHead& head = HeadAgain();
  passed_ = shard_.ExchangeFor(responder_, head_bytes_, head, rules_, line);
  passed_->Begin(&head);
}

// The fetch asks by GET, whatever the client did.
void CacheExchange::Forward(const AnswerHead& head, std::string_view body, Last last) {
  step_ = Step::kAnswering;
  status_ = head.status;
  AnswerHead ours = head;
  ours.rules = &rules_.headers;
  if (responder_.answers_head()) {
    ours.framing = Framing::kNone;
    body = {};
  }
  answer_bytes_ += body.size();
  if (shard_.LogsAnswerFields()) shard_.AppendAnswerFields(answer_fields_, ours, responder_.peer());
  responder_.SendHead(ours, body, last);
}

void CacheExchange::ForwardBody(std::string_view body, Last last) {
  if (responder_.answers_head()) return;
  answer_bytes_ += body.size();
  responder_.Send(body, last);
}

void CacheExchange::ForwardFile(os::Fd file, std::uint64_t offset, std::uint64_t size) {
  if (responder_.answers_head()) return;
  answer_bytes_ += size;
  responder_.SendFile(std::move(file), offset, size);
}

void CacheExchange::ForwardEnd() {
  fetch_ = nullptr;
  if (step_ == Step::kDone) return;
  step_ = Step::kDone;
  Record(EndStep::kWrite);
  responder_.Finish();
}

void CacheExchange::ForwardAbort() {
  fetch_ = nullptr;
  if (step_ == Step::kDone) return;
  Record(EndStep::kRun);
  step_ = Step::kDone;
  responder_.Abort();
}

void CacheExchange::FailOn(std::string_view why) {
  fetch_ = nullptr;
  Fail(502, EndStep::kRun, why);
}

void CacheExchange::TakeTimes(const Ended& ended) {
  queue_wait_ = ended.queue_wait;
  run_ = ended.run;
  worker_pid_ = ended.worker_pid;
}

void CacheExchange::Describe(Ended& ended) const {
  ended.queue_wait = queue_wait_;
  ended.run = run_;
  ended.worker_pid = worker_pid_;
  ended.observed = true;
}

// --- from the client's side

void CacheExchange::OnClientGone() {
  if (passed_ != nullptr) return passed_->OnClientGone();
  StopWaiting();
  if (fetch_ != nullptr) std::exchange(fetch_, nullptr)->DropClient();
  if (step_ == Step::kDone) return;
  if (step_ != Step::kAnswering) shard_.lane().Add(telemetry::Counter::kRequestsAbandoned);
  const EndStep step = step_ == Step::kAnswering ? EndStep::kWrite : EndStep::kWait;
  step_ = Step::kDone;
  if (status_ == 0) status_ = 499;  // as where the app is asked for this client alone
  Record(step);
}

Time CacheExchange::deadline() const {
  if (passed_ != nullptr) return passed_->deadline();
  return waits_ ? wait_until_ : Time::max();
}

void CacheExchange::OnDeadline(Time now) {
  if (passed_ != nullptr) return passed_->OnDeadline(now);
  if (!waits_) return;
  StopWaiting();
  shard_.lane().Add(Cached::kPass);
  Pass("waited_long");
}

void CacheExchange::OnWritable() {
  if (passed_ != nullptr) return passed_->OnWritable();
  if (!pass_for_.empty()) return BeginToPass();
  if (fetch_ != nullptr) fetch_->OnWritable();
}

void CacheExchange::OnBroken() {
  if (passed_ != nullptr) passed_->OnBroken();
}

void CacheExchange::Leave(int) {
  StopWaiting();
  if (fetch_ != nullptr) std::exchange(fetch_, nullptr)->DropClient();
}

}  // namespace onebox::front
