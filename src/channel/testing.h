#pragma once
// Ends of a channel that write whatever they are told, for the tests before and behind a real end.

#include <array>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "channel/front_end.h"
#include "channel/layout.h"
#include "channel/message.h"
#include "channel/worker_end.h"
#include "os/mapping.h"
#include "os/socket.h"
#include "os/wait.h"
#include "shm/ring.h"

namespace onebox::channel {

// The other end's socket, memory and the ring that it writes.
class ForgedEnd {
 public:
  Page& page() { return PageOf(memory_); }
  Slot& slot(std::uint32_t number) { return SlotOf(memory_, number); }
  std::span<std::byte> memory() { return {memory_.data(), memory_.size()}; }

  // One frame, its head included; kFull and kBroken as a ring says it.
  shm::Push Write(std::string_view frame) { return ring_->Write(std::array{frame}); }
  Status SendMessage(std::string_view bytes, std::span<const int> descriptors) {
    return os::SendDescriptors(socket_, bytes, descriptors);
  }

 protected:
  os::Fd socket_;
  os::Mapping memory_;
  std::optional<shm::RingWriter> ring_;
};

// A worker before a real front.
class ForgedWorker : public ForgedEnd {
 public:
  explicit ForgedWorker(std::uint32_t threads) {
    os::Pair pair = os::NewSocketPair(SOCK_SEQPACKET).value();
    socket_ = std::move(pair.theirs);
    front_ = FrontEnd::Welcome(std::move(pair.ours), {.threads = threads}).value();
    const auto welcome = os::ReceiveMessage(socket_, kMessageBytesMax).value();
    memory_ = os::Mapping::Share(welcome->descriptors[0], MemoryBytes(threads)).value();
    ring_.emplace(page().responses, memory().subspan(ResponsesOffset(threads), kRingBytes));
  }

  FrontEnd& front() { return *front_; }

 private:
  std::unique_ptr<FrontEnd> front_;
};

// A front before a real worker.
class ForgedFront : public ForgedEnd {
 public:
  explicit ForgedFront(std::uint32_t threads) {
    os::Pair pair = os::NewSocketPair(SOCK_SEQPACKET).value();
    socket_ = std::move(pair.ours);
    const os::Fd shared = os::NewSharedMemory("onebox-test", MemoryBytes(threads)).value();
    memory_ = os::Mapping::Share(shared, MemoryBytes(threads)).value();
    Page& page = *new (memory_.data()) Page{};
    page.magic = kMagic;
    page.version = kVersion;
    page.slots = threads;
    ring_.emplace(page.requests, memory().subspan(RequestsOffset(threads), kRingBytes));
    const os::Fd front_wakeup = os::NewWakeup().value();
    const os::Fd worker_wakeup = os::NewWakeup().value();
    const os::Fd cancel_wakeup = os::NewWakeup().value();
    const std::array descriptors{
        shared.get(), front_wakeup.get(), worker_wakeup.get(), cancel_wakeup.get()};
    CHECK(SendMessage(Encode(Welcome{.slots = threads}), descriptors).ok());
    worker_ = WorkerEnd::ReceiveWelcome(pair.theirs, {.threads = threads}).value();
  }

  WorkerEnd& worker() { return *worker_; }

 private:
  std::unique_ptr<WorkerEnd> worker_;
};

}  // namespace onebox::channel
