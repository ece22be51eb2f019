#pragma once
// What a thread may sleep on: a word of shared memory, a wakeup, several descriptors at once.

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "os/fd.h"

namespace onebox::os {

// Sleeps while `word` holds `value`, until WakeAll() in whatever process shares it, for at most
// `timeout`. May return early for no reason: ask again.
void WaitWhile(const std::atomic<std::uint32_t>& word, std::uint32_t value, Duration timeout);
void WakeAll(std::atomic<std::uint32_t>& word);

// An eventfd, non-blocking. Watched edge-triggered, it need never be read.
Result<Fd> NewWakeup();
void Wake(const Fd& wakeup);

// Whether the other end of a socket is closed.
bool PeerClosed(const Fd& socket);

// Until the socket takes a message again or is closed, for at most `timeout`; false: neither was seen.
bool WaitWritable(const Fd& socket, Duration timeout);
// Until there is something to read or the other end is closed, likewise.
bool WaitReadable(const Fd& socket, Duration timeout);

// Several descriptors, each watched for reading, edge-triggered. Closing one ends its watching.
class ReadySet {
 public:
  static Result<ReadySet> New();
  Status Add(const Fd& fd, std::uint32_t token);
  // Sleeps until at least one is ready; the tokens of those that are. Empty after `timeout`; without
  // one it sleeps for ever. Never fails: a signal counts as a timeout.
  std::vector<std::uint32_t> Wait(std::optional<Duration> timeout) const;
  // Readable while at least one is ready and Wait() has not told so.
  const Fd& descriptor() const { return epoll_; }

 private:
  explicit ReadySet(Fd epoll) : epoll_(std::move(epoll)) {}
  Fd epoll_;
};

}  // namespace onebox::os
