#pragma once
// One reactor's use of one app worker: which exchange is on which slot.

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "channel/front_end.h"
#include "event/reactor.h"
#include "front/dispatch.h"

namespace onebox::front {

class Shard;
class AppExchange;

// joined -> (suspended <->) -> gone. The Shard owns it and outlives it; streams leave before it goes.
class AppChannel {
 public:
  // `dispatch`: of the app that the worker runs.
  AppChannel(Shard& shard, Dispatch& dispatch, std::unique_ptr<channel::FrontEnd> end);
  ~AppChannel();

  Status Watch();

  const Dispatch::Worker& worker() const { return worker_; }

  // The exchange has a place at this worker. Where the ring is full it waits for the next frame.
  void Send(AppExchange& exchange);
  // The exchange no longer wants an answer. An offered request is taken back.
  void Abandon(const AppExchange& exchange, channel::CancelReason reason);
  void Acknowledge(std::uint32_t slot, std::uint64_t bytes);

  // Once a turn: what the worker has sent.
  void Read();
  // The last of a turn: wakes the worker if it has to be. Whether more waits to be read.
  bool Settle();
  // Once a second: takes back what the worker does not take, and reports one that does not speak for
  // itself.
  void Check(Time now);

 private:
  static constexpr std::uint32_t kBlocked =
      UINT32_MAX;  // a slot number: waits for room in the ring

  struct Slot {
    AppExchange* exchange = nullptr;
    Place place;             // taken until the slot is free
    Time since;              // offered, or abandoned
    bool abandoned = false;  // taken, and nobody waits for it
  };
  class Socket final : public event::Watcher {
   public:
    explicit Socket(AppChannel& channel) : channel_(channel) {}
    void OnReady(std::uint32_t events) override;

   private:
    AppChannel& channel_;
  };
  class Wakeup final : public event::Watcher {
   public:
    explicit Wakeup(AppChannel& channel) : channel_(channel) {}
    void OnReady(std::uint32_t events) override;

   private:
    AppChannel& channel_;
  };

  // An exchange that this worker will not run, or has not run to its end.
  struct Orphan {
    AppExchange* exchange;
    bool begun;
  };

  void CheckAhead();
  static void Return(std::vector<Orphan> orphans);
  void ReadFrames();
  void Deliver(channel::ResponseFrame frame);
  bool Offer(AppExchange& exchange);
  void SendBlocked();
  void Suspend(Time now);
  void Resume();
  bool Stuck(Time now);
  void HearStuck();
  void TakeBackAll();
  void Die(std::string_view why);

  Shard& shard_;
  Dispatch& dispatch_;
  std::unique_ptr<channel::FrontEnd> end_;
  Dispatch::Worker worker_;
  Socket socket_{*this};
  Wakeup wakeup_{*this};
  event::CallTimer<&AppChannel::CheckAhead> ahead_check_{*this};
  std::vector<Slot> slots_;
  std::vector<AppExchange*> blocked_;
  Time suspended_since_;
  std::int32_t for_nobody_ = 0;  // what Dispatch was told
  bool watched_ = false;
  bool suspended_ = false;
  bool reported_ = false;
  channel::Stuck heard_ = channel::Stuck::kNo;  // what it said of itself
  bool retired_ = false;
  bool dead_ = false;
};

}  // namespace onebox::front
