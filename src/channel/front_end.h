#pragma once
// FrontEnd: the front's end of the channel to one worker.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "channel/layout.h"
#include "channel/message.h"
#include "channel/response.h"
#include "channel/waiting_files.h"
#include "os/fd.h"
#include "os/mapping.h"
#include "shm/ring.h"

namespace onebox::channel {

enum class Sent : unsigned char {
  kSent,
  kFull,    // try again after the next frame from this worker; nothing was changed
  kBroken,  // the worker is gone
};

// One reactor's channel to one worker process. Belongs to the reactor's thread. A worker may write
// anything into the shared memory: every call checks what it reads, and an Error (or kBroken) means
// that this worker is to be given up, and nothing else.
//
// A slot is: free -> offered (Send) -> taken (by the worker) -> free (Next gave its end);
// or offered -> free (Revoke). A cancelled slot stays taken until its end comes.
class FrontEnd final {
 public:
  // Of an accepted socket whose peer has not spoken: nothing while the message has not come.
  static Result<std::optional<Hello>> ReceiveHello(const os::Fd& socket);

  // Checks that the peer runs as our user, makes the memory and sends it. Its slots are as many as the
  // greeting says.
  static Result<std::unique_ptr<FrontEnd>> Welcome(os::Fd socket, const Hello& hello);

  FrontEnd(const FrontEnd&) = delete;
  FrontEnd& operator=(const FrontEnd&) = delete;

  // To be watched for reading, both edge-triggered. When socket() is ready: ReadMessages(); when
  // wakeup() is ready: Next() until it has nothing (nobody reads the wakeup itself).
  int socket() const { return socket_.get(); }
  int wakeup() const { return front_wakeup_.get(); }

  std::uint32_t worker_number() const { return hello_.number; }
  const Hello& hello() const { return hello_; }
  std::int32_t pid() const { return hello_.pid; }
  std::uint32_t threads() const { return hello_.threads; }
  std::uint32_t slots() const { return hello_.slots(); }
  std::uint32_t free_slots() const { return free_slots_; }
  std::optional<std::uint32_t> FreeSlot() const;  // the lowest
  bool draining() const;                          // the worker asks for no more requests
  Stuck stuck() const;                            // what it says of itself, and no more than that

  // Offers a request on a free slot. `head`: of EncodeRequest(), up to kRequestHeadBytesMax.
  // `body`: inline, up to kInlineBodyBytesMax; or `file`, sent from its beginning, borrowed for the
  // call. The worker is not woken before Flush().
  Sent Send(std::uint32_t slot, std::string_view head, std::string_view body, const os::Fd* file);

  // Wakes the worker if it sleeps and something was sent since; once a turn.
  void Flush();

  // Takes an offered request back: true and the slot is free; false where a thread has begun it.
  bool Revoke(std::uint32_t slot);
  // Whether a thread of the worker has begun it.
  bool Taken(std::uint32_t slot) const;
  // Whether the worker has read all that was sent to it, taken back or not.
  bool AllRead() const { return requests_.AllRead(); }
  // Nobody wants the response any more: the worker is told. Frames still come, up to the end.
  void Cancel(std::uint32_t slot, CancelReason reason);
  // `bytes` more of the response (body and file bytes) have left the front: the worker may go on.
  void Acknowledge(std::uint32_t slot, std::uint64_t bytes);

  // The next frame; nothing where none waits. Head and fields are views of our own copy, `body` of
  // shared memory (its bytes may change: copy them, or send them); all until Release() or the next
  // Next(). The frame with the end frees its slot. Frames may still be read when the worker has
  // died: it may have ended responses before.
  Result<std::optional<ResponseFrame>> Next();
  // The frame's bytes may be overwritten from now on.
  void Release();

  // Call before waiting: true: nothing waits, and the worker will write wakeup(); false: do not
  // wait, call Next().
  bool PrepareToSleep();

  // Receives what waits on the socket; an Error where the worker has closed it: it is gone.
  Status ReadMessages();

 private:
  struct Use {  // our truth about a slot; the page holds the worker's copy
    std::uint32_t generation = 0;
    bool busy = false;
    bool head_came = false;
    std::uint32_t early_hints = 0;  // that came
    std::uint64_t acknowledged = 0;
  };

  FrontEnd(os::Fd socket,
           const Hello& hello,
           os::Mapping memory,
           os::Fd front_wakeup,
           os::Fd worker_wakeup,
           os::Fd cancel_wakeup);

  Result<ResponseFrame> Decode(std::string_view bytes);
  Status DecodeContent(std::string_view bytes, Use& use, ResponseFrame& frame);
  Status DecodeHeadFrame(std::string_view bytes, ResponseFrame& frame);
  Status DecodeFileFrame(std::string_view bytes, ResponseFrame& frame);
  Result<os::Fd> TakeFile(const FileMessage& wanted);
  void Free(std::uint32_t slot);
  void WakeSender(std::uint32_t slot);
  void WakeSleeper(Sleeper sleeper, std::atomic<std::uint32_t>& word);
  void WakeWriters();

  os::Fd socket_;
  Hello hello_;
  os::Mapping memory_;
  os::Fd front_wakeup_;
  os::Fd worker_wakeup_;
  os::Fd cancel_wakeup_;
  Page& page_;
  shm::RingWriter requests_;
  shm::RingReader responses_;
  std::vector<Use> uses_;
  WaitingFiles waiting_;
  std::uint32_t free_slots_;
  std::string head_;  // our copy of the head that Next() gave last
  bool unflushed_ = false;
  bool frame_held_ = false;
};

}  // namespace onebox::channel
