#pragma once
// What holds for any bytes from the other end: the fuzz target tries it, regression_test.cc replays it.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/wire.h"
#include "channel/message.h"
#include "channel/request.h"
#include "channel/response.h"
#include "channel/testing.h"
#include "os/mapping.h"
#include "shm/ring.h"

namespace onebox::channel::properties {

// What is taken says the same when it is written again.
inline void CheckMessages(std::string_view bytes) {
  if (const auto hello = DecodeHello(bytes); hello.ok()) {
    CHECK(hello.value().threads >= 1 && hello.value().threads <= kThreadsMax);
    CHECK(hello.value().ahead <= kAheadMax);
    CHECK(Encode(hello.value()) == bytes);
  }
  if (const auto welcome = DecodeWelcome(bytes); welcome.ok()) {
    CHECK(welcome.value().slots >= 1 && welcome.value().slots <= kSlotsMax);
    CHECK(Encode(welcome.value()) == bytes);
  }
  if (const auto file = DecodeFileMessage(bytes); file.ok()) {
    CHECK(Encode(file.value()) == bytes);
  }
}

inline void CheckRequest(std::string_view bytes) {
  const auto decoded = DecodeRequest(bytes);
  if (!decoded.ok()) return;
  std::string again;
  EncodeRequest(again, decoded.value());
  CHECK(again.append(decoded.value().body) == bytes);
}

inline void CheckResponseHead(std::string_view bytes) {
  const auto decoded = DecodeResponseHead(bytes);
  if (!decoded.ok()) return;
  std::string once;
  EncodeResponseHead(once, decoded.value());
  CHECK(once.size() == bytes.size());
  std::string twice;
  EncodeResponseHead(twice, DecodeResponseHead(once).value());
  CHECK(twice == once);
}

// A ring's both positions and its content are the other side's: nothing outside it is touched, and
// what is read lies in it.
inline void CheckRing(std::string_view bytes) {
  constexpr std::size_t kBytes = 256;
  Reader reader(bytes);
  const auto written = reader.Read<std::uint64_t>();
  const auto read = reader.Read<std::uint64_t>();
  const auto pieces = reader.Read<std::uint64_t>();
  std::vector<std::byte> content(kBytes);
  const std::string_view given = reader.rest().substr(0, kBytes);
  std::transform(given.begin(), given.end(), content.begin(), [](char c) {
    return static_cast<std::byte>(c);
  });

  shm::RingHead head{};
  head.written = written;
  shm::RingReader ring_reader(head, content);
  for (int i = 0; i < 64; ++i) {
    const auto frame = ring_reader.Next();
    if (!frame.ok() || !frame.value()) break;
    const auto* begin = reinterpret_cast<const std::byte*>(frame.value()->data());
    CHECK(frame.value()->empty() ||
          (begin >= content.data() && frame.value()->size() <= kBytes &&
           begin + frame.value()->size() <= content.data() + content.size()));
    ring_reader.Release();
    CHECK(head.read <= written);
  }

  head.read = 0;
  shm::RingWriter ring_writer(head, content);
  const std::string piece(shm::FrameBytesMax(kBytes), 'p');
  for (unsigned i = 0; i < sizeof pieces; ++i) {
    const std::size_t size = std::min<std::size_t>(piece.size(), pieces >> (8 * i) & 0xff);
    ring_writer.Write(std::array{std::string_view(piece).substr(0, size)});
    head.read = read + i;
  }
}

// Bytes as steps of a forged end.
class Steps {
 public:
  explicit Steps(std::string_view bytes) : reader_(bytes) {}

  // Nothing when the bytes are used up.
  std::optional<unsigned> Next() {
    if (reader_.rest().empty()) return std::nullopt;
    return Number();
  }
  unsigned Number() { return reader_.Read<std::uint8_t>(); }
  std::string_view Bytes() {
    const std::size_t size = reader_.Read<std::uint16_t>();
    return reader_.ReadBytes(std::min(size, reader_.rest().size()));
  }

