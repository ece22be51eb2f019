#include "front/cache_fetch.h"

#include <algorithm>
#include <utility>

#include "base/ascii.h"
#include "front/cache_exchange.h"
#include "front/exchange.h"
#include "front/shard.h"
#include "http/cache_status.h"
#include "http/list.h"
#include "http/response_head.h"
#include "os/file.h"
#include "webcache/answer.h"
#include "webcache/rules.h"

namespace onebox::front {
namespace {

using http::NotStored;
using telemetry::Cached;
using webcache::Landed;

// Of one transport of the answer, or said anew with each, or for nobody but us.
bool IsOfOneAnswer(std::string_view name) {
  return webcache::IsForTheCache(name) || EqualsIgnoreCase(name, "Content-Length") ||
         EqualsIgnoreCase(name, "X-Request-ID") || EqualsIgnoreCase(name, "Age");
}

std::string ForClient(std::string_view fields) {
  std::string out;
  webcache::ForEachLine(fields, [&](std::string_view name, std::string_view value) {
    if (!webcache::IsForTheCache(name)) http::AppendField(out, name, value);
  });
  return out;
}

// As many as there may be; what is no tag is passed over.
void TakeTags(std::string_view list, std::vector<std::string>& tags) {
  while (const auto tag = http::TakeElement(list)) {
    if (tags.size() < webcache::kTagsMax && tag->size() <= webcache::kTagBytesMax) {
      tags.emplace_back(*tag);
    }
  }
}

// It has no end that somebody could wait for.
bool IsStream(std::string_view fields) {
  return webcache::ValueIn(fields, "Content-Type").starts_with("text/event-stream") ||
         EqualsIgnoreCase(webcache::ValueIn(fields, "X-Accel-Buffering"), "no");
}

// RFC 5861 4.
bool IsFailure(int status) {
  return status == 500 || status == 502 || status == 503 || status == 504;
}

std::uint64_t LengthIn(std::string_view fields) {
  return ParseDecimal(webcache::ValueIn(fields, "Content-Length"), UINT64_MAX).value_or(0);
}

}  // namespace

CacheFetch::CacheFetch(Shard& shard,
                       ResponseCache& cache,
                       FetchPlan plan,
                       CacheExchange* client,
                       const Peer& peer,
                       const RouteRules& rules)
    : shard_(shard),
      cache_(cache),
      plan_(std::move(plan)),
      client_(client),
      peer_(peer),
      rules_(rules),
      began_(shard.now()),
      share_(shard.budget()),
      purges_(cache.shared().store.purges()) {
  if (client_ != nullptr) client_->LeadBy(*this);
}

CacheFetch::~CacheFetch() {
  exchange_.reset();  // it may still speak to us
}

bool CacheFetch::Begin() {
  http::RequestHead& head = shard_.head();
  http::Limits limits = shard_.settings().head;
  limits.head_bytes_max += 1024;  // what we ask may be longer than what was asked: validators
  limits.fields_max += 3;
  if (http::ParseRequestHead(plan_.head, limits, head)) {
    Land(Landed::kNotShared, nullptr);
    End();
    return false;
  }
  exchange_ = shard_.ExchangeFor(*this, plan_.head, head, rules_, {});
  if (client_ != nullptr) client_->TakeId(exchange_->id());
  exchange_->Begin(&head);
  ArmTimer();
  return true;
}

void CacheFetch::Count(NotStored reason) {
  shard_.lane().CountNotStored(static_cast<std::size_t>(reason));
}

http::Forwarded CacheFetch::forwarded() const {
  return plan_.known == nullptr ? http::Forwarded::kMiss : http::Forwarded::kStale;
}

// --- the client

void CacheFetch::DropClient() {
  client_ = nullptr;
  if (step_ == Step::kForwarding) End();  // nobody is there to forward to
}

void CacheFetch::OnWritable() {
  if (exchange_ != nullptr && step_ != Step::kDone) exchange_->OnWritable();
}

void CacheFetch::OnBroken() {
  if (exchange_ != nullptr && step_ != Step::kDone) exchange_->OnBroken();
}

std::uint64_t CacheFetch::pending() const {
  const bool passes_on = step_ == Step::kCopying || step_ == Step::kForwarding;
  return passes_on && client_ != nullptr ? client_->responder().pending() : 0;
}

void CacheFetch::SendInterim(int status, std::string_view fields) {
  if (step_ == Step::kAsking && client_ != nullptr)
    client_->responder().SendInterim(status, fields);
}

void CacheFetch::TakeEnded(const Ended& ended) {
  if (client_ != nullptr) client_->TakeTimes(ended);
}

// --- the head

void CacheFetch::SendHead(const AnswerHead& head, std::string_view body, Last last) {
  if (step_ != Step::kAsking) return;
  if (head.status == 304 && plan_.known != nullptr) return Renew(head);
  const std::int64_t wall = shard_.WallSeconds();
  http::ReuseFields fields{.status = head.status};
  webcache::ForEachLine(head.fields, [&](std::string_view name, std::string_view value) {
    fields.Take(name, value, wall);
  });
  if (!webcache::ValueIn(head.fields, webcache::kOptInField).empty())
    shard_.OptIn(*this, plan_.head);
  const http::Judgement judged = http::Judge(fields, plan_.asked, rules_.cache->policy, wall);
  NotStored reason = judged.reason;
  if (head.framing == Framing::kLength &&
      LengthIn(head.fields) > cache_.shared().store.answer_bytes_max()) {
    reason = NotStored::kTooLarge;
  }
  if (reason == NotStored::kStored && IsStream(head.fields)) reason = NotStored::kNoStore;
  const bool fails = IsFailure(head.status) && plan_.known != nullptr;
  if (fails && http::MayStandIn(plan_.known->lifetime(), plan_.known->AgeAt(shard_.now()))) {
    return StandIn(head.status);
  }
  if (reason != NotStored::kStored) return GiveUp(reason, head, body, last);
  Begin(head, fields, judged.lifetime);
  step_ =
      head.framing == Framing::kUntilEnd && last == Last::kNo ? Step::kCopying : Step::kCollecting;
  if (step_ == Step::kCopying && client_ != nullptr) {
    client_->Forward(
        {.status = head.status, .reason = head.reason, .fields = fields_, .framing = head.framing},
        {},
        Last::kNo);
  }
  Send(body, last);
}

void CacheFetch::Begin(const AnswerHead& head,
                       const http::ReuseFields& fields,
                       const http::Lifetime& lifetime) {
  recorded_.status = head.status;
  recorded_.reason = head.reason;
  recorded_.lifetime = lifetime;
  recorded_.received = shard_.now();
  recorded_.initial_age = http::InitialAge(fields, shard_.WallSeconds(), shard_.now() - began_);
  recorded_.begun = purges_;
  recorded_.tags = rules_.cache->tags;
  TakeTags(webcache::ValueIn(head.fields, webcache::kTagsField), recorded_.tags);
  recorded_.vary = fields.vary;
  // By our own coding and by the cookies that the route speaks of nothing varies that the key does not hold.
  const bool coded_by_us = shard_.settings().compression.enabled;
  std::erase_if(recorded_.vary, [&](const std::string& name) {
    return name == "cookie" || (coded_by_us && name == "accept-encoding");
  });
  fields_ = ForClient(head.fields);
  fields_ += http::CacheStatusLine(
      {.forwarded = forwarded(), .forwarded_status = head.status, .stored = true});
  webcache::ForEachLine(head.fields, [&](std::string_view name, std::string_view value) {
    if (!IsOfOneAnswer(name)) http::AppendField(recorded_.fields, name, value);
  });
}

// RFC 9111 4.3.4: what is kept is right still, and fresh again.
void CacheFetch::Renew(const AnswerHead& head) {
  const webcache::Recorded& known = plan_.known->recorded();
  webcache::Recorded renewed{.status = known.status, .reason = known.reason, .bytes = known.bytes};
  webcache::ForEachLine(known.fields, [&](std::string_view name, std::string_view value) {
    const bool replaced =
        http::IsUpdatedBy304(name) && !webcache::ValueIn(head.fields, name).empty();
    if (!replaced) http::AppendField(renewed.fields, name, value);
  });
  webcache::ForEachLine(head.fields, [&](std::string_view name, std::string_view value) {
    if (http::IsUpdatedBy304(name) && !IsOfOneAnswer(name)) {
      http::AppendField(renewed.fields, name, value);
    }
  });
  const std::int64_t wall = shard_.WallSeconds();
  http::ReuseFields fields{.status = known.status};
  webcache::ForEachLine(renewed.fields, [&](std::string_view name, std::string_view value) {
    fields.Take(name, value, wall);
  });
  // Of a cache before us that has not asked the app itself: its answer is not as young as this.
  fields.Take("Age", webcache::ValueIn(head.fields, "Age"), wall);
  const http::Judgement judged = http::Judge(fields, plan_.asked, rules_.cache->policy, wall);
  renewed.lifetime = judged.lifetime;
  renewed.received = shard_.now();
  renewed.initial_age = http::InitialAge(fields, wall, shard_.now() - began_);
  renewed.begun = purges_;
  renewed.vary = known.vary;
  renewed.vary_values = known.vary_values;
  renewed.tags = known.tags;
  webcache::AnswerRef answer;
  shard_.lane().Add(Cached::kRenewed);
  const bool stored = judged.reason == NotStored::kStored && Store(std::move(renewed), answer);
  if (judged.reason != NotStored::kStored) Count(judged.reason);
  if (answer == nullptr) answer = plan_.known;  // right for who asked, and not kept
  Land(stored && !answer->lifetime().no_cache ? Landed::kAnswer : Landed::kNotShared, answer);
  CacheExchange* const client = std::exchange(client_, nullptr);
  End();
  if (client == nullptr) return;
  client->Answer(answer,
                 {.forwarded = http::Forwarded::kStale, .forwarded_status = 304, .stored = stored});
}

// RFC 5861 4: the app cannot answer, what is kept can.
void CacheFetch::StandIn(int status) {
  shard_.lane().Add(Cached::kStoodIn);
  // What was purged meanwhile is right for who asked before, as in Complete().
  const bool held = cache_.shared().store.Holds(plan_.key, *plan_.known);
  Land(held ? Landed::kAnswer : Landed::kNotShared, plan_.known);
  CacheExchange* const client = std::exchange(client_, nullptr);
  End();
  if (client == nullptr) return;
  client->Answer(plan_.known,
                 {.forwarded = http::Forwarded::kStale,
                  .forwarded_status = status,
                  .detail = "stale_if_error"});
}

// The answer is not for others.
void CacheFetch::GiveUp(NotStored reason,
                        const AnswerHead& head,
                        std::string_view body,
                        Last last) {
  Count(reason);
  const bool failed = head.status >= 500;
  // A failure says nothing of what the app answers when it is well.
  if (!failed) cache_.shared().passes.Set(plan_.hash, shard_.now());
  Land(Landed::kNotShared, nullptr);
  CacheExchange* const client = client_;
  // An answer that may be for one was asked for without what that one said: he asks for himself.
  const bool asks_again = client != nullptr && plan_.strips && !failed;
  if (client == nullptr || asks_again) {
    client_ = nullptr;
    End();
    if (asks_again) client->Pass(NameOf(reason));
    return;
  }
  shard_.lane().Add(Cached::kMiss);
  step_ = Step::kForwarding;
  fields_ = ForClient(head.fields);
  fields_ += http::CacheStatusLine(
      {.forwarded = forwarded(), .forwarded_status = head.status, .detail = NameOf(reason)});
  bytes_ += body.size();
  client->Forward(
      {.status = head.status, .reason = head.reason, .fields = fields_, .framing = head.framing},
      body,
      last);
}

// --- the body

void CacheFetch::Send(std::string_view body, Last last) {
  if (step_ == Step::kAsking || step_ == Step::kDone) return;
  bytes_ += body.size();
  if (step_ != Step::kForwarding) {
    const std::uint64_t most = cache_.shared().store.answer_bytes_max();
    if (body_.size() + body.size() > most || !share_.Grow(body.size())) {
      Surrender(NotStored::kTooLarge);
      if (step_ == Step::kDone) return;
    } else {
      body_ += body;
    }
  }
  if (step_ == Step::kCollecting || client_ == nullptr) return;
  client_->ForwardBody(body, last);
}

// It turns out not to be kept after it has begun: what is there goes to the client, and so does the rest.
void CacheFetch::Surrender(NotStored reason) {
  Count(reason);
  cache_.shared().passes.Set(plan_.hash, shard_.now());
  Land(Landed::kNotShared, nullptr);
  if (client_ == nullptr) return End();
  const bool unseen = step_ == Step::kCollecting;
  step_ = Step::kForwarding;
  if (!unseen) return;
  const bool has_length = !webcache::ValueIn(fields_, "Content-Length").empty();
  client_->Forward({.status = recorded_.status,
                    .reason = recorded_.reason,
                    .fields = fields_,
                    .framing = has_length ? Framing::kLength : Framing::kUntilEnd},
                   body_,
                   Last::kNo);
}

std::uint64_t CacheFetch::SendPieces(const AnswerHead& head, Body body) {
  SendHead(head, {}, Last::kNo);
  const std::uint64_t size = body.size();
  for (const Piece& piece : body.pieces()) {
    if (piece.file != nullptr) {
      const auto bytes = os::ReadAt(*piece.file, piece.bytes.size(), piece.offset());
      if (!bytes.ok()) {
        Abort();
        return size;
      }
      Send(bytes.value(), Last::kNo);
    } else {
      Send(piece.bytes, Last::kNo);
    }
  }
  return size;
}

// What is not kept is sent from the file; what is, is read: it has its limit.
void CacheFetch::SendFile(os::Fd file, std::uint64_t offset, std::uint64_t size) {
  if (step_ == Step::kAsking || step_ == Step::kDone) return;
  if (step_ == Step::kForwarding && client_ != nullptr) {
    bytes_ += size;
    return client_->ForwardFile(std::move(file), offset, size);
  }
  const auto bytes = os::ReadAt(file, size, offset);
  if (!bytes.ok() || bytes.value().size() != size) return Abort();
  Send(bytes.value(), Last::kNo);
}

// --- the end

void CacheFetch::Finish() {
  if (step_ == Step::kDone) return;
  if (step_ == Step::kForwarding) {
    CacheExchange* const client = std::exchange(client_, nullptr);
    End();
    if (client != nullptr) client->ForwardEnd();
    return;
  }
  if (step_ == Step::kAsking) return Abort();
  Complete();
}

// Whether it is kept; `answer` is there in any case.
bool CacheFetch::Store(webcache::Recorded recorded, webcache::AnswerRef& answer) {
  auto made = std::make_shared<webcache::Answer>(std::move(recorded));
  answer = made;
  if (cache_.shared().store.Add(plan_.key, made)) return true;
  const bool too_large = made->charge() > cache_.shared().store.answer_bytes_max();
  Count(too_large ? NotStored::kTooLarge : NotStored::kPurged);
  return false;
}

void CacheFetch::Complete() {
  http::RequestHead& head = shard_.head();
  if (!recorded_.vary.empty()) {
    http::Limits limits = shard_.settings().head;
    limits.head_bytes_max = plan_.head.size();
    limits.fields_max += 3;
    CHECK(!http::ParseRequestHead(plan_.head, limits, head));  // as it was when it began
    webcache::AppendVaryValues(recorded_.vary_values, recorded_.vary, head);
  }
  body_.shrink_to_fit();
  recorded_.bytes = std::make_shared<const std::string>(std::move(body_));
  webcache::AnswerRef answer;
  const int status = recorded_.status;
  const bool stored = Store(std::move(recorded_), answer);
  // What was purged meanwhile is right for who asked before, and not for who came after: those are not
  // told apart, so each asks again.
  Land(stored && !answer->lifetime().no_cache ? Landed::kAnswer : Landed::kNotShared, answer);
  shard_.lane().Add(client_ == nullptr ? Cached::kRefreshed : Cached::kMiss);
  const bool unseen = step_ == Step::kCollecting;
  CacheExchange* const client = std::exchange(client_, nullptr);
  End();
  if (client == nullptr) return;
  if (!unseen) return client->ForwardEnd();
  client->Answer(answer, {.forwarded = forwarded(), .forwarded_status = status, .stored = stored});
}

void CacheFetch::Abort() {
  if (step_ == Step::kDone) return;
  const Step before = step_;
  if (before != Step::kForwarding) Count(NotStored::kBrokenOff);
  Land(Landed::kNotShared, nullptr);
  CacheExchange* const client = std::exchange(client_, nullptr);
  End();
  if (client == nullptr) return;
  const bool unseen = before == Step::kAsking || before == Step::kCollecting;
  unseen ? client->FailOn("the app broke off its answer") : client->ForwardAbort();
}

void CacheFetch::Refuse(http::RefusalKind, telemetry::Step, std::string_view) {
  Abort();  // it has no body that could be refused
}

void CacheFetch::Land(Landed landed, const webcache::AnswerRef& answer) {
  cache_.Land(plan_, landed, answer);
}

// Who still asks the app is told so when this goes, at the end of the turn.
void CacheFetch::End() {
  step_ = Step::kDone;
  Land(Landed::kNotShared, nullptr);
  cache_.Retire(*this);
}

void CacheFetch::RecordWhenSent(AnswerRecord) {}

// --- time

void CacheFetch::ArmTimer() {
  if (step_ == Step::kDone || exchange_ == nullptr) return;
  const Time deadline = exchange_->deadline();
  if (deadline != Time::max()) shard_.reactor().timers().Arm(*this, deadline);
}

void CacheFetch::OnTimer() {
  if (step_ == Step::kDone) return;
  if (shard_.now() >= exchange_->deadline()) exchange_->OnDeadline(shard_.now());
  ArmTimer();
}

void CacheFetch::GoOnLater() {
  if (step_ != Step::kDone) cache_.GoOnLater(*this);
}

}  // namespace onebox::front
