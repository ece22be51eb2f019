#pragma once
// One request to the app and its answer: wait, run, write.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "channel/layout.h"
#include "channel/response.h"
#include "front/answer_writer.h"
#include "front/dispatch.h"
#include "front/exchange.h"
#include "front/protected_file.h"
#include "os/fd.h"

namespace onebox::front {

class AppChannel;

class AppExchange final : public Exchange, public Ticket {
 public:
  AppExchange(Responder& responder,
              Shard& shard,
              std::string_view bytes,
              const http::RequestHead& head,
              const RouteRules& rules);
  ~AppExchange() override;

  void Begin(const http::RequestHead* head) override;
  void OnClientGone() override;
  Time deadline() const override;
  void OnDeadline(Time now) override;
  void OnBroken() override;
  void OnWritable() override;

  void OnGrant(Place place);
  const std::string& encoded() const { return encoded_; }
  // Whether a client that leaves ends the request where it runs.
  bool cancel_disconnected() const { return rules_.cancel_disconnected; }

  // From the AppChannel; views are valid during the call.
  void OnEarlyHints(const channel::ResponseHead& head);
  void OnHead(const channel::ResponseHead& head, std::string_view body, channel::End end);
  void OnBody(std::string_view bytes, channel::End end);
  void OnFile(os::Fd file, std::uint64_t offset, std::uint64_t size, channel::End end);
  void OnEnd(channel::End end);
  // The channel has let go of it. kNotTaken: no thread has begun it.
  enum class Lost : std::uint8_t { kNotTaken, kWorkerDied };
  void OnLost(Lost lost);

 private:
  friend class AppChannel;  // knows where it is

  void Leave(int status) override;
  void Describe(Ended& ended) const override;

  void Encode(const http::RequestHead& head);
  void Enter(Dispatch::Position position);
  void FailBroken();
  void RefuseToWait(Dispatch::Entered refused);
  void LeaveApp(channel::CancelReason reason);
  bool TakeFileField(const channel::ResponseHead& head, channel::End end);
  void RefuseFile(const channel::Field& field);
  void SendProtected();
  void SendFileParts();
  bool FileIsLast();
  void GoOn(channel::End end);
  void Acknowledge();

  std::string encoded_;  // channel::EncodeRequest()
  AnswerWriter writer_;

  AppChannel* channel_ = nullptr;  // while it is on one
  Place place_;                    // the last that it was given
  std::uint32_t slot_ = 0;

  Time entered_;                 // the queue, the last time
  Time started_;                 // handed to a worker
  Time deadline_ = Time::max();  // of the app, from the moment when the request is whole
  std::uint64_t unacknowledged_ = 0;
  channel::End file_end_ = channel::End::kNotYet;  // what follows the file
  // The file that goes in the answer's place when the app has ended, and what the app said of it.
  struct Instead {
    StaticAnswer answer;
    std::string fields;
  };
  std::unique_ptr<Instead> instead_;
  std::int32_t worker_pid_ = 0;
  std::uint8_t workers_lost_ = 0;  // that died with it
  const bool has_framing_;         // the request says how long its body is
  const std::uint8_t minor_version_;
  bool trusted_ = false;
};

}  // namespace onebox::front
