#pragma once
// Which content coding the client wants (RFC 9110 12.5.3).

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "http/coding.h"
#include "http/request_head.h"

namespace onebox::http {

// What the Accept-Encoding fields say of each coding. Elements that are not well-formed are ignored.
class AcceptedCodings {
 public:
  // Without a field: identity alone. (The RFC allows any coding then, but who asks for none is
  // most often a tool that decodes none.)
  explicit AcceptedCodings(const RequestHead& head);

  // The one to send out of those that are there: the client's highest weight, and among equals the
  // first of `available`. Identity need not be in `available`; it is taken where no other is wanted.
  // Nothing where the client refuses all of them, identity too (`identity;q=0`): 406, or identity
  // all the same; both are allowed.
  std::optional<Coding> Choose(std::span<const Coding> available) const;

  // In thousandths: 0 is "not acceptable". An identity that is not named is acceptable at the lowest
  // weight, so that any coding that is named goes before it.
  unsigned weight(Coding coding) const { return weights_[static_cast<std::size_t>(coding)]; }

 private:
  void Take(std::string_view element);

  static constexpr std::uint16_t kUnnamed = 0xffff;
  std::array<std::uint16_t, kCodings.size()> weights_{};
  std::uint16_t any_ = kUnnamed;  // of "*"
};

// Whether an Accept field (RFC 9110 12.5.1) would rather have JSON than HTML or plain text: by the
// weight, then by naming it more exactly, then by naming it first. "*/*" alone would not.
bool PrefersJson(std::string_view accept);

// "0.5" in thousandths: RFC 9110 12.4.2's qvalue, at most three digits after the point.
std::optional<std::uint16_t> ParseQuality(std::string_view text);

}  // namespace onebox::http
