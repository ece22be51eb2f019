#pragma once
// The keys that session tickets are sealed with (RFC 5077, RFC 8446 section 4.6.1).

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>

#include "base/clock.h"

namespace onebox::tls {

// A key holds for one rotation and is accepted for one more. Each comes out of a secret that goes on by a
// one-way step with each rotation: who learns it cannot open what was recorded before the last. Whoever
// has the same secret at the same time has the same keys: all reactors of a box, and the fronts before
// and after a reload. Threads may share one.
class TicketKeys {
 public:
  static constexpr std::size_t kSecretBytes = 32;
  using Secret = std::array<std::uint8_t, kSecretBytes>;

  struct Key {
    std::array<std::uint8_t, 16> name{};
    std::array<std::uint8_t, 32> cipher{};  // AES-256-CBC
    std::array<std::uint8_t, 32> mac{};     // HMAC-SHA256
  };
  enum class Age : std::uint8_t { kCurrent, kPrevious };
  struct Found {
    Key key;
    Age age = Age::kCurrent;
  };

  // `secret` is random; `rotation` at least a second.
  TicketKeys(const Secret& secret, Duration rotation, WallTime now);
  ~TicketKeys();
  TicketKeys(const TicketKeys&) = delete;
  TicketKeys& operator=(const TicketKeys&) = delete;

  // The keys of `now`; a clock that was set back changes nothing.
  void AdvanceTo(WallTime now);

  Key current() const;
  std::optional<Found> Find(std::span<const std::uint8_t, 16> name) const;
  Duration rotation() const { return rotation_; }

 private:
  std::int64_t PeriodOf(WallTime now) const;
  Key Derive() const;
  void Step();

  const Duration rotation_;
  mutable std::mutex mutex_;  // guards all below
  Secret secret_;
  std::int64_t period_;
  Key current_;
  std::optional<Key> previous_;
};

}  // namespace onebox::tls
