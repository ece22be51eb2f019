#include "http/negotiate.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "http/testing.h"

namespace onebox::http {
namespace {

std::string Accept(std::string_view value) {
  return std::string("Accept-Encoding: ").append(value).append("\r\n");
}

TEST(AcceptEncoding, ChoosesWhatTheClientWantsMost) {
  constexpr auto kIdentity = Coding::kIdentity;
  constexpr auto kGzip = Coding::kGzip;
  constexpr auto kBrotli = Coding::kBrotli;
  constexpr auto kZstd = Coding::kZstd;
  const std::vector<Coding> all = {kBrotli, kZstd, kGzip, kIdentity};
  const struct {
    std::string fields;
    std::vector<Coding> available;
    std::optional<Coding> chosen;
  } rows[] = {
      {"", all, kIdentity},
      {Accept(""), all, kIdentity},
      {Accept("gzip, deflate, br, zstd"), all, kBrotli},
      {Accept("gzip, deflate, br, zstd"), {kZstd, kBrotli, kGzip}, kZstd},
      {Accept("gzip, deflate"), all, kGzip},
      {Accept("deflate"), all, kIdentity},
      {Accept("gzip"), {}, kIdentity},
      {Accept("gzip;q=0.5, br;q=0.4"), all, kGzip},
      {Accept("br;q=0.001"), all, kBrotli},
      {Accept("br;q=0"), all, kIdentity},
      {Accept("br;q=0.000, gzip"), all, kGzip},
      {Accept("GZIP"), all, kGzip},
      {Accept("x-gzip"), all, kGzip},
      {Accept("*"), all, kBrotli},
      {Accept("*;q=0.5, gzip"), all, kGzip},
      {Accept("br;q=0, *"), all, kZstd},
      {Accept("*;q=0"), all, std::nullopt},
      {Accept("*;q=0, gzip"), {kBrotli}, std::nullopt},
      {Accept("*;q=0, identity"), all, kIdentity},
      {Accept("identity;q=0"), all, std::nullopt},
      {Accept("identity;q=0, gzip"), all, kGzip},
      {Accept("identity;q=0, gzip"), {kBrotli, kIdentity}, std::nullopt},
      {Accept("identity;q=0, *"), all, kBrotli},
      {Accept("identity, gzip;q=0.5"), all, kIdentity},
      {Accept("identity;q=0.5, gzip;q=0.8"), all, kGzip},
      {Accept("identity, gzip"), all, kGzip},
      {Accept("gzip") + Accept("br;q=0.5"), all, kGzip},
      {Accept("gzip ; Q=0.2 , br\t;\tq=0.3"), all, kBrotli},
      {Accept("gzip;q=2, br;q=0.1"), all, kBrotli},
      {Accept("gzip;q=, br;q=0.1"), all, kBrotli},
      {Accept("gzip;level=9, br;q=0.1"), all, kBrotli},
      {Accept("gzip;q=1;x=y, br;q=0.1"), all, kBrotli},
      {Accept("g zip, br;q=0.1"), all, kBrotli},
      {Accept(";q=1, ,, br;q=0.1"), all, kBrotli},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.fields);
    const ParsedHead head(HeadWith(row.fields));
    ASSERT_FALSE(head.refused());
    EXPECT_EQ(AcceptedCodings(*head).Choose(row.available), row.chosen);
  }
}

TEST(Quality, IsANumberFromZeroToOne) {
  const struct {
    std::string_view text;
    std::optional<std::uint16_t> thousandths;
  } rows[] = {
      {"0", 0},     {"0.", 0},      {"0.0", 0},   {"0.5", 500},    {"0.25", 250}, {"0.999", 999},
      {"0.001", 1}, {"1", 1000},    {"1.", 1000}, {"1.000", 1000}, {"", {}},      {"1.001", {}},
      {"2", {}},    {"0.1234", {}}, {".5", {}},   {"-1", {}},      {"0.5 ", {}},  {"0,5", {}},
      {"1e0", {}},  {"00", {}},     {"0.-1", {}}, {"nan", {}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.text);
    EXPECT_EQ(ParseQuality(row.text), row.thousandths);
  }
}

TEST(Coding, IsKnownByItsName) {
  for (const CodingRow& row : kCodings) {
    EXPECT_EQ(CodingOf(row.name), row.coding);
    EXPECT_EQ(NameOf(row.coding), row.name);
    EXPECT_EQ(ExtensionOf(row.coding), row.extension);
  }
  EXPECT_EQ(CodingOf("BR"), Coding::kBrotli);
  EXPECT_FALSE(CodingOf("deflate"));
  EXPECT_FALSE(CodingOf("*"));
}

TEST(PrefersJson, ByWeightThenExactnessThenOrder) {
  struct Case {
    const char* accept;
    bool json;
    const char* why;
  };
  const Case cases[] = {
      {"", false, "nobody asked"},
      {"*/*", false, "curl takes all"},
      {"application/json", true, "fetch"},
      {"APPLICATION/JSON", true, "types have no case"},
      {"application/problem+json", true, "what is sent"},
      {"application/json, text/plain, */*", true, "axios names it first"},
      {"text/plain, application/json", false, "named second"},
      {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false, "a browser"},
      {"application/json;q=0.5, text/html", false, "less wanted"},
      {"text/html;q=0.5, application/json", true, "more wanted"},
      {"application/json, */*;q=0.1", true, "the rest is less wanted"},
      {"*/*, application/json", true, "named more exactly"},
      {"application/*, text/*", true, "named first, as exactly"},
      {"application/json;q=0", false, "refused"},
      {"application/json;charset=utf-8", true, "a parameter"},
      {"application/json;q=x", false, "not a weight"},
      {"image/png", false, "neither"},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(PrefersJson(one.accept), one.json) << one.accept << ": " << one.why;
  }
}

}  // namespace
}  // namespace onebox::http
