#include "http/address.h"

#include <gtest/gtest.h>

namespace onebox::http {
namespace {

TEST(Address, IsReadInAllFormsAndWrittenInOne) {
  const struct {
    std::string_view text;
    std::string_view written;
  } rows[] = {
      {"0.0.0.0", "0.0.0.0"},
      {"127.0.0.1", "127.0.0.1"},
      {"255.255.255.255", "255.255.255.255"},
      {"::", "::"},
      {"::1", "::1"},
      {"1::", "1::"},
      {"2001:db8::1", "2001:db8::1"},
      {"2001:0DB8:0:0:0:0:0:1", "2001:db8::1"},
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
      {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
      {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
      {"fe80::", "fe80::"},
      {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
      {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
      {"::ffff:10.0.0.1", "10.0.0.1"},
      {"::FFFF:0a00:0001", "10.0.0.1"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.text);
    const auto address = ParseAddress(row.text);
    ASSERT_TRUE(address);
    EXPECT_EQ(FormatAddress(*address), row.written);
    EXPECT_EQ(ParseAddress(row.written), address);
  }
}

TEST(Address, IsRefusedIfItCouldBeAnother) {
  for (const char* text : {"",
                           ".",
                           "1",
                           "1.2.3",
                           "1.2.3.4.5",
                           "1.2.3.",
                           ".1.2.3",
                           "1..2.3",
                           "01.2.3.4",
                           "1.2.3.010",
                           "256.1.1.1",
                           "1.2.3.4 ",
                           " 1.2.3.4",
                           "1.2.3.4:80",
                           "0x7f.0.0.1",
                           "1.2.3.-4",
                           "localhost",
                           ":",
                           ":::",
                           "1:",
                           ":1",
                           "1::2::3",
                           "12345::",
                           "g::",
                           "1:2:3:4:5:6:7",
                           "1:2:3:4:5:6:7:8:9",
                           "1:2:3:4:5:6:7:8::",
                           "::1:2:3:4:5:6:7:8",
                           "[::1]",
                           "::1%eth0",
                           "::1.2.3",
                           "1.2.3.4::",
                           "::1.2.3.4:5",
                           "1:2:3:4:5:6:7:1.2.3.4",
                           "::1 ",
                           "1:::2",
                           "::ffff:256.1.1.1"}) {
    SCOPED_TRACE(text);
    EXPECT_FALSE(ParseAddress(text));
  }
}

TEST(Network, ContainsWhatSharesItsPrefix) {
  const struct {
    std::string_view network;
    std::string_view address;
    bool contains;
  } rows[] = {
      {"10.0.0.0/8", "10.255.0.1", true},
      {"10.0.0.0/8", "11.0.0.1", false},
      {"192.168.4.0/22", "192.168.7.255", true},
      {"192.168.4.0/22", "192.168.8.0", false},
      {"192.168.4.0/22", "192.168.3.255", false},
      {"0.0.0.0/0", "8.8.8.8", true},
      {"0.0.0.0/0", "::1", false},
      {"::/0", "8.8.8.8", false},
      {"::/0", "2001:db8::1", true},
      {"127.0.0.1", "127.0.0.1", true},
      {"127.0.0.1", "127.0.0.2", false},
      {"127.0.0.1/32", "::ffff:127.0.0.1", true},
      {"::1", "::1", true},
      {"::1/128", "::2", false},
      {"2001:db8::/33", "2001:db8:7fff::1", true},
      {"2001:db8::/33", "2001:db8:8000::1", false},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(std::string(row.network).append(" and ").append(row.address));
    const auto network = ParseNetwork(row.network);
    ASSERT_TRUE(network);
    EXPECT_EQ(network->Contains(*ParseAddress(row.address)), row.contains);
  }
}

TEST(Network, IsRefusedIfItIsMostLikelyASlip) {
  for (const char* text : {"",
                           "/8",
                           "10.0.0.0/",
                           "10.0.0.0/33",
                           "10.0.0.0/-1",
                           "10.0.0.0/8/8",
                           "10.0.0.1/8",
                           "10.0.0.0/255.0.0.0",
                           "10.0.0/8",
                           "::/129",
                           "2001:db8::1/64",
                           "10.0.0.0/ 8",
                           "all"}) {
    SCOPED_TRACE(text);
    EXPECT_FALSE(ParseNetwork(text));
  }
}

}  // namespace
}  // namespace onebox::http
