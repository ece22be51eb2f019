#pragma once
// A request to the app on behalf of the cache: it records the answer, and may hand it on while it comes.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "event/reactor.h"
#include "front/budget.h"
#include "front/responder.h"
#include "front/response_cache.h"
#include "http/reuse.h"

namespace onebox::front {

class Exchange;

// asking -> collecting (nobody sees it before it is whole), copying (the client sees it as it comes) or
// forwarding (it is not kept) -> done. The cache owns it; it outlives a client that leaves, since others may wait
// and the answer is of use anyway.
class CacheFetch final : public Responder, public event::Timer {
 public:
  // `client`: who leads; null: nobody, it renews what is kept. `peer`: whose address the app sees.
  CacheFetch(Shard& shard,
             ResponseCache& cache,
             FetchPlan plan,
             CacheExchange* client,
             const Peer& peer,
             const RouteRules& rules);
  ~CacheFetch() override;

  // False where its head is none; it is to be retired then.
  bool Begin();
  // The client has left.
  void DropClient();
  void OnWritable();  // the client took bytes, or it is its turn again
  void OnBroken();

  // --- for the exchange that asks the app
  const Peer& peer() const override { return peer_; }
  Protocol protocol() const override { return Protocol::kHttp11; }
  bool answers_head() const override { return false; }
  std::uint32_t requests() const override { return 1; }
  // What is kept is for others too: the app is not told of one client's certificate.
  const tls::Session* tls() const override { return nullptr; }
  void SendInterim(int status, std::string_view fields) override;
  void SendHead(const AnswerHead& head, std::string_view body, Last last) override;
  void Send(std::string_view body, Last last) override;
  std::uint64_t SendPieces(const AnswerHead& head, Body body) override;
  void SendFile(os::Fd file, std::uint64_t offset, std::uint64_t size) override;
  void Finish() override;
  void Abort() override;
  void Refuse(http::RefusalKind kind, telemetry::Step step, std::string_view head) override;
  bool gone() const override { return step_ == Step::kDone; }
  std::uint64_t pending() const override;
  std::uint64_t answer_bytes() const override { return bytes_; }
  void RecordWhenSent(AnswerRecord record) override;
  void ArmTimer() override;
  void GoOnLater() override;
  bool records() const override { return true; }
  void TakeEnded(const Ended& ended) override;

 private:
  enum class Step : std::uint8_t { kAsking, kCollecting, kCopying, kForwarding, kDone };

  void OnTimer() override;
  void Renew(const AnswerHead& head);
  void StandIn(int status);
  void Begin(const AnswerHead& head,
             const http::ReuseFields& fields,
             const http::Lifetime& lifetime);
  void GiveUp(http::NotStored reason, const AnswerHead& head, std::string_view body, Last last);
  void Surrender(http::NotStored reason);
  bool Store(webcache::Recorded recorded, webcache::AnswerRef& answer);
  void Complete();
  void Land(webcache::Landed landed, const webcache::AnswerRef& answer);
  void End();
  void Count(http::NotStored reason);
  http::Forwarded forwarded() const;

  Shard& shard_;
  ResponseCache& cache_;
  FetchPlan plan_;
  CacheExchange* client_;
  const Peer peer_;
  const RouteRules& rules_;
  const Time began_;
  std::unique_ptr<Exchange> exchange_;
  BudgetShare share_;
  webcache::Recorded recorded_;
  std::string body_;
  std::string fields_;          // of the answer, for the client
  std::uint64_t bytes_ = 0;     // of the body, so far
  const std::uint64_t purges_;  // before it began
  Step step_ = Step::kAsking;
};

}  // namespace onebox::front
