#include "http/proxy_protocol.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"

namespace onebox::http {
namespace {

constexpr std::string_view kLineBegin = "PROXY ";
constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t kFixedBytes = 16;  // of version 2: signature, command, family, length

using State = ProxyHeaderRead::State;

ProxyHeaderRead Refused(std::string_view why) {
  return {.state = State::kRefused, .why = why};
}

ProxyHeaderRead Whole(std::size_t size) {
  return {.state = State::kWhole, .header = {.size = size}};
}

// --- version 1: "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"

// Takes what stands before the next space, and the space; nothing where there is none.
std::optional<std::string_view> TakeWord(std::string_view& line) {
  const std::size_t space = line.find(' ');
  if (space == line.npos) return std::nullopt;
  const std::string_view word = line.substr(0, space);
  line.remove_prefix(space + 1);
  return word;
}

std::optional<std::uint16_t> PortOf(std::string_view digits) {
  const bool padded = digits.size() > 1 && digits[0] == '0';
  const auto port = ParseDecimal(digits, 65535);
  if (!port || padded) return std::nullopt;
  return static_cast<std::uint16_t>(*port);
}

std::optional<Address> AddressIn(const std::optional<std::string_view>& word, bool six) {
  if (!word || (word->find(':') != word->npos) != six) return std::nullopt;
  return ParseAddress(*word);
}

ProxyHeaderRead ReadWords(std::string_view line, std::size_t size) {
  ProxyHeaderRead read = Whole(size);
  if (line == "UNKNOWN" || line.starts_with("UNKNOWN ")) return read;
  const bool six = line.starts_with("TCP6 ");
  if (!six && !line.starts_with("TCP4 "))
    return Refused("its protocol is none of TCP4, TCP6, UNKNOWN");
  line.remove_prefix(5);
  const auto client = AddressIn(TakeWord(line), six);
  const auto server = AddressIn(TakeWord(line), six);
  const auto client_digits = TakeWord(line);
  const auto client_port = client_digits ? PortOf(*client_digits) : std::nullopt;
  if (!client || !server) return Refused("it has an address that is none");
  if (!client_port || !PortOf(line)) return Refused("it has a port that is none");
  read.header.client = client;
  read.header.client_port = *client_port;
  return read;
}

ProxyHeaderRead ReadLine(std::string_view bytes) {
  const std::string_view within = bytes.substr(0, kProxyLineBytesMax);
  const std::size_t end = within.find('\n');
  if (end == within.npos) {
    if (within.size() == kProxyLineBytesMax) return Refused("its line is longer than 107 bytes");
    return {};
  }
  if (within[end - 1] != '\r') return Refused("its line does not end with CR LF");
  return ReadWords(within.substr(kLineBegin.size(), end - 1 - kLineBegin.size()), end + 1);
}

// --- version 2

unsigned ByteAt(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}

std::uint16_t BigEndian16(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint16_t>(ByteAt(bytes, at) << 8 | ByteAt(bytes, at + 1));
}

std::uint32_t BigEndian32(std::string_view bytes, std::size_t at) {
  return std::uint32_t{BigEndian16(bytes, at)} << 16 | BigEndian16(bytes, at + 2);
}

template <std::size_t kSize>
std::array<std::uint8_t, kSize> BytesAt(std::string_view bytes, std::size_t at) {
  std::array<std::uint8_t, kSize> taken{};
  for (std::size_t i = 0; i < kSize; ++i)
    taken[i] = static_cast<std::uint8_t>(bytes[at + i]);
  return taken;
}

constexpr std::array<std::uint32_t, 256> kCrc32cTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit)
      value = value >> 1 ^ ((value & 1) != 0 ? 0x82F63B78U : 0);  // Castagnoli's, reflected
    table[i] = value;
  }
  return table;
}();

// Of all bytes, those of the checksum itself taken as zero.
std::uint32_t Crc32cOf(std::string_view bytes, std::size_t checksum_at) {
  std::uint32_t crc = ~0U;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const bool own = i >= checksum_at && i < checksum_at + 4;
    crc = crc >> 8 ^ kCrc32cTable[(crc ^ (own ? 0 : ByteAt(bytes, i))) & 0xFF];
  }
  return ~crc;
}

