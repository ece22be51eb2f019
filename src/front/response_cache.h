#pragma once
// The kept answers as one reactor sees them: it answers from them, or says who asks the app.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "front/peer.h"
#include "front/settings.h"
#include "front/shared_responses.h"
#include "http/cache_status.h"
#include "http/coding.h"
#include "http/path.h"
#include "http/request_head.h"
#include "http/reuse.h"
#include "webcache/answer.h"
#include "webcache/flights.h"
#include "webcache/key.h"
#include "webcache/question.h"

namespace onebox::front {

class CacheExchange;
class CacheFetch;
class Exchange;
class Responder;
class Shard;

// One request to the app whose answer may be kept.
struct FetchPlan {
  webcache::Key key;
  std::uint64_t hash = 0;  // of it
  std::string head;        // that the app is asked with
  http::AskedWith asked;
  webcache::AnswerRef known;   // null, or what it may turn out to be still
  webcache::FlightRef flight;  // null: nobody waits for it
  bool strips = false;         // something of the client's request is not in the head
};

class ResponseCache {
 public:
  ResponseCache(Shard& shard, SharedResponses& shared);
  ~ResponseCache();
  ResponseCache(const ResponseCache&) = delete;
  ResponseCache& operator=(const ResponseCache&) = delete;

  // Answers it, or gives back the exchange that will: never both, never neither. The route has rules for
  // the cache.
  std::unique_ptr<Exchange> Ask(Responder& responder,
                                std::string_view bytes,
                                const http::RequestHead& head,
                                const http::NormalPath& path,
                                const RouteRules& rules);

  // Whether Ask() is to be asked though the route has no rules for the cache: the app has said so before
  // (python/onebox/responses.py). Then the rules are those of OptedIn().
  bool HasOptedIn(const Responder& responder, const http::RequestHead& head);
  const RouteRules& OptedIn(const RouteRules& rules);
  // An answer that says so has come.
  void OptIn(const Responder& responder, const http::RequestHead& head);

  // RFC 9111 4.4: what is kept of this URL does not hold any more.
  void Invalidate(Responder& responder, const http::RequestHead& head);

  // What the request names: Purge-Tag and Purge-Prefix, any number of them, else its target. How many
  // answers went. Holds for all reactors when it returns.
  std::size_t Purge(const http::RequestHead& head);

  // --- for exchanges and fetches
  struct Asker {
    Responder& responder;
    std::string_view bytes;  // the head, as it was read
    const http::RequestHead& head;
    std::string_view id;
    Time began;
    const RouteRules& rules;
  };
  void Send(const Asker& asker,
            const webcache::Key& key,
            const webcache::AnswerRef& answer,
            const http::CacheStatus& status);
  // False where it could not begin: the client is to be answered as if there were no cache.
  bool Start(FetchPlan plan, CacheExchange* client, const Peer& peer, const RouteRules& rules);
  void Land(FetchPlan& plan, webcache::Landed landed, const webcache::AnswerRef& answer);
  void Wait(const webcache::Flight& flight, CacheExchange& exchange);
  void StopWaiting(const webcache::Flight& flight, CacheExchange& exchange);
  void Retire(CacheFetch& fetch);
  void GoOnLater(CacheFetch& fetch);
  SharedResponses& shared() { return shared_; }

  // --- for the shard
  bool GoOn();  // at the end of a turn; whether there is more to do at once
  void BuryDead();
  void ShowBroken();
  void TellFigures();  // of what all reactors keep, for the metrics

 private:
  void OnLanded(const webcache::FlightRef& flight);
  std::unique_ptr<Exchange> Miss(Responder& responder,
                                 std::string_view bytes,
                                 const http::RequestHead& head,
                                 const RouteRules& rules,
                                 webcache::AnswerRef known);
  std::uint64_t HashOfPath(const Responder& responder, const http::RequestHead& head);
  FetchPlan PlanFor(const http::RequestHead& head, webcache::AnswerRef known) const;
  const webcache::Form& FormFor(const http::RequestHead& head,
                                const webcache::Key& key,
                                const webcache::Answer& answer,
                                http::Coding& coding);
  bool IsCompressible(const webcache::Answer& answer) const;

  Shard& shard_;
  SharedResponses& shared_;
  webcache::Question question_;
  webcache::Key path_key_;
  std::unordered_map<const RouteRules*, std::unique_ptr<RouteRules>> opted_in_rules_;
  std::vector<std::unique_ptr<CacheFetch>> fetches_;
  std::vector<std::unique_ptr<CacheFetch>> retired_;
  std::vector<CacheFetch*> go_on_later_;
  std::unordered_map<const webcache::Flight*, std::vector<CacheExchange*>> waiting_;
};

}  // namespace onebox::front
