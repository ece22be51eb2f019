#pragma once
// Which addresses may come in, of many networks that allow or deny.

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "http/address.h"

namespace onebox::limits {

// Of all networks that an address is in, the one with the most bits decides; of the same network
// written twice, deny. In none of them: denied where there is an allow at all, else allowed.
//
// Kept as the begins of ranges, sorted: a search looks at 17 of 100,000.
class AccessList {
 public:
  AccessList() = default;
  AccessList(std::span<const http::Network> allow, std::span<const http::Network> deny);

  // Whether it says anything at all.
  bool empty() const { return empty_; }
  bool Allows(const http::Address& address) const;

 private:
  using Bytes = std::array<std::uint8_t, 16>;
  // From here up to the next one's begin.
  struct Range {
    Bytes begin{};  // of an IPv4 address the first four
    bool allowed = true;
  };
  struct Rule;

  static std::vector<Range> RangesOf(std::vector<Rule> rules, std::size_t size, bool otherwise);

  std::vector<Range> four_;
  std::vector<Range> six_;
  bool empty_ = true;
};

}  // namespace onebox::limits
