#include "limits/access_list.h"

#include <algorithm>
#include <optional>
#include <tuple>

namespace onebox::limits {

// A network, by its first and last address.
struct AccessList::Rule {
  Bytes first{};
  Bytes last{};
  bool allowed = true;
};

namespace {

using Bytes = std::array<std::uint8_t, 16>;

Bytes BytesOf(const http::Address& address) {
  Bytes bytes{};
  std::copy(address.data(), address.data() + address.size(), bytes.begin());
  return bytes;
}

Bytes LastOf(const http::Network& network) {
  Bytes bytes = BytesOf(network.base());
  for (std::size_t bit = network.bits(); bit < network.base().size() * 8; ++bit)
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] | 0x80U >> bit % 8);
  return bytes;
}

// Nothing behind the last address of all.
std::optional<Bytes> Next(Bytes bytes, std::size_t size) {
  for (std::size_t i = size; i > 0; --i) {
    if (++bytes[i - 1] != 0) return bytes;
  }
  return std::nullopt;
}

}  // namespace

AccessList::AccessList(std::span<const http::Network> allow, std::span<const http::Network> deny)
    : empty_(allow.empty() && deny.empty()) {
  std::vector<Rule> four, six;
  const auto add = [&](std::span<const http::Network> networks, bool allowed) {
    for (const http::Network& network : networks) {
      auto& rules = network.base().IsV4() ? four : six;
      rules.push_back({BytesOf(network.base()), LastOf(network), allowed});
    }
  };
  add(allow, true);
  add(deny, false);
  const bool otherwise = allow.empty();
  four_ = RangesOf(std::move(four), 4, otherwise);
  six_ = RangesOf(std::move(six), 16, otherwise);
}

// Networks are apart or one within the other, so in the order of their begins, the larger first, the
// ones around an address are a stack.
std::vector<AccessList::Range> AccessList::RangesOf(std::vector<Rule> rules,
                                                    std::size_t size,
                                                    bool otherwise) {
  // A deny comes after an allow of the same network, and so lies upon it.
  std::sort(rules.begin(), rules.end(), [](const Rule& a, const Rule& b) {
    return std::tuple(a.first, b.last, b.allowed) < std::tuple(b.first, a.last, a.allowed);
  });
  std::vector<Range> ranges = {{.begin = {}, .allowed = otherwise}};
  std::vector<Rule> around;
  const auto begin = [&ranges](const Bytes& at, bool allowed) {
    if (ranges.back().begin == at) ranges.pop_back();
    if (ranges.empty() || ranges.back().allowed != allowed) ranges.push_back({at, allowed});
  };
  const auto leave = [&] {
    const auto next = Next(around.back().last, size);
    around.pop_back();
    if (next) begin(*next, around.empty() ? otherwise : around.back().allowed);
  };
  for (const Rule& rule : rules) {
    while (!around.empty() && around.back().last < rule.first)
      leave();
    around.push_back(rule);
    begin(rule.first, rule.allowed);
  }
  while (!around.empty())
    leave();
  return ranges;
}

bool AccessList::Allows(const http::Address& address) const {
  if (empty_) return true;
  const auto& ranges = address.IsV4() ? four_ : six_;
  const auto after = std::upper_bound(
      ranges.begin(), ranges.end(), BytesOf(address), [](const Bytes& bytes, const Range& range) {
        return bytes < range.begin;
      });
  return (after - 1)->allowed;
}

}  // namespace onebox::limits