  // What any forged end may do beside its frames.
  void SendMessage(ForgedEnd& end) {
    static const os::Fd file = os::NewSharedMemory("onebox-fuzz", 1).value();
    const std::array<int, 2> descriptors{file.get(), file.get()};
    const unsigned count = Number() % 3;
    const std::string_view bytes = Bytes();
    if (!bytes.empty()) Ignore(end.SendMessage(bytes, std::span(descriptors).first(count)).ok());
  }
  void Scribble(ForgedEnd& end) {
    const std::span<std::byte> memory = end.memory();
    const std::size_t at = reader_.Read<std::uint32_t>() % memory.size();
    const std::string_view bytes = Bytes().substr(0, memory.size() - at);
    std::transform(
        bytes.begin(), bytes.end(), &memory[at], [](char c) { return static_cast<std::byte>(c); });
  }
  // A FrameHead of small numbers, then any bytes; the generation is `last` or near it.
  std::string Frame(std::uint32_t kind, std::uint32_t slot, std::uint32_t last) {
    const std::uint32_t generation = last + Number() % 4 - 1;
    const FrameHead head{kind, slot, generation, Number() % 4};
    std::string frame(reinterpret_cast<const char*>(&head), sizeof head);
    return frame.append(Bytes());
  }

  static void Ignore([[maybe_unused]] bool result) {}

