#pragma once
// One request whose answer is kept, or may come to be: it waits for a fetch, its own or another's, or
// asks the app as if there were no cache.

#include <memory>
#include <string_view>

#include "front/exchange.h"
#include "front/response_cache.h"

namespace onebox::front {

class CacheFetch;

// leading, waiting or passing. Who waits is told when the flight has landed; who passes has an exchange of
// its own behind it, which says all that is to be said.
class CacheExchange final : public Exchange {
 public:
  // `waits`: for plan.flight, which another leads.
  CacheExchange(Responder& responder,
                Shard& shard,
                std::string_view bytes,
                const http::RequestHead& head,
                const RouteRules& rules,
                FetchPlan plan,
                bool waits);
  ~CacheExchange() override;

  void Begin(const http::RequestHead* head) override;
  void OnClientGone() override;
  Time deadline() const override;
  void OnDeadline(Time now) override;
  void OnWritable() override;
  void OnBroken() override;

  // --- from the cache: what the flight brought
  void OnLanded(const webcache::Flight& flight);

  // --- from the fetch that it leads; each of the last four is its end
  void LeadBy(CacheFetch& fetch) { fetch_ = &fetch; }
  Responder& responder() { return responder_; }
  void Forward(const AnswerHead& head, std::string_view body, Last last);
  void ForwardBody(std::string_view body, Last last);
  void ForwardFile(os::Fd file, std::uint64_t offset, std::uint64_t size);
  void ForwardEnd();
  void ForwardAbort();
  void Answer(const webcache::AnswerRef& answer, const http::CacheStatus& status);
  // At the end of this turn. `detail` lives as long as the program.
  void Pass(std::string_view detail);
  void TakeTimes(const Ended& ended);
  void TakeId(std::string_view id) { id_ = id; }
  void FailOn(std::string_view why);

 private:
  void Leave(int status) override;
  void Describe(Ended& ended) const override;
  void StopWaiting();
  void BeginToPass();

  FetchPlan plan_;
  CacheFetch* fetch_ = nullptr;       // that it leads
  std::unique_ptr<Exchange> passed_;  // that answers in its place
  std::string_view pass_for_;         // why it is about to pass; empty: it is not
  Time wait_until_ = Time::max();
  Duration queue_wait_{-1};
  Duration run_{-1};
  std::int32_t worker_pid_ = 0;
  const bool leads_;
  bool waits_;
};

}  // namespace onebox::front
