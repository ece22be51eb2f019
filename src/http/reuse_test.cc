#include "http/reuse.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace onebox::http {
namespace {

using std::chrono::seconds;

constexpr std::int64_t kNow = 784111777;  // Sun, 06 Nov 1994 08:49:37 GMT
constexpr std::string_view kMinuteLater = "Sun, 06 Nov 1994 08:50:37 GMT";
constexpr std::string_view kMinuteBefore = "Sun, 06 Nov 1994 08:48:37 GMT";

using Fields = std::vector<std::pair<std::string_view, std::string_view>>;

ReuseFields Read(int status, const Fields& fields) {
  ReuseFields read{.status = status};
  for (const auto& [name, value] : fields)
    read.Take(name, value, kNow);
  return read;
}

AskedWith Asked(std::string_view control, bool authorization = false) {
  AskedWith asked;
  asked.control.Add(control);
  asked.authorization = authorization;
  return asked;
}

Judgement JudgeOf(int status,
                  const Fields& fields,
                  const ReusePolicy& policy = {},
                  const AskedWith& asked = {}) {
  return Judge(Read(status, fields), asked, policy, kNow);
}

TEST(Reuse, KeepsNothingThatMayBelongToOne) {
  const ReusePolicy minute{.ttl = seconds(60)};
  const struct {
    std::string_view why;
    int status;
    Fields fields;
    AskedWith asked;
    NotStored reason;
  } rows[] = {
      {"no-store", 200, {{"Cache-Control", "no-store, max-age=60"}}, {}, NotStored::kNoStore},
      {"private", 200, {{"Cache-Control", "private, max-age=60"}}, {}, NotStored::kPrivate},
      {"a part that is private",
       200,
       {{"Cache-Control", "private=\"a\""}},
       {},
       NotStored::kPrivate},
      {"a cookie is set", 200, {{"Set-Cookie", "a=1"}}, {}, NotStored::kSetCookie},
      {"though it is public",
       200,
       {{"Cache-Control", "public, s-maxage=60"}, {"set-cookie", "a=1"}},
       {},
       NotStored::kSetCookie},
      {"varies by what nobody knows", 200, {{"Vary", "Accept, *"}}, {}, NotStored::kVaryAny},
      {"varies by cookies", 200, {{"Vary", "Accept-Encoding, cookie"}}, {}, NotStored::kVaryCookie},
      {"authorized", 200, {}, Asked("", true), NotStored::kAuthorization},
      {"authorized, for a time",
       200,
       {{"Cache-Control", "max-age=60"}},
       Asked("", true),
       NotStored::kAuthorization},
      {"the client asks not to", 200, {}, Asked("no-store"), NotStored::kRequestNoStore},
      {"a part", 206, {{"Cache-Control", "max-age=60"}}, {}, NotStored::kStatus},
      {"not modified", 304, {{"Cache-Control", "max-age=60"}}, {}, NotStored::kStatus},
      {"to a login page", 302, {}, {}, NotStored::kStatus},
      {"forbidden", 403, {}, {}, NotStored::kStatus},
      {"broken", 500, {}, {}, NotStored::kStatus},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.why);
    EXPECT_EQ(JudgeOf(row.status, row.fields, minute, row.asked).reason, row.reason);
  }
}

TEST(Reuse, KeepsForAuthorizedWhatTheAppSaysIsForAll) {
  for (const std::string_view control :
       {"public, max-age=60", "s-maxage=60", "must-revalidate, max-age=60"}) {
    SCOPED_TRACE(control);
    const Judgement judged = JudgeOf(200, {{"Cache-Control", control}}, {}, Asked("", true));
    EXPECT_EQ(judged.reason, NotStored::kStored);
    EXPECT_TRUE(judged.lifetime.for_authorized);
  }
  EXPECT_FALSE(JudgeOf(200, {{"Cache-Control", "max-age=60"}}).lifetime.for_authorized);
}

TEST(Reuse, KeepsWhatVariesByCookiesWhereTheRouteNamesThem) {
  const ReusePolicy names{.ttl = seconds(60), .names_cookies = true};
  EXPECT_EQ(JudgeOf(200, {{"Vary", "Cookie"}}, names).reason, NotStored::kStored);
  EXPECT_EQ(JudgeOf(200, {{"Vary", "Cookie"}, {"Set-Cookie", "a=1"}}, names).reason,
            NotStored::kSetCookie);
}