 private:
  Reader reader_;
};

inline constexpr std::uint32_t kSlots = 2;

// What a front knows of its slots, whatever the worker writes.
struct Expected {
  bool busy = false;
  bool head_came = false;
  std::uint32_t generation = 0;
};

inline void CheckFrame(const ResponseFrame& frame, std::array<Expected, kSlots>& slots) {
  CHECK(frame.slot < kSlots && slots[frame.slot].busy);
  Expected& slot = slots[frame.slot];
  CHECK(frame.body.size() <= kBodyFrameBytesMax);
  CHECK(frame.file.valid() == (frame.kind == FrameKind::kFile));
  CHECK(frame.offset <= kFileBytesMax && frame.length <= kFileBytesMax);
  const bool hints = frame.kind == FrameKind::kEarlyHints;
  CHECK(!hints || (!slot.head_came && frame.end == End::kNotYet && frame.body.empty()));
  CHECK(slot.head_came != (frame.kind == FrameKind::kHead) || frame.kind == FrameKind::kEnd ||
        hints);
  slot.head_came = slot.head_came || frame.kind == FrameKind::kHead;
  CHECK(frame.end != End::kNotYet || frame.kind != FrameKind::kEnd);
  CHECK(frame.end != End::kComplete || slot.head_came);
  // Each byte is there to be read.
  volatile unsigned sum = std::accumulate(frame.body.begin(), frame.body.end(), 0U);
  for (const Field& field : frame.head.fields)
    sum = std::accumulate(field.value.begin(), field.value.end(), sum);
  if (frame.end != End::kNotYet) slot.busy = false;
}

// A front before any worker: it refuses it, or each frame has its place.
inline void CheckFrontEnd(std::string_view bytes) {
  Steps steps(bytes);
  ForgedWorker worker(kSlots);
  FrontEnd& front = worker.front();
  std::array<Expected, kSlots> slots;
  std::string head;
  EncodeRequest(head, {.path = "/"});
  while (const auto step = steps.Next()) {
    const unsigned number = steps.Number() % (kSlots + 1);  // one that is not there
    const unsigned here = number % kSlots;
    switch (*step % 10) {
      case 0:
        if (slots[here].busy) break;
        switch (front.Send(here, head, {}, nullptr)) {
          case Sent::kSent:
            slots[here] = {true, false, slots[here].generation + 1};
            break;
          case Sent::kFull:
            break;
          case Sent::kBroken:
            return;
        }
        break;
      case 1: {
        const unsigned kind = steps.Number() % 7;
        Steps::Ignore(worker.Write(steps.Frame(kind, number, slots[here].generation)) ==
                      shm::Push::kDone);
        break;
      }
      case 2: {
        const auto next = front.Next();
        if (!next.ok()) return;
        if (next.value()) CheckFrame(*next.value(), slots);
        front.Release();
        break;
      }
      case 3:
        steps.SendMessage(worker);
        break;
      case 4:
        steps.Scribble(worker);
        break;
      case 5:
        if (!front.ReadMessages().ok()) return;
        break;
      case 6:
        front.Cancel(here, static_cast<CancelReason>(steps.Number() % 3));
        break;
      case 7:
        front.Acknowledge(here, steps.Number());
        break;
      case 8:
        if (slots[here].busy && front.Revoke(here)) slots[here].busy = false;
        break;
      case 9:
        front.Flush();
        Steps::Ignore(front.PrepareToSleep() || front.Taken(here) || front.draining());
        CHECK(front.stuck() <= Stuck::kProcess);
        break;
    }
    const auto busy = static_cast<std::uint32_t>(
        std::count_if(slots.begin(), slots.end(), [](const Expected& s) { return s.busy; }));
    CHECK(front.free_slots() == kSlots - busy);
    CHECK(!front.FreeSlot() || !slots[*front.FreeSlot()].busy);
  }
}

// A worker before any front: it gives the channel up, or what it takes is whole.
inline void CheckWorkerEnd(std::string_view bytes) {
  Steps steps(bytes);
  ForgedFront front(kSlots);
  WorkerEnd& worker = front.worker();
  std::uint32_t generation = 1;
  std::optional<WorkerEnd::Taken> taken;
  while (const auto step = steps.Next()) {
    const unsigned number = steps.Number() % (kSlots + 1);
    switch (*step % 8) {
      case 0: {
        const std::string frame = steps.Frame(1 + steps.Number() % 2, number, generation);
        if (front.Write(frame) == shm::Push::kDone && number < kSlots) {
          front.slot(number).word = SlotWord(generation++, SlotState::kOffered);
        }
        break;
      }
      case 1: {
        auto next = worker.Take();
        if (!next.ok()) return;
        if (!next.value()) break;
        taken = std::move(next.value());
        CHECK(taken->ticket.slot < kSlots);
        CHECK(taken->file.valid() == (taken->request.body_place == BodyPlace::kFile));
        CHECK(taken->request.body.size() ==
              (taken->request.body_place == BodyPlace::kInline ? taken->request.body_size : 0));
        break;
      }
      case 2:
        steps.SendMessage(front);
        break;
      case 3:
        steps.Scribble(front);
        break;
      case 4:
        if (!worker.ReadMessages().ok()) return;
        break;
      case 5: {
        if (!taken) break;
        std::string_view body = steps.Bytes();
        if (body.size() <= kEarlyHintsBytesMax) {
          worker.SendEarlyHints(taken->ticket, body, IfFull::kReturn);
        }
        worker.SendHead(taken->ticket, body, body, End::kNotYet, IfFull::kReturn);
        worker.SendBody(taken->ticket, body, End::kNotYet, IfFull::kReturn);
        break;
      }
      case 6:
        if (taken) worker.SendEnd(taken->ticket, End::kBrokenOff, IfFull::kReturn);
        taken.reset();
        break;
      case 7:
        Steps::Ignore(worker.PrepareToSleep());
        break;
    }
  }
}

// The first byte of an input chooses who reads the rest.
inline void CheckChannel(std::string_view input) {
  if (input.empty()) return;
  constexpr std::array kChecks{
      CheckMessages, CheckRequest, CheckResponseHead, CheckRing, CheckFrontEnd, CheckWorkerEnd};
  kChecks[static_cast<unsigned char>(input[0]) % kChecks.size()](input.substr(1));
}

}  // namespace onebox::channel::properties
