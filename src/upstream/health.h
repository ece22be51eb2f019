#pragma once
// Whether a server is asked at the moment, by what it did to those who asked and by probes.

#include <atomic>
#include <cstdint>
#include <mutex>

#include "base/backoff.h"
#include "base/clock.h"
#include "upstream/settings.h"

namespace onebox::upstream {

enum class ServerState : std::uint8_t {
  kUp,
  kPaused,  // it failed too often; for a while nobody asks
  kDown,    // the last probes failed
};
std::string_view NameOf(ServerState state);

// Shared by all threads; a success costs one relaxed load.
//
// up -> paused, when it failed `fails_max` times within `window`; after the pause it is up again, and the
// next failure pauses it for twice as long, until it has answered. A probe that fails takes it down, one
// that succeeds brings it up.
class Health {
 public:
  explicit Health(const PassiveSettings& settings)
      : settings_(settings), pause_({.min = settings.pause_min * 2, .max = settings.pause_max}) {}

  ServerState StateAt(Time now) const;
  bool UsableAt(Time now) const { return StateAt(now) == ServerState::kUp; }
  // How much of its weight it is given, in thousandths: less while it starts slowly.
  std::uint32_t ShareAt(Time now) const;
  // When a pause ends; in the past where there is none.
  Time paused_until() const {
    return Time(Duration(paused_until_.load(std::memory_order_relaxed)));
  }

  void Succeeded() {
    if (troubled_.load(std::memory_order_relaxed)) Recover();
  }
  // Whether it would be paused: then either Pause(), or it goes on all the same.
  [[nodiscard]] bool Failed(Time now);
  void Pause(Time now, std::uint64_t random);

  // Whether that changed anything.
  bool ProbeSucceeded(Time now);
  bool ProbeFailed();

 private:
  void Recover();

  const PassiveSettings settings_;
  std::atomic<Duration::rep> paused_until_{0};
  std::atomic<Duration::rep> back_since_{INT64_MIN};  // when it began to be asked again
  std::atomic<bool> troubled_{false};                 // there is something to recover from
  std::atomic<bool> down_{false};

  std::mutex mutex_;
  Backoff pause_;               // under it
  Time first_failure_{};        // of those that count; likewise
  std::uint32_t failures_ = 0;  // likewise
  bool on_trial_ = false;       // paused before, and has not answered since; likewise
};

}  // namespace onebox::upstream