TEST(Reuse, TakesTheLifetimeFromTheFirstThatSaysOne) {
  const ReusePolicy nothing;
  const ReusePolicy minute{.ttl = seconds(60)};
  const struct {
    std::string_view why;
    Fields fields;
    ReusePolicy policy;
    seconds fresh;  // negative: not kept
  } rows[] = {
      {"s-maxage first",
       {{"Cache-Control", "max-age=10, s-maxage=20"}, {"Expires", kMinuteLater}},
       nothing,
       seconds(20)},
      {"then max-age",
       {{"Cache-Control", "max-age=10"}, {"Expires", kMinuteLater}},
       nothing,
       seconds(10)},
      {"then Expires, from its Date",
       {{"Expires", kMinuteLater}, {"Date", kMinuteBefore}},
       nothing,
       seconds(120)},
      {"or from now", {{"Expires", kMinuteLater}}, nothing, seconds(60)},
      {"Expires in the past", {{"Expires", kMinuteBefore}}, nothing, seconds(-1)},
      {"Expires that is no date", {{"Expires", "0"}}, minute, seconds(-1)},
      {"of two the earlier",
       {{"Expires", kMinuteLater}, {"Expires", kMinuteBefore}},
       nothing,
       seconds(-1)},
      {"nobody", {}, nothing, seconds(-1)},
      {"nobody, though it was changed long ago",
       {{"Last-Modified", "Sun, 06 Nov 1983 08:49:37 GMT"}},
       nothing,
       seconds(-1)},
      {"then the route", {}, minute, seconds(60)},
      {"the app before the route", {{"Cache-Control", "max-age=5"}}, minute, seconds(5)},
      {"also where it says none", {{"Cache-Control", "max-age=0"}}, minute, seconds(-1)},
      {"a number that is none", {{"Cache-Control", "max-age=soon"}}, minute, seconds(-1)},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.why);
    const Judgement judged = JudgeOf(200, row.fields, row.policy);
    if (row.fresh < seconds(0)) {
      EXPECT_EQ(judged.reason, NotStored::kNoLifetime);
    } else {
      EXPECT_EQ(judged.reason, NotStored::kStored);
      EXPECT_EQ(judged.lifetime.fresh, row.fresh);
    }
  }
}

TEST(Reuse, KeepsWhatIsNeverFreshWhereItCanBeAskedAboutAgain) {
  const Judgement by_tag =
      JudgeOf(200, {{"Cache-Control", "no-cache, max-age=60"}, {"ETag", "\"a\""}});
  EXPECT_EQ(by_tag.reason, NotStored::kStored);
  EXPECT_EQ(by_tag.lifetime.fresh, Duration(0));
  EXPECT_TRUE(by_tag.lifetime.no_cache);
  EXPECT_EQ(JudgeOf(200, {{"Cache-Control", "max-age=0"}, {"Last-Modified", kMinuteBefore}}).reason,
            NotStored::kStored);
  EXPECT_EQ(JudgeOf(200, {{"Cache-Control", "no-cache"}}).reason, NotStored::kNoLifetime);
}

TEST(Reuse, KeepsStatusesByTheirKind) {
  const ReusePolicy policy{.ttl = seconds(60), .stale = seconds(30), .negative_ttl = seconds(5)};
  const struct {
    int status;
    seconds fresh;  // negative: not kept
  } by_route[] = {
      {200, seconds(60)},
      {203, seconds(60)},
      {204, seconds(60)},
      {301, seconds(60)},
      {302, seconds(-1)},
      {303, seconds(-1)},
      {308, seconds(60)},
      {400, seconds(-1)},
      {401, seconds(-1)},
      {404, seconds(5)},
      {410, seconds(5)},
      {429, seconds(-1)},
      {500, seconds(-1)},
      {501, seconds(5)},
      {503, seconds(-1)},
  };
  for (const auto& row : by_route) {
    SCOPED_TRACE(row.status);
    const Judgement judged = JudgeOf(row.status, {}, policy);
    EXPECT_EQ(judged.reason, row.fresh < seconds(0) ? NotStored::kStatus : NotStored::kStored);
    if (row.fresh >= seconds(0)) {
      EXPECT_EQ(judged.lifetime.fresh, row.fresh);
    }
    EXPECT_EQ(judged.lifetime.stale > Duration(0), row.fresh >= seconds(0) && row.status < 400);
  }
  // What the app says of any status holds, up to the cap for errors.
  const Fields hour = {{"Cache-Control", "max-age=3600"}};
  EXPECT_EQ(JudgeOf(302, hour, policy).lifetime.fresh, seconds(3600));
  EXPECT_EQ(JudgeOf(503, hour, policy).lifetime.fresh, seconds(5));
  EXPECT_EQ(JudgeOf(404, hour, {.negative_ttl = seconds(0)}).reason, NotStored::kNoLifetime);
}

