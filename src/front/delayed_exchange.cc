#include "front/delayed_exchange.h"

#include <utility>

#include "front/shard.h"

namespace onebox::front {

DelayedExchange::DelayedExchange(Responder& responder,
                                 Shard& shard,
                                 std::string_view bytes,
                                 const http::RequestHead& head,
                                 const RouteRules& rules,
                                 Time due,
                                 limits::Passage passage)
    : Exchange(responder, shard, bytes, head, rules), due_(due) {
  Hold(std::move(passage));
}

void DelayedExchange::Begin(const http::RequestHead* /*head*/) {
  step_ = Step::kWaiting;
  if (shard_.now() >= due_) return GoOn();
  responder_.ArmTimer();
}

void DelayedExchange::GoOn() {
  step_ = Step::kDone;
  passage_.EndDelay();
  auto next = shard_.RouteAdmitted(responder_, head_bytes_, HeadAgain(), TakePassage());
  if (next == nullptr) return;  // it is answered
  next_ = std::move(next);
  Hold(next_->TakePassage());  // who sends the answer asks us for it
  next_->TakeOver(*this);
  next_->Begin(nullptr);
  responder_.ArmTimer();
}

void DelayedExchange::OnClientGone() {
  if (next_ != nullptr) return next_->OnClientGone();
  if (step_ == Step::kDone) return;
  shard_.lane().Add(telemetry::Counter::kRequestsAbandoned);
  step_ = Step::kDone;
  status_ = 499;  // nginx's word for it, in the log alone
  passage_ = {};
  Record(telemetry::Step::kRoute);
}

Time DelayedExchange::deadline() const {
  if (next_ != nullptr) return next_->deadline();
  return step_ == Step::kWaiting ? due_ : Time::max();
}

void DelayedExchange::OnDeadline(Time now) {
  if (next_ != nullptr) return next_->OnDeadline(now);
  if (step_ == Step::kWaiting) GoOn();
}

void DelayedExchange::OnWritable() {
  if (next_ != nullptr) next_->OnWritable();
}

bool DelayedExchange::TakesTunnelBytes() const {
  return next_ != nullptr && next_->TakesTunnelBytes();
}

void DelayedExchange::OnTunnelBytes(std::string_view bytes) {
  if (next_ != nullptr) next_->OnTunnelBytes(bytes);
}

void DelayedExchange::OnTunnelEnd() {
  if (next_ != nullptr) next_->OnTunnelEnd();
}

void DelayedExchange::OnBroken() {
  if (next_ != nullptr) next_->OnBroken();
}

void DelayedExchange::Leave(int /*status*/) {
  passage_ = {};
}

void DelayedExchange::Describe(Ended& /*ended*/) const {}

}  // namespace onebox::front
