#include "http/proxy_protocol.h"

#include <string>

#include <gtest/gtest.h>

#include "base/ascii.h"

namespace onebox::http {
namespace {

using State = ProxyHeaderRead::State;

constexpr std::string_view kRequest = "GET / HTTP/1.1\r\n\r\n";

// Reads it with a request behind, whole and cut at every byte: each beginning needs more.
ProxyHeaderRead Read(const std::string& header) {
  for (std::size_t cut = 0; cut < header.size(); ++cut) {
    const ProxyHeaderRead part = ReadProxyHeader(std::string_view(header).substr(0, cut));
    EXPECT_EQ(part.state, State::kNeedMore) << "cut at " << cut << ": " << part.why;
  }
  const ProxyHeaderRead read = ReadProxyHeader(header + std::string(kRequest));
  EXPECT_EQ(read.state, State::kWhole) << read.why;
  EXPECT_EQ(read.header.size, header.size());
  return read;
}

std::string Client(const ProxyHeaderRead& read) {
  if (!read.header.client) return "nobody";
  return FormatAddress(*read.header.client) + " " + std::to_string(read.header.client_port);
}

std::string Big16(std::size_t number) {
  return {static_cast<char>(number >> 8), static_cast<char>(number & 0xFF)};
}

std::string Tlv(char type, const std::string& value) {
  return type + Big16(value.size()) + value;
}

std::string Block(char command, char family, const std::string& rest) {
  return std::string("\r\n\r\n\0\r\nQUIT\n", 12) + command + family + Big16(rest.size()) + rest;
}

// 198.51.100.7:40000 to 192.0.2.1:443
const std::string& FourAddresses() {
  static const std::string bytes("\xC6\x33\x64\x07\xC0\x00\x02\x01\x9C\x40\x01\xBB", 12);
  return bytes;
}

std::string SixAddresses() {
  return std::string("\x20\x01\x0D\xB8", 4) + std::string(11, '\0') + '\x09' +
         std::string(16, '\1') + "\x9C\x40\x01\xBB";
}

// Bit by bit, as the polynomial is defined.
std::uint32_t SlowCrc32c(std::string_view bytes) {
  std::uint32_t crc = ~0U;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82F63B78U : crc >> 1;
  }
  return ~crc;
}

std::string WithChecksum(std::uint32_t flaw) {
  const std::string before = Tlv('\x04', "noop");
  std::string block =
      Block('\x21', '\x11', FourAddresses() + before + Tlv('\x03', std::string(4, '\0')));
  const std::uint32_t crc = SlowCrc32c(block) ^ flaw;
  for (std::size_t i = 0; i < 4; ++i)
    block[block.size() - 4 + i] = static_cast<char>(crc >> (24 - 8 * i) & 0xFF);
  return block;
}

TEST(ProxyProtocol, OneNamesTheClient) {
  const struct {
    std::string line;
    std::string client;
  } rows[] = {
      {"PROXY TCP4 198.51.100.7 192.0.2.1 40000 443\r\n", "198.51.100.7 40000"},
      {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255 65535"},
      {"PROXY TCP6 2001:db8::9 ::1 0 443\r\n", "2001:db8::9 0"},
      {"PROXY TCP6 ::ffff:198.51.100.7 ::1 1 443\r\n", "198.51.100.7 1"},
      {"PROXY UNKNOWN\r\n", "nobody"},
      {"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", "nobody"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.line);
    EXPECT_EQ(Client(Read(row.line)), row.client);
  }
}

TEST(ProxyProtocol, OneIsRefusedWhereItIsNotExact) {
  const std::string rows[] = {
      "PROXY TCP4 198.51.100.7 192.0.2.1 40000 443\n",
      "PROXY TCP4 198.51.100.7 192.0.2.1 40000 443 \r\n",
      "PROXY TCP4  198.51.100.7 192.0.2.1 40000 443\r\n",
      "PROXY TCP4 198.51.100.7 192.0.2.1 40000\r\n",
      "PROXY TCP4 198.51.100.7\r\n",
      "PROXY TCP4 198.51.100.07 192.0.2.1 40000 443\r\n",
      "PROXY TCP4 198.51.100.7 192.0.2.1 040000 443\r\n",
      "PROXY TCP4 198.51.100.7 192.0.2.1 40000 65536\r\n",
      "PROXY TCP4 198.51.100.7 192.0.2.1 -1 443\r\n",
      "PROXY TCP4 2001:db8::9 ::1 40000 443\r\n",
      "PROXY TCP6 198.51.100.7 192.0.2.1 40000 443\r\n",
      "PROXY TCP6 [2001:db8::9] [::1] 40000 443\r\n",
      "PROXY UDP4 198.51.100.7 192.0.2.1 40000 443\r\n",
      "PROXY UNKNOWNS\r\n",
      "PROXY \r\n",
      "PROXY UNKNOWN " + std::string(92, 'x') + "\r\n",  // 108 bytes
      "PROXY UNKNOWN " + std::string(200, 'x'),
      "proxy TCP4 198.51.100.7 192.0.2.1 40000 443\r\n",
      "GET / HTTP/1.1\r\n",
      "\r\nGET / HTTP/1.1\r\n",
      "\x16\x03\x01",
  };
  for (const std::string& row : rows) {
    SCOPED_TRACE(row);
    EXPECT_EQ(ReadProxyHeader(row).state, State::kRefused);
  }
}

TEST(ProxyProtocol, OneHasRoomForItsLongestLine) {
  Read("PROXY UNKNOWN " + std::string(91, 'x') + "\r\n");
}

TEST(ProxyProtocol, TwoNamesTheClient) {
  const struct {
    std::string_view what;
    std::string block;
    std::string client;
  } rows[] = {
      {"TCP over IPv4", Block('\x21', '\x11', FourAddresses()), "198.51.100.7 40000"},
      {"TCP over IPv6", Block('\x21', '\x21', SixAddresses()), "2001:db8::9 40000"},
      {"TLVs are skipped",
       Block('\x21',
             '\x11',
             FourAddresses() + Tlv('\x01', "h2") + Tlv('\xEA', "") + Tlv('\x05', "id")),
       "198.51.100.7 40000"},
      {"LOCAL", Block('\x20', '\0', ""), "nobody"},
      {"LOCAL, whatever follows", Block('\x20', '\xFF', "whatever"), "nobody"},
      {"UNSPEC", Block('\x21', '\0', ""), "nobody"},
      {"a unix socket", Block('\x21', '\x31', std::string(216, 'p')), "nobody"},
      {"UDP", Block('\x21', '\x12', FourAddresses()), "nobody"},
      {"the largest block",
       Block('\x21', '\x11', FourAddresses() + Tlv('\x04', std::string(4081, 'n'))),
       "198.51.100.7 40000"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    EXPECT_EQ(Client(Read(row.block)), row.client);
  }
}

TEST(ProxyProtocol, TwoIsRefusedWhereItIsNotExact) {
  const struct {
    std::string_view what;
    std::string block;
  } rows[] = {
      {"version 1", Block('\x11', '\x11', FourAddresses())},
      {"version 3", Block('\x31', '\x11', FourAddresses())},
      {"an unknown command", Block('\x22', '\x11', FourAddresses())},
      {"an unknown family", Block('\x21', '\x41', std::string(216, 'p'))},
      {"an unknown transport", Block('\x21', '\x13', FourAddresses())},
      {"too short for IPv4", Block('\x21', '\x11', FourAddresses().substr(1))},
      {"too short for IPv6", Block('\x21', '\x21', FourAddresses())},
      {"too short for a unix socket", Block('\x21', '\x31', std::string(215, 'p'))},
      {"half a TLV", Block('\x21', '\x11', FourAddresses() + "\x04")},
      {"a TLV beyond the end",
       Block('\x21', '\x11', FourAddresses() + std::string("\x04\x00\x02x", 4))},
      {"a short checksum", Block('\x21', '\x11', FourAddresses() + Tlv('\x03', "abc"))},
      {"a short TLV of TLS", Block('\x21', '\x11', FourAddresses() + Tlv('\x20', "\x01"))},
      {"larger than we read", Block('\x21', '\x11', std::string(4097, '\0'))},
      {"a broken signature", "\r\n\r\n" + std::string(1, '\0') + "\r\nQUIX"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    EXPECT_EQ(ReadProxyHeader(row.block).state, State::kRefused);
  }
}

TEST(ProxyProtocol, ChecksumIsVerified) {
  ASSERT_EQ(SlowCrc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(Client(Read(WithChecksum(0))), "198.51.100.7 40000");
  for (const std::uint32_t flaw : {1U, 0x80000000U}) {
    const ProxyHeaderRead read = ReadProxyHeader(WithChecksum(flaw));
    EXPECT_EQ(read.state, State::kRefused);
    EXPECT_EQ(read.why, "its checksum is wrong");
  }
}

TEST(ProxyProtocol, SaysWhetherTheClientSpokeTls) {
  const std::string verified(4, '\0');
  EXPECT_TRUE(
      Read(Block('\x21', '\x11', FourAddresses() + Tlv('\x20', '\x01' + verified))).header.by_tls);
  EXPECT_FALSE(
      Read(Block('\x21', '\x11', FourAddresses() + Tlv('\x20', '\0' + verified))).header.by_tls);
  EXPECT_FALSE(Read(Block('\x21', '\x11', FourAddresses())).header.by_tls);
}

TEST(ProxyProtocol, NoRequestLooksLikeAHeader) {
  EXPECT_TRUE(LooksLikeProxyHeader("PROXY TCP4 "));
  EXPECT_TRUE(LooksLikeProxyHeader(Block('\x20', '\0', "")));
  EXPECT_FALSE(LooksLikeProxyHeader(kRequest));
  EXPECT_FALSE(LooksLikeProxyHeader("PROXYING / HTTP/1.1\r\n"));
  EXPECT_FALSE(LooksLikeProxyHeader("\r\n\r\nGET / HTTP/1.1\r\n"));
}

}  // namespace
}  // namespace onebox::http
