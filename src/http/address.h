#pragma once
// IP addresses and networks as raw bytes.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace onebox::http {

// 4 bytes or 16, in network order. An IPv4 address mapped into IPv6 (::ffff:1.2.3.4) is held as the
// IPv4 address that it is, so one client has one form.
class Address {
 public:
  static Address V4(const std::array<std::uint8_t, 4>& bytes);
  static Address V6(const std::array<std::uint8_t, 16>& bytes);

  bool IsV4() const { return size_ == 4; }
  std::size_t size() const { return size_; }
  const std::uint8_t* data() const { return bytes_.data(); }

  bool operator==(const Address&) const = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
  std::uint8_t size_ = 4;
};

// "10.0.0.1" (no leading zeros: octal to some) or "2001:db8::1" in any form of RFC 4291 2.2; no
// brackets, no port, no zone.
std::optional<Address> ParseAddress(std::string_view text);

// As RFC 5952 writes it.
std::string FormatAddress(const Address& address);

// The addresses that share the first bits of one.
class Network {
 public:
  bool Contains(const Address& address) const;
  const Address& base() const { return base_; }
  unsigned bits() const { return bits_; }
  bool operator==(const Network&) const = default;

 private:
  friend std::optional<Network> ParseNetwork(std::string_view text);
  Network(const Address& base, unsigned bits) : base_(base), bits_(bits) {}

  Address base_;
  unsigned bits_;
};

// "10.0.0.0/8", "::1", "2001:db8::/32"; an address alone is a network of one. Nothing where bits
// after the prefix are set: "10.0.0.1/8" is most often a slip.
std::optional<Network> ParseNetwork(std::string_view text);

}  // namespace onebox::http
