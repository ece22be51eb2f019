#include "channel/front_end.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>

#include <unistd.h>

#include "base/wire.h"
#include "os/socket.h"
#include "os/wait.h"

namespace onebox::channel {
namespace {

Error BrokenWorker(const char* why) {
  return {Blame::kApp, Retry::kIfIdempotent, 0, why};
}

std::string_view BytesOf(const FrameHead& head) {
  return {reinterpret_cast<const char*>(&head), sizeof head};
}

}  // namespace

Result<std::optional<Hello>> FrontEnd::ReceiveHello(const os::Fd& socket) {
  auto message = TRY(os::ReceiveMessage(socket, kMessageBytesMax));
  if (!message) return std::optional<Hello>();
  if (message->bytes.empty()) return BrokenWorker("a worker left before it said who it is");
  auto hello = DecodeHello(message->bytes);
  if (hello.ok()) return std::optional(hello.value());
  // Of another release, perhaps: our version tells it so, and it gives up.
  TRY(os::SendDescriptors(socket, Encode(channel::Welcome{}), {}));
  return std::move(hello).error();
}

Result<std::unique_ptr<FrontEnd>> FrontEnd::Welcome(os::Fd socket, const Hello& hello) {
  if (TRY(os::PeerUser(socket)) != os::OurUser()) {
    return BrokenWorker("another user's process wants to be a worker");
  }
  const std::size_t size = MemoryBytes(hello.slots());
  const os::Fd shared = TRY(os::NewSharedMemory("onebox-channel", size));
  os::Mapping memory = TRY(os::Mapping::Share(shared, size));
  os::Fd front_wakeup = TRY(os::NewWakeup());
  os::Fd worker_wakeup = TRY(os::NewWakeup());
  os::Fd cancel_wakeup = TRY(os::NewWakeup());
  Page& page = *new (memory.data()) Page{};
  page.magic = kMagic;
  page.version = kVersion;
  page.slots = hello.slots();
  const std::array descriptors{
      shared.get(), front_wakeup.get(), worker_wakeup.get(), cancel_wakeup.get()};
  TRY(os::SendDescriptors(socket, Encode(channel::Welcome{.slots = hello.slots()}), descriptors));
  return std::unique_ptr<FrontEnd>(new FrontEnd(std::move(socket),
                                                hello,
                                                std::move(memory),
                                                std::move(front_wakeup),
                                                std::move(worker_wakeup),
                                                std::move(cancel_wakeup)));
}

FrontEnd::FrontEnd(os::Fd socket,
                   const Hello& hello,
                   os::Mapping memory,
                   os::Fd front_wakeup,
                   os::Fd worker_wakeup,
                   os::Fd cancel_wakeup)
    : socket_(std::move(socket)),
      hello_(hello),
      memory_(std::move(memory)),
      front_wakeup_(std::move(front_wakeup)),
      worker_wakeup_(std::move(worker_wakeup)),
      cancel_wakeup_(std::move(cancel_wakeup)),
      page_(PageOf(memory_)),
      requests_(page_.requests, {memory_.data() + RequestsOffset(hello.slots()), kRingBytes}),
      responses_(page_.responses, {memory_.data() + ResponsesOffset(hello.slots()), kRingBytes}),
      uses_(hello.slots()),
      free_slots_(hello.slots()) {}

std::optional<std::uint32_t> FrontEnd::FreeSlot() const {
  const auto found =
      std::find_if(uses_.begin(), uses_.end(), [](const Use& use) { return !use.busy; });
  if (found == uses_.end()) return std::nullopt;
  return static_cast<std::uint32_t>(found - uses_.begin());
}

bool FrontEnd::draining() const {
  return page_.draining.load(std::memory_order_acquire) != 0;
}

Stuck FrontEnd::stuck() const {
  const std::uint32_t said = page_.stuck.load(std::memory_order_acquire);
  if (said == 0) return Stuck::kNo;
  return said == static_cast<std::uint32_t>(Stuck::kProcess) ? Stuck::kProcess : Stuck::kThread;
}

Sent FrontEnd::Send(std::uint32_t slot,
                    std::string_view head,
                    std::string_view body,
                    const os::Fd* file) {
  CHECK(slot < slots() && !uses_[slot].busy);
  CHECK(head.size() <= kRequestHeadBytesMax && body.size() <= kInlineBodyBytesMax);
  const shm::Push room = requests_.Room(sizeof(FrameHead) + head.size() + body.size());
  if (room != shm::Push::kDone) {
    return room == shm::Push::kFull ? Sent::kFull : Sent::kBroken;
  }

  Use& use = uses_[slot];
  const std::uint32_t generation = use.generation + 1;
  if (file != nullptr) {  // before its frame: who reads the frame finds the file waiting
    const int descriptor = file->get();
    const Status sent = os::SendDescriptors(
        socket_, Encode(FileMessage{slot, generation}), std::span(&descriptor, 1));
    if (!sent.ok()) return sent.error().system_error == EAGAIN ? Sent::kFull : Sent::kBroken;
  }
  use = {.generation = generation, .busy = true};
  --free_slots_;
  Slot& shared = SlotOf(memory_, slot);
  shared.acknowledged.store(0, std::memory_order_relaxed);
  shared.word.store(SlotWord(generation, SlotState::kOffered), std::memory_order_release);
  const FrameHead frame{static_cast<std::uint32_t>(FrameKind::kRequest), slot, generation, 0};
  if (requests_.Write(std::array{BytesOf(frame), head, body}) != shm::Push::kDone) {
    return Sent::kBroken;  // there was room: the reader's position has gone backwards
  }
  unflushed_ = true;
  return Sent::kSent;
}

void FrontEnd::Flush() {
  if (!unflushed_) return;
  unflushed_ = false;
  // An exchange on both sides: whoever comes second sees what the first one wrote before.
  if (page_.worker_sleeps.exchange(0, std::memory_order_acq_rel) != 0) os::Wake(worker_wakeup_);
}

bool FrontEnd::Revoke(std::uint32_t slot) {
  CHECK(slot < slots() && uses_[slot].busy);
  const std::uint32_t generation = uses_[slot].generation;
  std::uint64_t expected = SlotWord(generation, SlotState::kOffered);
  if (!SlotOf(memory_, slot)
           .word.compare_exchange_strong(
               expected, SlotWord(generation, SlotState::kFree), std::memory_order_acq_rel)) {
    return false;
  }
  Free(slot);
  return true;
}

bool FrontEnd::Taken(std::uint32_t slot) const {
  CHECK(slot < slots());
  const Use& use = uses_[slot];
  return use.busy && SlotOf(memory_, slot).word.load(std::memory_order_acquire) !=
                         SlotWord(use.generation, SlotState::kOffered);
}

void FrontEnd::Cancel(std::uint32_t slot, CancelReason reason) {
  CHECK(slot < slots());
  if (!uses_[slot].busy) return;
  Slot& shared = SlotOf(memory_, slot);
  shared.cancel_reason.store(static_cast<std::uint32_t>(reason), std::memory_order_relaxed);
  shared.cancelled.store(uses_[slot].generation, std::memory_order_release);
  WakeSender(slot);
  os::Wake(cancel_wakeup_);  // rare: no flag says whether somebody sleeps
}

void FrontEnd::Acknowledge(std::uint32_t slot, std::uint64_t bytes) {
  CHECK(slot < slots());
  Use& use = uses_[slot];
  if (!use.busy) return;  // its end came before its last bytes left
  use.acknowledged += bytes;
  SlotOf(memory_, slot).acknowledged.store(use.acknowledged, std::memory_order_release);
  WakeSender(slot);
}

void FrontEnd::WakeSender(std::uint32_t slot) {
  Slot& shared = SlotOf(memory_, slot);
  WakeSleeper(shared.waits.exchange(Sleeper::kNobody, std::memory_order_acq_rel), shared.changed);
}

void FrontEnd::WakeWriters() {
  WakeSleeper(page_.space_wanted.exchange(Sleeper::kNobody, std::memory_order_acq_rel),
              page_.space);
}

// Whatever else the worker has written there counts as a thread: it costs one system call.
void FrontEnd::WakeSleeper(Sleeper sleeper, std::atomic<std::uint32_t>& word) {
  if (sleeper == Sleeper::kNobody) return;
  if (sleeper == Sleeper::kLoop) return os::Wake(worker_wakeup_);
  word.fetch_add(1, std::memory_order_release);
  os::WakeAll(word);
}

Result<std::optional<ResponseFrame>> FrontEnd::Next() {
  const auto bytes = TRY(responses_.Next());
  if (!bytes) return std::optional<ResponseFrame>();
  frame_held_ = true;
  return std::optional(TRY(Decode(*bytes)));
}

void FrontEnd::Release() {
  if (!frame_held_) return;
  frame_held_ = false;
  responses_.Release();
  // The exact question is asked in PrepareToSleep(); this one only saves the writers time.
  if (page_.space_wanted.load(std::memory_order_relaxed) != Sleeper::kNobody) WakeWriters();
}

bool FrontEnd::PrepareToSleep() {
  page_.front_sleeps.exchange(1, std::memory_order_acq_rel);
  WakeWriters();
  if (responses_.Empty()) return true;
  page_.front_sleeps.store(0, std::memory_order_relaxed);
  return false;
}

Status FrontEnd::ReadMessages() {
  for (;;) {
    auto message = TRY(os::ReceiveMessage(socket_, kMessageBytesMax));
    if (!message) return Done();
    if (message->bytes.empty()) return BrokenWorker("the worker has closed its channel");
    const FileMessage file = TRY(DecodeFileMessage(message->bytes));
    if (message->descriptors.size() != 1 || waiting_.size() >= uses_.size()) {
      return BrokenWorker("the worker sends more files than responses");
    }
    waiting_.Add(file, std::move(message->descriptors.front()));
  }
}

Result<ResponseFrame> FrontEnd::Decode(std::string_view bytes) {
  Reader reader(bytes);
  const auto head = reader.Read<FrameHead>();
  if (!reader.ok() || head.slot >= slots()) {
    return BrokenWorker("the worker answers on a slot that is not there");
  }
  Use& use = uses_[head.slot];
  if (!use.busy || head.generation != use.generation) {
    return BrokenWorker("the worker answers a request that nobody asks any more");
  }
  if (head.end > static_cast<std::uint32_t>(End::kBrokenOff)) {
    return BrokenWorker("the worker ends a response in an unknown way");
  }
  ResponseFrame frame;
  frame.kind = FrameKind{head.kind};
  frame.slot = head.slot;
  frame.end = static_cast<End>(head.end);
  TRY(DecodeContent(reader.rest(), use, frame));
  if (frame.end != End::kNotYet) Free(frame.slot);
  return frame;
}

Status FrontEnd::DecodeContent(std::string_view bytes, Use& use, ResponseFrame& frame) {
  switch (frame.kind) {
    case FrameKind::kHead:
      if (use.head_came) return BrokenWorker("the worker sends a second head");
      use.head_came = true;
      return DecodeHeadFrame(bytes, frame);
    case FrameKind::kEarlyHints:
      if (use.head_came || frame.end != End::kNotYet) break;
      if (bytes.size() > kEarlyHintsBytesMax || ++use.early_hints > kEarlyHintsMax) {
        return BrokenWorker("the worker sends too many early hints");
      }
      head_ = bytes;  // the copy, as of a head
      frame.head = TRY(DecodeResponseHead(head_));
      return Done();
    case FrameKind::kBody:
      if (!use.head_came || bytes.size() > kBodyFrameBytesMax) break;
      frame.body = bytes;
      return Done();
    case FrameKind::kFile:
      if (!use.head_came) break;
      return DecodeFileFrame(bytes, frame);
    case FrameKind::kEnd:
      if (frame.end == End::kNotYet || !bytes.empty()) break;
      if (frame.end == End::kComplete && !use.head_came) break;
      return Done();
    case FrameKind::kRequest:
      break;
  }
  return BrokenWorker("the worker sends a frame that has no place there");
}

Status FrontEnd::DecodeHeadFrame(std::string_view bytes, ResponseFrame& frame) {
  Reader reader(bytes);
  const auto size = reader.Read<HeadSize>();
  if (size > kResponseHeadBytesMax) return BrokenWorker("the worker sends too large a head");
  head_ = reader.ReadBytes(size);  // the copy: what is decoded from it cannot change any more
  frame.body = reader.rest();
  if (!reader.ok() || frame.body.size() > kBodyFrameBytesMax) {
    return BrokenWorker("the worker sends a head of another size than it says");
  }
  frame.head = TRY(DecodeResponseHead(head_));
  return Done();
}

Status FrontEnd::DecodeFileFrame(std::string_view bytes, ResponseFrame& frame) {
  Reader reader(bytes);
  const auto range = reader.Read<FileRange>();
  if (!reader.ok() || !reader.rest().empty()) {
    return BrokenWorker("the worker sends a file's range of a wrong size");
  }
  if (range.offset > kFileBytesMax || range.length > kFileBytesMax) {
    return BrokenWorker("the worker sends a range that no file has");
  }
  frame.offset = range.offset;
  frame.length = range.length;
  frame.file = TRY(TakeFile({frame.slot, uses_[frame.slot].generation}));
  return Done();
}

// Its message was sent before its frame, so it is here, or waits on the socket.
Result<os::Fd> FrontEnd::TakeFile(const FileMessage& wanted) {
  if (auto file = waiting_.Take(wanted)) return *std::move(file);
  // The worker may have died since: the file that it sent before is not lost by that, and who
  // watches the socket hears of the death by itself.
  [[maybe_unused]] const Status read = ReadMessages();
  if (auto file = waiting_.Take(wanted)) return *std::move(file);
  return BrokenWorker("the worker names a file that it has not sent");
}

void FrontEnd::Free(std::uint32_t slot) {
  uses_[slot].busy = false;
  ++free_slots_;
  waiting_.Forget(slot);
}

}  // namespace onebox::channel
