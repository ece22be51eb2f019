#include "http/preconditions.h"

#include <string>

#include <gtest/gtest.h>

#include "http/testing.h"

namespace onebox::http {
namespace {

// 06 Nov 1994 08:49:37, and a day later it is asked for.
constexpr std::int64_t kModified = 784111777;
constexpr Validators kStrong{.etag = EntityTag{"v1"},
                             .last_modified = kModified,
                             .now = kModified + 86'400};
constexpr Validators kWeak{.etag = EntityTag{"v1", true},
                           .last_modified = kModified,
                           .now = kStrong.now};
constexpr Validators kNone{.etag = {}, .last_modified = {}, .now = kStrong.now};

constexpr std::string_view kBefore = "Sun, 06 Nov 1994 08:49:36 GMT";
constexpr std::string_view kSame = "Sun, 06 Nov 1994 08:49:37 GMT";
constexpr std::string_view kAfter = "Sun, 06 Nov 1994 08:49:38 GMT";

std::string Dated(std::string_view name, std::string_view date) {
  return std::string(name).append(": ").append(date).append("\r\n");
}

TEST(Preconditions, AreEvaluatedInTheOrderOfRfc9110) {
  constexpr auto kGo = Verdict::kProceed;
  constexpr auto kFail = Verdict::kPreconditionFailed;
  constexpr auto kHasIt = Verdict::kNotModified;
  const struct {
    std::string why;
    std::string_view method;
    std::string fields;
    const Validators& validators;
    Verdict verdict;
  } rows[] = {
      {"no condition", "GET", "", kStrong, kGo},
      {"If-None-Match, same", "GET", "If-None-Match: \"v1\"\r\n", kStrong, kHasIt},
      {"HEAD", "HEAD", "If-None-Match: \"v1\"\r\n", kStrong, kHasIt},
      {"If-None-Match, another", "GET", "If-None-Match: \"v2\"\r\n", kStrong, kGo},
      {"If-None-Match, weak to strong", "GET", "If-None-Match: W/\"v1\"\r\n", kStrong, kHasIt},
      {"If-None-Match, strong to weak", "GET", "If-None-Match: \"v1\"\r\n", kWeak, kHasIt},
      {"If-None-Match, in a list", "GET", "If-None-Match: \"v0\", \"v1\"\r\n", kStrong, kHasIt},
      {"If-None-Match, in a second field",
       "GET",
       "If-None-Match: \"v0\"\r\nIf-None-Match: \"v1\"\r\n",
       kStrong,
       kHasIt},
      {"If-None-Match: *", "GET", "If-None-Match: *\r\n", kNone, kHasIt},
      {"If-None-Match without our tag", "GET", "If-None-Match: \"v1\"\r\n", kNone, kGo},
      {"If-None-Match, not a list", "GET", "If-None-Match: \"v1\", x\r\n", kStrong, kGo},
      {"If-None-Match, no quotes", "GET", "If-None-Match: v1\r\n", kStrong, kGo},
      {"If-None-Match on PUT", "PUT", "If-None-Match: *\r\n", kStrong, kFail},
      {"If-None-Match on PUT, another", "PUT", "If-None-Match: \"v2\"\r\n", kStrong, kGo},
      {"If-Modified-Since, same", "GET", Dated("If-Modified-Since", kSame), kStrong, kHasIt},
      {"If-Modified-Since, after", "GET", Dated("If-Modified-Since", kAfter), kStrong, kHasIt},
      {"If-Modified-Since, before", "GET", Dated("If-Modified-Since", kBefore), kStrong, kGo},
      {"If-Modified-Since, no date", "GET", "If-Modified-Since: yesterday\r\n", kStrong, kGo},
      {"If-Modified-Since without our date", "GET", Dated("If-Modified-Since", kSame), kNone, kGo},
      {"If-Modified-Since on POST", "POST", Dated("If-Modified-Since", kSame), kStrong, kGo},
      {"If-Modified-Since twice",
       "GET",
       Dated("If-Modified-Since", kSame) + Dated("If-Modified-Since", kSame),
       kStrong,
       kGo},
      {"If-None-Match goes before If-Modified-Since",
       "GET",
       "If-None-Match: \"v2\"\r\n" + Dated("If-Modified-Since", kSame),
       kStrong,
       kGo},
      {"and says not modified where the date says so too late",
       "GET",
       "If-None-Match: \"v1\"\r\n" + Dated("If-Modified-Since", kBefore),
       kStrong,
       kHasIt},
      {"If-Match, same", "PUT", "If-Match: \"v1\"\r\n", kStrong, kGo},
      {"If-Match, another", "PUT", "If-Match: \"v2\"\r\n", kStrong, kFail},
      {"If-Match, in a list", "PUT", "If-Match: \"v2\",\"v1\"\r\n", kStrong, kGo},
      {"If-Match is strong: weak to strong", "PUT", "If-Match: W/\"v1\"\r\n", kStrong, kFail},
      {"If-Match is strong: strong to weak", "PUT", "If-Match: \"v1\"\r\n", kWeak, kFail},
      {"If-Match: *", "PUT", "If-Match: *\r\n", kNone, kGo},
      {"If-Match, not a list", "PUT", "If-Match: \"v1\" \"v1\"\r\n", kStrong, kFail},
      {"If-Match on GET", "GET", "If-Match: \"v2\"\r\n", kStrong, kFail},
      {"If-Unmodified-Since, same", "PUT", Dated("If-Unmodified-Since", kSame), kStrong, kGo},
      {"If-Unmodified-Since, before", "PUT", Dated("If-Unmodified-Since", kBefore), kStrong, kFail},
      {"If-Unmodified-Since, no date", "PUT", "If-Unmodified-Since: never\r\n", kStrong, kGo},
      {"If-Match goes before If-Unmodified-Since",
       "PUT",
       "If-Match: \"v1\"\r\n" + Dated("If-Unmodified-Since", kBefore),
       kStrong,
       kGo},
      {"If-Match goes before If-None-Match",
       "GET",
       "If-Match: \"v2\"\r\nIf-None-Match: \"v1\"\r\n",
       kStrong,
       kFail},
      {"both hold", "GET", "If-Match: \"v1\"\r\nIf-None-Match: \"v1\"\r\n", kStrong, kHasIt},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.why);
    const ParsedHead head(HeadWith(row.fields, row.method));
    ASSERT_FALSE(head.refused());
    EXPECT_EQ(EvaluatePreconditions(*head, row.validators), row.verdict);
  }
}

TEST(IfRange, LetsARangeCountOnlyForTheSameRepresentation) {
  const std::string range = "Range: bytes=0-1\r\n";
  constexpr Validators kJustNow{
      .etag = EntityTag{"v1"}, .last_modified = kModified, .now = kModified};
  const struct {
    std::string why;
    std::string_view method;
    std::string fields;
    const Validators& validators;
    bool applies;
  } rows[] = {
      {"no Range", "GET", "", kStrong, false},
      {"a Range alone", "GET", range, kStrong, true},
      {"two Ranges", "GET", range + range, kStrong, false},
      {"HEAD", "HEAD", range, kStrong, false},
      {"POST", "POST", range, kStrong, false},
      {"same tag", "GET", range + "If-Range: \"v1\"\r\n", kStrong, true},
      {"another tag", "GET", range + "If-Range: \"v2\"\r\n", kStrong, false},
      {"a weak tag", "GET", range + "If-Range: W/\"v1\"\r\n", kWeak, false},
      {"a strong tag where ours is weak", "GET", range + "If-Range: \"v1\"\r\n", kWeak, false},
      {"a list", "GET", range + "If-Range: \"v1\", \"v1\"\r\n", kStrong, false},
      {"*", "GET", range + "If-Range: *\r\n", kStrong, false},
      {"two If-Ranges", "GET", range + "If-Range: \"v1\"\r\nIf-Range: \"v1\"\r\n", kStrong, false},
      {"same date", "GET", range + Dated("If-Range", kSame), kStrong, true},
      {"a later date is another date", "GET", range + Dated("If-Range", kAfter), kStrong, false},
      {"an earlier date", "GET", range + Dated("If-Range", kBefore), kStrong, false},
      {"a date of this second", "GET", range + Dated("If-Range", kSame), kJustNow, false},
      {"no validators", "GET", range + Dated("If-Range", kSame), kNone, false},
      {"rubbish", "GET", range + "If-Range: rubbish\r\n", kNone, false},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.why);
    const ParsedHead head(HeadWith(row.fields, row.method));
    ASSERT_FALSE(head.refused());
    EXPECT_EQ(RangeApplies(*head, row.validators), row.applies);
  }
}

}  // namespace
}  // namespace onebox::http
