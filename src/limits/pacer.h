#pragma once
// How fast the bytes of one answer may leave.

#include <cstdint>

#include "base/clock.h"

namespace onebox::limits {

struct Pace {
  std::uint64_t bytes_per_second = 0;  // 0: no limit
  std::uint64_t after = 0;  // the first bytes of an answer, which leave as fast as they can

  bool operator==(const Pace&) const = default;
};

// A bucket of tokens, one a byte: filled at the rate, up to what comes in a quarter of a second.
// Bytes leave in portions of an eighth of a second at least, so a slow answer costs eight timers a
// second and not one for each packet.
class Pacer {
 public:
  // 1 byte a second at least.
  Pacer(const Pace& pace, Time now);

  // How many bytes may leave now; where it is 0, none before Ready().
  std::uint64_t Allowance(Time now);
  void Sent(std::uint64_t bytes);  // at most the allowance
  Time Ready() const;

 private:
  std::uint64_t portion() const;

  std::uint64_t rate_;
  std::uint64_t free_;        // what is left of `after`
  std::uint64_t tokens_ = 0;  // in the bucket at filled_
  Time filled_;
};

}  // namespace onebox::limits
