#include "channel/worker_end.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/wire.h"
#include "os/wait.h"

namespace onebox::channel {
namespace {

// A thread that waits for the front asks this often whether it still lives: where every thread is
// busy, nobody watches the socket.
constexpr Duration kLifeCheck = std::chrono::milliseconds(250);

Sleeper SleeperOf(IfFull if_full) {
  return if_full == IfFull::kWake ? Sleeper::kLoop : Sleeper::kThread;
}

Error BrokenFront(const char* why) {
  return {Blame::kSystem, Retry::kYes, 0, why};
}

}  // namespace

Result<os::Fd> WorkerEnd::Greet(const os::SocketAddress& front, const Hello& hello) {
  os::Fd socket = TRY(os::Connect(front, SOCK_SEQPACKET));
  os::SetNonBlocking(socket);
  TRY(os::SendDescriptors(socket, Encode(hello), {}));
  return socket;
}

Result<std::unique_ptr<WorkerEnd>> WorkerEnd::ReceiveWelcome(os::Fd& socket, const Hello& hello) {
  auto message = TRY(os::ReceiveMessage(socket, kMessageBytesMax));
  if (!message) return std::unique_ptr<WorkerEnd>();
  if (message->bytes.empty()) return BrokenFront("the front has not accepted this worker");
  const Welcome welcome = TRY(DecodeWelcome(message->bytes));
  if (message->descriptors.size() != 4 || welcome.slots != hello.slots()) {
    return BrokenFront("the front's greeting is not complete");
  }
  os::Mapping memory = TRY(os::Mapping::Share(message->descriptors[0], MemoryBytes(welcome.slots)));
  const Page& page = PageOf(memory);
  if (page.magic != kMagic || page.version != kVersion || page.slots != welcome.slots) {
    return BrokenFront("the front's shared memory is not a channel");
  }
  return std::unique_ptr<WorkerEnd>(new WorkerEnd(std::move(socket),
                                                  welcome.slots,
                                                  std::move(memory),
                                                  std::move(message->descriptors[1]),
                                                  std::move(message->descriptors[2]),
                                                  std::move(message->descriptors[3])));
}

WorkerEnd::WorkerEnd(os::Fd socket,
                     std::uint32_t slots,
                     os::Mapping memory,
                     os::Fd front_wakeup,
                     os::Fd worker_wakeup,
                     os::Fd cancel_wakeup)
    : socket_(std::move(socket)),
      slots_(slots),
      memory_(std::move(memory)),
      front_wakeup_(std::move(front_wakeup)),
      worker_wakeup_(std::move(worker_wakeup)),
      cancel_wakeup_(std::move(cancel_wakeup)),
      page_(PageOf(memory_)),
      requests_(page_.requests, {memory_.data() + RequestsOffset(slots), kRingBytes}),
      responses_(page_.responses, {memory_.data() + ResponsesOffset(slots), kRingBytes}) {}

Result<std::optional<WorkerEnd::Taken>> WorkerEnd::Take() {
  for (;;) {
    const auto bytes = TRY(requests_.Next());
    if (!bytes) return std::optional<Taken>();
    auto taken = TRY(TakeFrame(*bytes));
    requests_.Release();
    if (taken) return taken;
  }
}

// Nothing where the front has revoked the request.
Result<std::optional<WorkerEnd::Taken>> WorkerEnd::TakeFrame(std::string_view bytes) {
  Reader reader(bytes);
  const auto head = reader.Read<FrameHead>();
  if (!reader.ok() || head.slot >= slots_ ||
      head.kind != static_cast<std::uint32_t>(FrameKind::kRequest)) {
    return BrokenFront("the front sends a frame that is not a request");
  }
  Taken taken;
  taken.ticket = {head.slot, head.generation};
  taken.bytes = std::make_unique<std::string>(reader.rest());
  taken.request = TRY(DecodeRequest(*taken.bytes));
  if (taken.request.body_place == BodyPlace::kFile) {
    auto file = TakeFile({head.slot, head.generation});
    if (!file) return BrokenFront("the front names a file that it has not sent");
    taken.file = std::move(*file);
  }
  std::uint64_t offered = SlotWord(head.generation, SlotState::kOffered);
  if (!SlotOf(memory_, head.slot)
           .word.compare_exchange_strong(
               offered, SlotWord(head.generation, SlotState::kTaken), std::memory_order_acq_rel)) {
    return std::optional<Taken>();
  }
  return std::optional(std::move(taken));
}

bool WorkerEnd::PrepareToSleep() {
  page_.worker_sleeps.exchange(1, std::memory_order_acq_rel);
  if (requests_.Empty()) return true;
  page_.worker_sleeps.store(0, std::memory_order_relaxed);
  return false;
}

Status WorkerEnd::ReadMessages() {
  for (;;) {
    auto message = TRY(os::ReceiveMessage(socket_, kMessageBytesMax));
    if (!message) return Done();
    if (message->bytes.empty()) return BrokenFront("the front has closed the channel");
    const FileMessage file = TRY(DecodeFileMessage(message->bytes));
    if (message->descriptors.size() != 1) return BrokenFront("the front sends no file");
    waiting_.Add(file, std::move(message->descriptors.front()));
  }
}

std::optional<os::Fd> WorkerEnd::TakeFile(const FileMessage& wanted) {
  if (auto file = waiting_.Take(wanted)) return file;
  [[maybe_unused]] const Status read = ReadMessages();  // who watches hears of the end
  return waiting_.Take(wanted);
}

void WorkerEnd::Lose() {
  if (lost_.exchange(true)) return;
  for (std::uint32_t slot = 0; slot < slots_; ++slot) {
    SlotOf(memory_, slot).changed.fetch_add(1, std::memory_order_release);
    os::WakeAll(SlotOf(memory_, slot).changed);
  }
  page_.space.fetch_add(1, std::memory_order_release);
  os::WakeAll(page_.space);
}

bool WorkerEnd::LostNow() {
  if (!lost_.load(std::memory_order_acquire) && os::PeerClosed(socket_)) Lose();
  return lost_.load(std::memory_order_acquire);
}

void WorkerEnd::Drain() {
  page_.draining.store(1, std::memory_order_release);
  WakeFront();
}

void WorkerEnd::ReportStuck(Stuck how) {
  page_.stuck.store(static_cast<std::uint32_t>(how), std::memory_order_release);
  WakeFront();
}

CancelReason WorkerEnd::ReasonOf(const Ticket& ticket) const {
  if (lost_.load(std::memory_order_acquire)) return CancelReason::kClientLeft;
  return static_cast<CancelReason>(
      SlotOf(memory_, ticket.slot).cancel_reason.load(std::memory_order_relaxed));
}

bool WorkerEnd::Cancelled(const Ticket& ticket) const {
  return lost_.load(std::memory_order_acquire) ||
         SlotOf(memory_, ticket.slot).cancelled.load(std::memory_order_acquire) ==
             ticket.generation;
}

void WorkerEnd::WakeFront() {
  // An exchange on both sides: whoever comes second sees what the first one wrote before.
  if (page_.front_sleeps.exchange(0, std::memory_order_acq_rel) != 0) os::Wake(front_wakeup_);
}

Delivery WorkerEnd::SendEarlyHints(const Ticket& ticket, std::string_view head, IfFull if_full) {
  CHECK(head.size() <= kEarlyHintsBytesMax);
  if (Cancelled(ticket)) return Delivery::kCancelled;
  return Push(ticket, FrameKind::kEarlyHints, End::kNotYet, head, {}, if_full);
}

Delivery WorkerEnd::SendHead(Ticket& ticket,
                             std::string_view head,
                             std::string_view& body,
                             End end,
                             IfFull if_full) {
  CHECK(head.size() <= kResponseHeadBytesMax);
  if (Cancelled(ticket)) return Delivery::kCancelled;
  std::string sized;
  Writer(sized).WriteText(head);
  const std::string_view piece = body.substr(0, kBodyFrameBytesMax);
  const bool whole = piece.size() == body.size();
  const Delivery sent =
      Push(ticket, FrameKind::kHead, whole ? end : End::kNotYet, sized, piece, if_full);
  if (sent != Delivery::kSent) return sent;
  ticket.sent += piece.size();
  body.remove_prefix(piece.size());
  return Delivery::kSent;
}

Delivery WorkerEnd::SendBody(Ticket& ticket, std::string_view& body, End end, IfFull if_full) {
  while (!body.empty()) {
    const Delivery ready = WaitUntilAcknowledged(ticket, if_full);
    if (ready != Delivery::kSent) return ready;
    const std::string_view piece = body.substr(0, kBodyFrameBytesMax);
    const bool last = piece.size() == body.size();
    const Delivery sent =
        Push(ticket, FrameKind::kBody, last ? end : End::kNotYet, piece, {}, if_full);
    if (sent != Delivery::kSent) return sent;
    ticket.sent += piece.size();
    body.remove_prefix(piece.size());
  }
  return Delivery::kSent;
}

Delivery WorkerEnd::SendFile(Ticket& ticket,
                             const os::Fd& file,
                             const FileRange& range,
                             End end,
                             IfFull if_full) {
  if (Cancelled(ticket)) return Delivery::kCancelled;
  const int descriptor = file.get();
  const std::string message = Encode(FileMessage{ticket.slot, ticket.generation});
  std::string bytes;
  Writer(bytes).Write(range);
  for (bool asked = false;;) {
    if (if_full != IfFull::kWait && !HasRoom(sizeof(FrameHead) + bytes.size())) {
      if (if_full == IfFull::kReturn || asked) return Delivery::kFull;
    } else {
      const Status sent = os::SendDescriptors(socket_, message, std::span(&descriptor, 1));
      if (sent.ok()) break;
      if (sent.error().system_error != EAGAIN) return Delivery::kLost;
      if (if_full == IfFull::kReturn || asked) return Delivery::kFull;
    }
    if (if_full == IfFull::kWake) {  // it reads the socket in the same turn as the ring
      page_.space_wanted.exchange(Sleeper::kLoop, std::memory_order_acq_rel);
      asked = true;
      continue;
    }
    os::WaitWritable(socket_, kLifeCheck);
    if (LostNow()) return Delivery::kLost;
  }
  // The message cannot be taken back: from here on it is sent, or the channel is lost.
  const Delivery sent = Push(ticket, FrameKind::kFile, end, bytes, {}, IfFull::kWait);
  if (sent == Delivery::kSent) ticket.sent += range.length;
  return sent;
}

Delivery WorkerEnd::SendEnd(Ticket& ticket, End end, IfFull if_full) {
  CHECK(end != End::kNotYet);
  return Push(ticket, FrameKind::kEnd, end, {}, {}, if_full);
}

Delivery WorkerEnd::Push(const Ticket& ticket,
                         FrameKind kind,
                         End end,
                         std::string_view first,
                         std::string_view second,
                         IfFull if_full) {
  const FrameHead head{static_cast<std::uint32_t>(kind),
                       ticket.slot,
                       ticket.generation,
                       static_cast<std::uint32_t>(end)};
  const std::string_view head_bytes(reinterpret_cast<const char*>(&head), sizeof head);
  for (bool asked = false;;) {
    if (lost_.load(std::memory_order_acquire)) return Delivery::kLost;
    const std::uint32_t space = page_.space.load(std::memory_order_acquire);
    shm::Push pushed = shm::Push::kFull;
    {
      const std::lock_guard lock(mutex_);
      pushed = responses_.Write(std::array{head_bytes, first, second});
    }
    if (pushed == shm::Push::kDone) break;
    if (pushed == shm::Push::kBroken) return Delivery::kLost;
    if (if_full == IfFull::kReturn) return Delivery::kFull;
    if (!asked) {  // once more after asking: the front may have read in between
      page_.space_wanted.exchange(SleeperOf(if_full), std::memory_order_acq_rel);
      asked = true;
      continue;
    }
    if (if_full == IfFull::kWake) return Delivery::kFull;
    os::WaitWhile(page_.space, space, kLifeCheck);
    asked = false;
    if (LostNow()) return Delivery::kLost;
  }
  WakeFront();
  return Delivery::kSent;
}

bool WorkerEnd::HasRoom(std::size_t frame_bytes) {
  const std::lock_guard lock(mutex_);
  return responses_.Room(frame_bytes) != shm::Push::kFull;  // a broken ring is found by who writes
}

bool WorkerEnd::HeldBack(const Ticket& ticket) const {
  return !Cancelled(ticket) && AheadEnough(ticket);
}

bool WorkerEnd::AheadEnough(const Ticket& ticket) const {
  const std::uint64_t acknowledged =
      SlotOf(memory_, ticket.slot).acknowledged.load(std::memory_order_acquire);
  return ticket.sent >= acknowledged + kAheadBytesMax;
}

Delivery WorkerEnd::WaitUntilAcknowledged(const Ticket& ticket, IfFull if_full) {
  Slot& slot = SlotOf(memory_, ticket.slot);
  for (;;) {
    const std::uint32_t changed = slot.changed.load(std::memory_order_acquire);
    if (Cancelled(ticket)) return Delivery::kCancelled;
    if (!AheadEnough(ticket)) return Delivery::kSent;
    if (if_full == IfFull::kReturn) return Delivery::kFull;
    slot.waits.exchange(SleeperOf(if_full), std::memory_order_acq_rel);
    if (!AheadEnough(ticket) || Cancelled(ticket)) continue;
    if (if_full == IfFull::kWake) return Delivery::kFull;
    os::WaitWhile(slot.changed, changed, kLifeCheck);
    if (LostNow()) return Delivery::kLost;
  }
}

}  // namespace onebox::channel
