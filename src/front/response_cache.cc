#include "front/response_cache.h"

#include <algorithm>
#include <utility>

#include "base/ascii.h"
#include "base/check.h"
#include "compress/compressor.h"
#include "front/cache_exchange.h"
#include "front/cache_fetch.h"
#include "front/partial_answer.h"
#include "front/responder.h"
#include "front/shard.h"
#include "http/media_type.h"
#include "http/negotiate.h"
#include "http/preconditions.h"
#include "http/response_head.h"

namespace onebox::front {
namespace {

using http::KnownField;
using telemetry::Cached;
using webcache::Bypass;
using webcache::Question;

static_assert(telemetry::kNotStoredNames == http::kNotStoredNames);

std::int64_t SecondsOf(Duration duration) {
  return std::chrono::floor<seconds>(duration).count();
}

bool HasConditions(const http::RequestHead& head) {
  return head.Has(KnownField::kIfNoneMatch) || head.Has(KnownField::kIfModifiedSince) ||
         head.Has(KnownField::kRange) || head.Has(KnownField::kIfMatch) ||
         head.Has(KnownField::kIfUnmodifiedSince);
}

Cached CountOf(Bypass bypass) {
  switch (bypass) {
    case Bypass::kCookie:
      return Cached::kCookie;
    case Bypass::kSpelling:
      return Cached::kSpelling;
    case Bypass::kMethod:
    case Bypass::kBody:
    case Bypass::kNo:
      return Cached::kMethod;
  }
  return Cached::kMethod;
}

}  // namespace

ResponseCache::ResponseCache(Shard& shard, SharedResponses& shared)
    : shard_(shard), shared_(shared) {
  CHECK(shared_.reactors.size() == shard_.index());
  shared_.reactors.push_back(this);
}

ResponseCache::~ResponseCache() = default;

FetchPlan ResponseCache::PlanFor(const http::RequestHead& head, webcache::AnswerRef known) const {
  const auto coded =
      shard_.settings().compression.enabled ? Question::Coded::kByUs : Question::Coded::kByApp;
  FetchPlan plan;
  plan.key = question_.key();
  plan.hash = shared_.store.HashOf(plan.key);
  question_.AppendFetchHead(plan.head, head, coded, known.get());
  plan.asked = question_.asked();
  plan.known = std::move(known);
  plan.strips = question_.strips();
  return plan;
}

std::unique_ptr<Exchange> ResponseCache::Ask(Responder& responder,
                                             std::string_view bytes,
                                             const http::RequestHead& head,
                                             const http::NormalPath& path,
                                             const RouteRules& rules) {
  const auto aside = [&](Cached why, std::string_view detail) {
    shard_.lane().Add(why);
    const bool method = why == Cached::kMethod;
    return shard_.ExchangeFor(responder,
                              bytes,
                              head,
                              rules,
                              http::CacheStatusLine({.forwarded = method ? http::Forwarded::kMethod
                                                                         : http::Forwarded::kBypass,
                                                     .detail = detail}));
  };
  shared_.CatchUp();
  question_.Read(head, path, shard_.OriginOf(responder.peer(), head), *rules.cache);
  const Bypass bypass = question_.bypass();
  if (bypass != Bypass::kNo) {
    return aside(CountOf(bypass), webcache::kBypassNames[static_cast<std::size_t>(bypass)]);
  }
  webcache::AnswerRef kept = shared_.store.Find(question_.key(), head);
  const bool authorized = question_.asked().authorization;
  if (authorized && kept != nullptr && !kept->lifetime().for_authorized) {
    return aside(Cached::kAuthorization, "authorization");
  }
  if (kept == nullptr) return Miss(responder, bytes, head, rules, nullptr);
  const Duration age = kept->AgeAt(shard_.now());
  const http::Use use = http::UseOf(kept->lifetime(), age, question_.asked());
  if (use == http::Use::kAskFirst) return Miss(responder, bytes, head, rules, std::move(kept));
  shard_.lane().Add(use == http::Use::kFresh ? Cached::kHit : Cached::kStale);
  FetchPlan plan;
  if (use == http::Use::kWhileAsked) {
    plan = PlanFor(head, kept);
    plan.flight = shared_.flights.Lead(plan.key.text(), plan.hash);
  }
  const Peer peer = responder.peer();  // the answer ends who owns it
  const std::string id = shard_.RequestIdFor(peer, head);
  Send({responder, bytes, head, id, shard_.now(), rules},
       question_.key(),
       kept,
       {.ttl = SecondsOf(kept->lifetime().fresh - age)});
  // Last: it uses what the head was parsed into.
  if (plan.flight != nullptr) Start(std::move(plan), nullptr, peer, rules);
  return nullptr;
}

// Somebody has to ask the app: this request, or one that does already.
std::unique_ptr<Exchange> ResponseCache::Miss(Responder& responder,
                                              std::string_view bytes,
                                              const http::RequestHead& head,
                                              const RouteRules& rules,
                                              webcache::AnswerRef known) {
  const http::AskedWith& asked = question_.asked();
  if (asked.control.only_if_cached) {
    shard_.lane().Add(Cached::kOnlyIfCached);
    shard_.lane().CountAnswer(504, telemetry::Step::kRoute);
    const std::string id = shard_.RequestIdFor(responder.peer(), head);
    Ended ended{.head = bytes, .id = id, .status = 504, .request_bytes = bytes.size()};
    ended.body_bytes = shard_.Answer(responder,
                                     {.status = 504,
                                      .why = "nothing is kept that this request takes",
                                      .id = id,
                                      .head = bytes,
                                      .rules = &rules});
    ended.sent_bytes = responder.answer_bytes();
    shard_.LogAccess(responder, ended);
    return nullptr;
  }
  const auto pass = [&](Cached why, std::string_view detail) {
    shard_.lane().Add(why);
    return shard_.ExchangeFor(
        responder,
        bytes,
        head,
        rules,
        http::CacheStatusLine(
            {.forwarded = known == nullptr ? http::Forwarded::kMiss : http::Forwarded::kStale,
             .detail = detail}));
  };
  // A HEAD brings nothing that could be kept, and what it asks for costs the app less than a GET.
  if (head.method == http::Method::kHead && known == nullptr) return pass(Cached::kMiss, "head");
  FetchPlan plan = PlanFor(head, known);
  if (shared_.passes.Has(plan.hash, shard_.now())) return pass(Cached::kPass, "not_shared");
  bool waits = false;
  // With Authorization each asks for himself: whether the answer is for all is not known before it is there.
  if (!asked.authorization) {
    auto joined = shared_.flights.Join(plan.key.text(), plan.hash, shard_.index());
    if (joined.role == webcache::Flights::Role::kAlone) return pass(Cached::kMiss, "too_many_wait");
    waits = joined.role == webcache::Flights::Role::kWait;
    plan.flight = std::move(joined.flight);
  }
  if (plan.flight != nullptr && !waits) {
    // Another flight may have landed between the look and this one's beginning.
    const webcache::AnswerRef kept = shared_.store.Find(plan.key, head);
    if (kept != nullptr && kept != known &&
        http::UseOf(kept->lifetime(), kept->AgeAt(shard_.now()), asked) == http::Use::kFresh) {
      Land(plan, webcache::Landed::kAnswer, kept);
      shard_.lane().Add(Cached::kHit);
      const std::string id = shard_.RequestIdFor(responder.peer(), head);
      Send({responder, bytes, head, id, shard_.now(), rules},
           plan.key,
           kept,
           {.ttl = SecondsOf(kept->lifetime().fresh - kept->AgeAt(shard_.now()))});
      return nullptr;
    }
  }
  return std::make_unique<CacheExchange>(
      responder, shard_, bytes, head, rules, std::move(plan), waits);
}

std::uint64_t ResponseCache::HashOfPath(const Responder& responder, const http::RequestHead& head) {
  const http::Origin origin = shard_.OriginOf(responder.peer(), head);
  path_key_.Begin(origin.scheme.empty() ? "http" : origin.scheme,
                  origin.host.empty() ? head.host : origin.host);
  path_key_.AppendTarget(head.path);
  path_key_.EndUrl();
  return shared_.store.HashOf(path_key_);
}

bool ResponseCache::HasOptedIn(const Responder& responder, const http::RequestHead& head) {
  return shared_.opted_in.any() && shared_.opted_in.Has(HashOfPath(responder, head), shard_.now());
}

void ResponseCache::OptIn(const Responder& responder, const http::RequestHead& head) {
  shared_.opted_in.Set(HashOfPath(responder, head), shard_.now());
}

// As the route's, and the cache does what the answers say, nothing more.
const RouteRules& ResponseCache::OptedIn(const RouteRules& rules) {
  std::unique_ptr<RouteRules>& made = opted_in_rules_[&rules];
  if (made == nullptr) {
    made = std::make_unique<RouteRules>(rules);
    made->cache.emplace();
  }
  return *made;
}

void ResponseCache::Invalidate(Responder& responder, const http::RequestHead& head) {
  const http::Origin origin = shard_.OriginOf(responder.peer(), head);
  webcache::Key key;
  key.Begin(origin.scheme.empty() ? "http" : origin.scheme,
            origin.host.empty() ? head.host : origin.host);
  key.AppendTarget(head.path);
  if (head.has_query) key.AppendTarget("?");
  key.AppendTarget(head.query);
  key.EndUrl();
  shared_.Purge([&](webcache::Store& store) { return store.PurgeUrl(key.url()); });
}

std::size_t ResponseCache::Purge(const http::RequestHead& head) {
  return shared_.Purge([&](webcache::Store& store) {
    std::size_t purged = 0;
    bool named = false;
    for (const http::Field& field : head.fields()) {
      const bool tag = EqualsIgnoreCase(field.name, "Purge-Tag");
      if (!tag && !EqualsIgnoreCase(field.name, "Purge-Prefix")) continue;
      named = true;
      purged += tag ? store.PurgeTag(field.value) : store.PurgePrefix(field.value);
    }
    return named ? purged : store.PurgeUrl(head.target);
  });
}

// --- from what is kept

bool ResponseCache::IsCompressible(const webcache::Answer& answer) const {
  const CompressionSettings& settings = shard_.settings().compression;
  return settings.enabled && answer.status() != 206 && answer.transformable() &&
         answer.bytes()->size() >= settings.bytes_min &&
         http::IsCompressible(answer.media_type(), settings.types);
}

// The form that the client wants most; it is made where it is asked for the first time.
const webcache::Form& ResponseCache::FormFor(const http::RequestHead& head,
                                             const webcache::Key& key,
                                             const webcache::Answer& answer,
                                             http::Coding& coding) {
  coding = http::Coding::kIdentity;
  if (head.Has(KnownField::kAcceptEncoding) && IsCompressible(answer)) {
    coding = http::AcceptedCodings(head)
                 .Choose(shard_.settings().compression.codings)
                 .value_or(http::Coding::kIdentity);
  }
  const webcache::Form* form = answer.FormOf(coding);
  if (form == nullptr && answer.IsWorth(coding)) {
    const CompressionSettings& settings = shard_.settings().compression;
    std::string coded = compress::CompressAll(
        coding,
        {.gzip = settings.gzip_level, .brotli = settings.brotli_level, .zstd = settings.zstd_level},
        *answer.bytes());
    shard_.lane().Add(telemetry::Counter::kResponsesCompressed);
    const bool smaller = coded.size() < answer.bytes()->size();
    coded.shrink_to_fit();
    form = answer.AddForm(
        coding, smaller ? std::make_shared<const std::string>(std::move(coded)) : nullptr);
    if (form != nullptr) shared_.store.Recharge(key, answer, *form);
  }
  if (form != nullptr) return *form;
  coding = http::Coding::kIdentity;
  return *answer.FormOf(coding);
}

void ResponseCache::Send(const Asker& asker,
                         const webcache::Key& key,
                         const webcache::AnswerRef& answer,
                         const http::CacheStatus& status) {
  http::Coding coding = http::Coding::kIdentity;
  const webcache::Form& form = FormFor(asker.head, key, *answer, coding);
  const auto piece_of = [&](std::string_view bytes) {
    return Piece{.owner = answer, .bytes = bytes};
  };
  WholeAnswer whole{.head = asker.bytes,
                    .id = asker.id,
                    .status = answer->status(),
                    .reason = answer->reason(),
                    .began = asker.began,
                    .rules = &asker.rules};
  std::string_view whole_fields = form.lines;
  bool all = true;
  PartialAnswer part;
  if (answer->status() == 200 && HasConditions(asker.head)) {
    const http::Validators validators = answer->ValidatorsOf(coding, shard_.WallSeconds());
    switch (http::EvaluatePreconditions(asker.head, validators)) {
      case http::Verdict::kNotModified:
        whole.status = 304;
        whole.reason = {};
        whole_fields = form.unchanged();
        all = false;
        break;
      case http::Verdict::kPreconditionFailed:
        whole.status = 412;
        whole.reason = {};
        whole_fields = form.unchanged();
        all = false;
        break;
      case http::Verdict::kProceed:
        if (!http::RangeApplies(asker.head, validators)) break;
        part = PartialOf(
            asker.head.Value(KnownField::kRange),
            {.fields = form.partial(), .media_type = answer->media_type(), .bytes = *form.bytes},
            piece_of);
        if (part.status == 200) break;
        whole.status = part.status;
        whole.reason = {};
        whole_fields = *part.fields;
        all = false;
        break;
    }
  }
  Body body = std::move(part.body);
  const bool wants_body = asker.head.method != http::Method::kHead;
  if (all && wants_body && http::StatusHasBody(whole.status)) body.Append(piece_of(*form.bytes));
  std::string& fields = shard_.answer_buffer();
  fields.assign(whole_fields);
  if (whole.status == 412 || whole.status == 416) {
    http::AppendField(fields, "Content-Length", std::uint64_t{0});
  }
  http::AppendField(fields,
                    "Age",
                    static_cast<std::uint64_t>(
                        std::max<std::int64_t>(0, SecondsOf(answer->AgeAt(shard_.now())))));
  http::AppendCacheStatusLine(fields, status);
  shard_.AnswerWhole(asker.responder, whole, fields, std::move(body));
}

// --- flights and fetches

bool ResponseCache::Start(FetchPlan plan,
                          CacheExchange* client,
                          const Peer& peer,
                          const RouteRules& rules) {
  fetches_.push_back(
      std::make_unique<CacheFetch>(shard_, *this, std::move(plan), client, peer, rules));
  return fetches_.back()->Begin();
}

void ResponseCache::Land(FetchPlan& plan,
                         webcache::Landed landed,
                         const webcache::AnswerRef& answer) {
  const webcache::FlightRef flight = std::exchange(plan.flight, nullptr);
  if (flight == nullptr) return;
  for (const std::uint32_t number : shared_.flights.Land(*flight, landed, answer)) {
    ResponseCache& cache = *shared_.reactors[number];
    cache.shard_.reactor().Post([&cache, flight] { cache.OnLanded(flight); });
  }
}

void ResponseCache::Wait(const webcache::Flight& flight, CacheExchange& exchange) {
  waiting_[&flight].push_back(&exchange);
}

void ResponseCache::StopWaiting(const webcache::Flight& flight, CacheExchange& exchange) {
  const auto found = waiting_.find(&flight);
  if (found == waiting_.end()) return;
  std::erase(found->second, &exchange);
  if (found->second.empty()) waiting_.erase(found);
}

// One at a time: answering one may end another.
void ResponseCache::OnLanded(const webcache::FlightRef& flight) {
  for (auto found = waiting_.find(flight.get()); found != waiting_.end();
       found = waiting_.find(flight.get())) {
    CacheExchange& exchange = *found->second.back();
    StopWaiting(*flight, exchange);
    exchange.OnLanded(*flight);
  }
}

void ResponseCache::Retire(CacheFetch& fetch) {
  std::erase(go_on_later_, &fetch);
  const auto found = std::find_if(
      fetches_.begin(), fetches_.end(), [&](const auto& one) { return one.get() == &fetch; });
  CHECK(found != fetches_.end());
  retired_.push_back(std::move(*found));
  fetches_.erase(found);
}

void ResponseCache::GoOnLater(CacheFetch& fetch) {
  go_on_later_.push_back(&fetch);
}

bool ResponseCache::GoOn() {
  for (CacheFetch* const fetch : std::exchange(go_on_later_, {}))
    fetch->OnWritable();
  return !go_on_later_.empty();
}

void ResponseCache::BuryDead() {
  retired_.clear();
}

void ResponseCache::ShowBroken() {
  for (std::size_t i = fetches_.size(); i > 0; --i) {
    if (i <= fetches_.size()) fetches_[i - 1]->OnBroken();
  }
}

void ResponseCache::TellFigures() {
  shard_.lane().Set(telemetry::Gauge::kKeptAnswers, shared_.store.answers());
  shard_.lane().Set(telemetry::Gauge::kKeptBytes, shared_.store.bytes());
  const std::uint64_t evictions = shared_.store.evictions();
  shard_.lane().Add(telemetry::Counter::kAnswersEvicted,
                    evictions - shared_.evictions_told.exchange(evictions));
}

}  // namespace onebox::front