enum Family : std::uint8_t { kUnspecified = 0, kInet = 1, kInet6 = 2, kUnix = 3 };
constexpr std::array<std::size_t, 4> kAddressBytes = {0, 12, 36, 216};  // both ends, with ports
constexpr unsigned kStream = 1;
constexpr unsigned kTransports = 3;  // unspecified, stream, datagram

constexpr unsigned kTypeCrc32c = 0x03;
constexpr unsigned kTypeSsl = 0x20;
constexpr unsigned kClientSsl = 0x01;  // bit of the first byte of PP2_TYPE_SSL

// `at`: where they begin in the header. Nothing where all is well.
std::optional<std::string_view> ReadTlvs(std::string_view whole,
                                         std::size_t at,
                                         ProxyHeader& header) {
  while (at < whole.size()) {
    if (whole.size() - at < 3) return "a TLV is cut";
    const unsigned type = ByteAt(whole, at);
    const std::size_t size = BigEndian16(whole, at + 1);
    at += 3;
    if (size > whole.size() - at) return "a TLV is longer than the header";
    if (type == kTypeCrc32c) {
      if (size != 4) return "its checksum does not have 4 bytes";
      if (BigEndian32(whole, at) != Crc32cOf(whole, at)) return "its checksum is wrong";
    }
    if (type == kTypeSsl) {
      if (size < 5) return "its TLV of TLS is cut";
      header.by_tls = (ByteAt(whole, at) & kClientSsl) != 0;
    }
    at += size;
  }
  return std::nullopt;
}

ProxyHeaderRead ReadBlock(std::string_view bytes) {
  if (bytes.size() < kFixedBytes) return {};
  const unsigned command = ByteAt(bytes, 12);
  const unsigned family = ByteAt(bytes, 13) >> 4;
  const unsigned transport = ByteAt(bytes, 13) & 0xF;
  const std::size_t length = BigEndian16(bytes, 14);
  if (command >> 4 != 2) return Refused("its version is not 2");
  const bool local = (command & 0xF) == 0;
  if (!local && (command & 0xF) != 1) return Refused("its command is neither LOCAL nor PROXY");
  if (length > kProxyBlockBytesMax) return Refused("it is longer than 4096 bytes");
  const std::size_t size = kFixedBytes + length;
  if (!local && (family >= kAddressBytes.size() || transport >= kTransports)) {
    return Refused("its address family or transport is not known");
  }
  if (!local && length < kAddressBytes[family]) return Refused("it is shorter than its addresses");
  if (bytes.size() < size) return {};
  ProxyHeaderRead read = Whole(size);
  if (local) return read;  // the family and what follows mean nothing
  const std::string_view whole = bytes.substr(0, size);
  if (const auto why = ReadTlvs(whole, kFixedBytes + kAddressBytes[family], read.header)) {
    return Refused(*why);
  }
  if (transport != kStream) return read;
  if (family == kInet) {
    read.header.client = Address::V4(BytesAt<4>(whole, kFixedBytes));
    read.header.client_port = BigEndian16(whole, kFixedBytes + 8);
  } else if (family == kInet6) {
    read.header.client = Address::V6(BytesAt<16>(whole, kFixedBytes));
    read.header.client_port = BigEndian16(whole, kFixedBytes + 32);
  }
  return read;
}

// Whether the bytes, as far as there are any, are those of `begin`.
bool Agrees(std::string_view bytes, std::string_view begin) {
  const std::size_t size = std::min(bytes.size(), begin.size());
  return bytes.substr(0, size) == begin.substr(0, size);
}

}  // namespace

ProxyHeaderRead ReadProxyHeader(std::string_view bytes) {
  const bool line = Agrees(bytes, kLineBegin);
  const bool block = Agrees(bytes, kSignature);
  if (!line && !block) return Refused("there is none");
  if (bytes.size() < kLineBegin.size() || (block && bytes.size() < kSignature.size())) return {};
  return line ? ReadLine(bytes) : ReadBlock(bytes);
}

bool LooksLikeProxyHeader(std::string_view bytes) {
  return Agrees(bytes, kLineBegin) || Agrees(bytes, kSignature);
}

}  // namespace onebox::http
