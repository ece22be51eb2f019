#pragma once
// WorkerEnd: the worker's end of the channel to one reactor of the front.

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "channel/layout.h"
#include "channel/message.h"
#include "channel/request.h"
#include "channel/response.h"
#include "channel/waiting_files.h"
#include "os/fd.h"
#include "os/mapping.h"
#include "os/socket.h"
#include "shm/ring.h"

namespace onebox::channel {

// What became of a frame.
enum class Delivery : unsigned char {
  kSent,
  kFull,       // not with IfFull::kWait: the front must read, or acknowledge, first
  kCancelled,  // nobody waits for the response: only its end is still to be sent
  kLost,       // the front is gone, or the channel is broken; nothing more can be sent
};

enum class IfFull : unsigned char {
  kReturn,
  kWait,
  kWake,  // return; and wakeup() is written when trying again may help
};

// One request that a thread has taken, and how far its response is.
struct Ticket {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::uint64_t sent = 0;  // bytes of body that the front must acknowledge
};

// Lives until the last ticket of it has ended, also when the front is gone.
class WorkerEnd final {
 public:
  struct Taken {
    Ticket ticket;
    std::unique_ptr<std::string> bytes;  // what `request` points into
    Request request;
    os::Fd file;  // the body, with BodyPlace::kFile
  };

  // Connects and says who we are; the answer comes on the socket.
  static Result<os::Fd> Greet(const os::SocketAddress& front, const Hello& hello);
  // Of a greeted socket: nothing while the front has not answered.
  static Result<std::unique_ptr<WorkerEnd>> ReceiveWelcome(os::Fd& socket, const Hello& hello);

  WorkerEnd(const WorkerEnd&) = delete;
  WorkerEnd& operator=(const WorkerEnd&) = delete;

  // Both to be watched for reading, edge-triggered.
  const os::Fd& socket() const { return socket_; }
  const os::Fd& wakeup() const { return worker_wakeup_; }
  // Likewise, by whoever wants to hear that a request was cancelled; any number of threads may.
  const os::Fd& cancel_wakeup() const { return cancel_wakeup_; }

  // One thread at a time may be in one of these three.
  //
  // The next request that is still wanted; nothing where none waits. An Error: give the end up.
  Result<std::optional<Taken>> Take();
  // Call before waiting; false: do not wait, call Take().
  bool PrepareToSleep();
  // Receives what waits on the socket; an Error where the front has closed it.
  Status ReadMessages();

  // From any thread, each of the following.
  //
  // The front is gone: threads that wait for it return, and nothing more is sent.
  void Lose();
  // Asks the front to send no more.
  void Drain();
  // Says that this worker is to be replaced.
  void ReportStuck(Stuck how);
  bool Cancelled(const Ticket& ticket) const;
  // Whether its next body would be kFull, whatever the ring has room for.
  bool HeldBack(const Ticket& ticket) const;
  // REQUIRES: it is cancelled.
  CancelReason ReasonOf(const Ticket& ticket) const;

  // `head`: of EncodeResponseHead(), up to kEarlyHintsBytesMax; before the head, kEarlyHintsMax times at most.
  Delivery SendEarlyHints(const Ticket& ticket, std::string_view head, IfFull if_full);
  // `head`: of EncodeResponseHead(), up to kResponseHeadBytesMax. Takes from `body` what went along;
  // where nothing is left of it, `end` went along too, else SendBody() is to follow.
  Delivery SendHead(Ticket& ticket,
                    std::string_view head,
                    std::string_view& body,
                    End end,
                    IfFull if_full);
  // Takes from `body` what was sent; with kSent that is all of it, and `end`. Nothing to send: kSent.
  Delivery SendBody(Ticket& ticket, std::string_view& body, End end, IfFull if_full);
  // Once a response. `file` is borrowed for the call.
  Delivery SendFile(Ticket& ticket,
                    const os::Fd& file,
                    const FileRange& range,
                    End end,
                    IfFull if_full);
  // Also where the response is cancelled: the slot is not free before.
  Delivery SendEnd(Ticket& ticket, End end, IfFull if_full);

 private:
  WorkerEnd(os::Fd socket,
            std::uint32_t slots,
            os::Mapping memory,
            os::Fd front_wakeup,
            os::Fd worker_wakeup,
            os::Fd cancel_wakeup);

  Result<std::optional<Taken>> TakeFrame(std::string_view bytes);
  std::optional<os::Fd> TakeFile(const FileMessage& wanted);
  // Writes `parts` behind their FrameHead.
  Delivery Push(const Ticket& ticket,
                FrameKind kind,
                End end,
                std::string_view first,
                std::string_view second,
                IfFull if_full);
  Delivery WaitUntilAcknowledged(const Ticket& ticket, IfFull if_full);
  bool HasRoom(std::size_t frame_bytes);
  bool AheadEnough(const Ticket& ticket) const;
  void WakeFront();
  bool LostNow();  // asks the socket too

  os::Fd socket_;
  std::uint32_t slots_;
  os::Mapping memory_;
  os::Fd front_wakeup_;
  os::Fd worker_wakeup_;
  os::Fd cancel_wakeup_;
  Page& page_;
  shm::RingReader requests_;
  WaitingFiles waiting_;
  std::atomic<bool> lost_ = false;

  std::mutex mutex_;
  shm::RingWriter responses_;  // under mutex_
};

}  // namespace onebox::channel