TEST(Reuse, ReadsAgesAndNamesOfManyFields) {
  const ReuseFields read = Read(
      200,
      {{"Age", "5"}, {"Age", "x"}, {"Age", "7, 3"}, {"Vary", "Accept, ,ACCEPT"}, {"Vary", "x-a"}});
  EXPECT_EQ(read.age, seconds(7));
  EXPECT_EQ(read.vary, (std::vector<std::string>{"accept", "x-a"}));
  EXPECT_FALSE(read.vary_any);
  EXPECT_TRUE(Read(200, {{"Vary", "a,b,c,d,e,f,g,h,i"}}).vary_any);
}

TEST(Age, IsTheLargerOfWhatIsSaidAndWhatIsSeen) {
  const Duration delay = seconds(2);
  EXPECT_EQ(InitialAge(Read(200, {}), kNow, delay), seconds(2));
  EXPECT_EQ(InitialAge(Read(200, {{"Age", "10"}}), kNow, delay), seconds(12));
  EXPECT_EQ(InitialAge(Read(200, {{"Date", kMinuteBefore}}), kNow, delay), seconds(60));
  EXPECT_EQ(InitialAge(Read(200, {{"Date", kMinuteBefore}, {"Age", "70"}}), kNow, delay),
            seconds(72));
  // A clock that is ahead of ours makes nothing younger.
  EXPECT_EQ(InitialAge(Read(200, {{"Date", kMinuteLater}}), kNow, delay), seconds(2));
}

TEST(Use, FollowsTheLifetimeAndTheClient) {
  const Lifetime plain{.fresh = seconds(60), .stale = seconds(30)};
  const Lifetime strict{.fresh = seconds(60), .must_ask = true};
  const Lifetime asks_always{.fresh = seconds(0), .no_cache = true, .must_ask = true};
  const struct {
    std::string_view why;
    Lifetime lifetime;
    seconds age;
    std::string_view asked;
    Use use;
  } rows[] = {
      {"new", plain, seconds(0), "", Use::kFresh},
      {"the last second", plain, seconds(59), "", Use::kFresh},
      {"its end", plain, seconds(60), "", Use::kWhileAsked},
      {"the end of that", plain, seconds(90), "", Use::kAskFirst},
      {"no-cache of the client", plain, seconds(0), "no-cache", Use::kAskFirst},
      {"max-age=0", plain, seconds(1), "max-age=0", Use::kAskFirst},
      {"max-age not reached", plain, seconds(10), "max-age=10", Use::kFresh},
      {"max-age passed", plain, seconds(11), "max-age=10", Use::kAskFirst},
      {"min-fresh holds", plain, seconds(50), "min-fresh=10", Use::kFresh},
      {"min-fresh does not", plain, seconds(51), "min-fresh=10", Use::kAskFirst},
      {"min-fresh takes nothing stale", plain, seconds(70), "min-fresh=0", Use::kAskFirst},
      {"max-stale", plain, seconds(100), "max-stale=40", Use::kStale},
      {"max-stale passed", plain, seconds(101), "max-stale=40", Use::kAskFirst},
      {"any max-stale", plain, seconds(9999), "max-stale", Use::kStale},
      {"must-revalidate wins", strict, seconds(61), "max-stale", Use::kAskFirst},
      {"must-revalidate while fresh", strict, seconds(59), "", Use::kFresh},
      {"no-cache of the app", asks_always, seconds(0), "max-stale", Use::kAskFirst},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.why);
    EXPECT_EQ(UseOf(row.lifetime, row.age, Asked(row.asked)), row.use);
  }
}

TEST(Use, LetsItStandInForAnErrorAsLongAsThatWasSaid) {
  const Lifetime lifetime{.fresh = seconds(60), .stale_if_error = seconds(300)};
  EXPECT_TRUE(MayStandIn(lifetime, seconds(359)));
  EXPECT_FALSE(MayStandIn(lifetime, seconds(360)));
  const Judgement strict =
      JudgeOf(200,
              {{"Cache-Control",
                "max-age=60, must-revalidate, stale-if-error=300, stale-while-revalidate=9"}});
  EXPECT_EQ(strict.lifetime.stale_if_error, Duration(0));
  EXPECT_EQ(strict.lifetime.stale, Duration(0));
  EXPECT_TRUE(strict.lifetime.must_ask);
}

TEST(NotModified, BringsAllUpToDateButWhatDescribesTheBytes) {
  EXPECT_TRUE(IsUpdatedBy304("Cache-Control"));
  EXPECT_TRUE(IsUpdatedBy304("Date"));
  EXPECT_TRUE(IsUpdatedBy304("X-Whatever"));
  EXPECT_FALSE(IsUpdatedBy304("content-length"));
  EXPECT_FALSE(IsUpdatedBy304("Content-Type"));
  EXPECT_FALSE(IsUpdatedBy304("etag"));
}

}  // namespace
}  // namespace onebox::http
