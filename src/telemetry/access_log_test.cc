#include "telemetry/access_log.h"

#include <array>
#include <cstdlib>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/testing.h"
#include "telemetry/properties.h"

namespace onebox::telemetry {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

class AccessFormatTest : public ::testing::Test {
 protected:
  void SetUp() override { UseTimeZone("UTC"); }
  void TearDown() override { UseTimeZone("UTC"); }

  static void UseTimeZone(const char* zone) {
    ::setenv("TZ", zone, 1);  // NOLINT(concurrency-mt-unsafe): no other thread is here
    ::tzset();                // NOLINT(concurrency-mt-unsafe)
  }
};

constexpr std::array kRequestFields = {
    NamedField{"Referer", "https://example.org/"},
    NamedField{"User-Agent", "curl/7.88.1"},
    NamedField{"X-Quoted", "a\"b\\c\r\nd"},
};
constexpr std::array kResponseFields = {NamedField{"Content-Type", "text/html"}};

// At 2026-11-23T21:00:00.123Z.
AccessRecord Example() {
  AccessRecord record;
  record.time = WallTime(seconds(1'795'467'600) + milliseconds(123));
  record.client = "192.0.2.7";
  record.scheme = "https";
  record.method = "GET";
  record.target = "/a%20b?c=d";
  record.path = "/a b";
  record.query = "c=d";
  record.protocol = "HTTP/1.1";
  record.host = "example.org";
  record.request_id = "0123abcd";
  record.status = 200;
  record.body_bytes = 5120;
  record.sent_bytes = 5300;
  record.request_bytes = 80;
  record.total = microseconds(1'500'042);
  record.queue_wait = milliseconds(2);
  record.run = microseconds(1'497'001);
  record.worker_pid = 99;
  record.connection_requests = 3;
  record.upstream = "http://10.0.0.2:8000";
  record.request_fields = FieldLookup(kRequestFields);
  record.response_fields = FieldLookup(kResponseFields);
  return record;
}

std::string Line(std::string_view format, const AccessRecord& record) {
  auto parsed = AccessFormat::Parse(format);
  if (!parsed.ok()) return parsed.error().message;
  std::string out;
  parsed.value().Append(out, record);
  return out;
}

TEST_F(AccessFormatTest, WritesEachAtom) {
  struct Case {
    std::string_view format, text;
  };
  constexpr std::array kCases = {
      // Gunicorn's
      Case{"%(h)s", "192.0.2.7"},
      Case{"%(l)s", "-"},
      Case{"%(u)s", "-"},
      Case{"%(t)s", "[23/Nov/2026:21:00:00 +0000]"},
      Case{"%(r)s", "GET /a%20b?c=d HTTP/1.1"},
      Case{"%(m)s", "GET"},
      Case{"%(U)s", "/a b"},
      Case{"%(q)s", "c=d"},
      Case{"%(H)s", "HTTP/1.1"},
      Case{"%(s)s", "200"},
      Case{"%(B)s", "5120"},
      Case{"%(b)s", "5120"},
      Case{"%(f)s", "https://example.org/"},
      Case{"%(a)s", "curl/7.88.1"},
      Case{"%(T)s", "1"},
      Case{"%(M)s", "1500"},
      Case{"%(D)s", "1500042"},
      Case{"%(L)s", "1.500042"},
      Case{"%(p)s", "<99>"},
      Case{"%({X-Quoted}i)s", "a\\x22b\\x5Cc\\x0D\\x0Ad"},
      Case{"%({content-type}o)s", "text/html"},
      Case{"%({X-None}i)s", "-"},
      Case{"%({REMOTE_ADDR}e)s", "192.0.2.7"},
      Case{"%({REQUEST_METHOD}e)s", "GET"},
      Case{"%({raw_uri}e)s", "/a%20b?c=d"},
      Case{"%({PATH_INFO}e)s", "/a b"},
      Case{"%({QUERY_STRING}e)s", "c=d"},
      Case{"%({SERVER_PROTOCOL}e)s", "HTTP/1.1"},
      Case{"%({wsgi.url_scheme}e)s", "https"},
      Case{"%({HTTP_USER_AGENT}e)s", "curl/7.88.1"},
      Case{"%({CONTENT_TYPE}e)s", "-"},
      // nginx's
      Case{"$remote_addr", "192.0.2.7"},
      Case{"$remote_user", "-"},
      Case{"$time_local", "23/Nov/2026:21:00:00 +0000"},
      Case{"$time_iso8601", "2026-11-23T21:00:00+00:00"},
      Case{"$msec", "1795467600.123"},
      Case{"$request", "GET /a%20b?c=d HTTP/1.1"},
      Case{"$request_method", "GET"},
      Case{"$request_uri", "/a%20b?c=d"},
      Case{"$uri", "/a b"},
      Case{"$document_uri", "/a b"},
      Case{"$args", "c=d"},
      Case{"$query_string", "c=d"},
      Case{"$content_length", "-"},
      Case{"$status", "200"},
      Case{"$body_bytes_sent", "5120"},
      Case{"$bytes_sent", "5300"},
      Case{"$http_user_agent", "curl/7.88.1"},
      Case{"$http_x_none", "-"},
      Case{"$sent_http_content_type", "text/html"},
      Case{"$request_time", "1.500"},
      Case{"$queue_time", "0.002000"},
      Case{"$upstream_response_time", "1.497001"},
      Case{"$request_id", "0123abcd"},
      Case{"$server_protocol", "HTTP/1.1"},
      Case{"$scheme", "https"},
      Case{"$host", "example.org"},
      Case{"$request_length", "80"},
      Case{"$pid", "99"},
      Case{"$connection_requests", "3"},
      Case{"$upstream_addr", "http://10.0.0.2:8000"},
      // what stands around them
      Case{"${status}ms $$5 100%% \"$host\"\t.", "200ms $5 100% \"example.org\"\t."},
      Case{"%(m)s%(s)s$status", "GET200200"},
      Case{"\xc3\xa9 $status", "\xc3\xa9 200"},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.format);
    EXPECT_EQ(Line(c.format, Example()), std::string(c.text) + "\n");
  }
}

TEST_F(AccessFormatTest, KnowsTheCombinedAndTheCommonFormat) {
  AccessRecord record = Example();
  record.user = "anna b";
  EXPECT_EQ(Line("common", record),
            "192.0.2.7 - anna\\x20b [23/Nov/2026:21:00:00 +0000] "
            "\"GET /a%20b?c=d HTTP/1.1\" 200 5120\n");
  EXPECT_EQ(Line("combined", record),
            "192.0.2.7 - anna\\x20b [23/Nov/2026:21:00:00 +0000] "
            "\"GET /a%20b?c=d HTTP/1.1\" 200 5120 \"https://example.org/\" \"curl/7.88.1\"\n");
}

TEST_F(AccessFormatTest, WritesDashesForWhatARequestDoesNotHave) {
  const AccessRecord nothing;
  EXPECT_EQ(Line("%(h)s %(r)s $request %(b)s %(q)s $args $upstream_response_time %(f)s", nothing),
            "- - - 0  - - -\n");
  EXPECT_EQ(Line("$request_time %(T)s %(L)s $msec", nothing), "0.000 0 0.000000 0.000\n");
}

TEST_F(AccessFormatTest, WritesJsonThatReadsBackAsTheRequest) {
  const auto line = nlohmann::json::parse(Line("json", Example()));
  EXPECT_EQ(line["time"], "2026-11-23T21:00:00.123Z");
  EXPECT_EQ(line["client"], "192.0.2.7");
  EXPECT_EQ(line["user"], "");
  EXPECT_EQ(line["target"], "/a%20b?c=d");
  EXPECT_EQ(line["status"], 200);
  EXPECT_EQ(line["body_bytes"], 5120);
  EXPECT_EQ(line["total_seconds"], 1.500042);
  EXPECT_EQ(line["run_seconds"], 1.497001);
  EXPECT_EQ(line["worker"], 99);
  EXPECT_EQ(line["upstream"], "http://10.0.0.2:8000");
  EXPECT_EQ(line["user_agent"], "curl/7.88.1");

  AccessRecord record;
  record.target = "\"\\\n\t\x1b\x7f\xc3\xa9\xff\xc2\x9b";
  const auto hostile = nlohmann::json::parse(Line("json", record));
  EXPECT_EQ(hostile["target"], "\"\\\n\t\x1b\x7f\xc3\xa9\xc3\xbf\xc3\x82\xc2\x9b")
      << "bytes that are not UTF-8, and controls, become the characters of their numbers";
  EXPECT_TRUE(hostile["run_seconds"].is_null());
}

TEST_F(AccessFormatTest, SaysWhatIsWrongAndWhatIsNearest) {
  struct Case {
    std::string_view format, message;
  };
  constexpr std::array kCases = {
      Case{"", "it is empty"},
      Case{"$request_tme", "$request_tme is not known: did you mean $request_time?"},
      Case{"${statsu}", "did you mean $status?"},
      Case{"%(S)s", "%(S)s is not known: did you mean %(s)s?"},
      Case{"%(x)s", "there are only %(h)s %(l)s"},
      Case{"$foo", "there are only $remote_addr"},
      Case{"$http_", "is not known"},
      Case{"%(h)", "write %(h)s for a value, %% for a percent sign"},
      Case{"100%", "%% for a percent sign"},
      Case{"$", "$$ for a dollar sign"},
      Case{"${status", "$$ for a dollar sign"},
      Case{"%({Referer}x)s", "%({Name}i)s of the request"},
      Case{"%({}i)s", "%({Name}i)s of the request"},
      Case{"%({USER}e)s", "of the app's environ only HTTP_*, CONTENT_*"},
      Case{"%({HTTP_}e)s", "of the app's environ only HTTP_*, CONTENT_*"},
      Case{"%({Referer)s", "%({Name}i)s of the request"},
      Case{"a\nb", "a\\x0Ab: a format has no control characters"},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.format);
    const auto parsed = AccessFormat::Parse(c.format);
    ASSERT_FALSE(parsed.ok());
    EXPECT_NE(parsed.error().message.find(c.message), std::string::npos) << parsed.error().message;
    EXPECT_TRUE(parsed.error().message.starts_with("access log format: "));
  }
}

TEST_F(AccessFormatTest, WritesTheTimeInTheZoneOfTheMachineAndANewTextEachSecond) {
  UseTimeZone("XYZ-05:30");
  auto format = AccessFormat::Parse("%(t)s $time_iso8601").value();
  AccessRecord record = Example();
  std::string out;
  format.Append(out, record);
  record.time += milliseconds(876);
  format.Append(out, record);
  record.time += milliseconds(1);
  format.Append(out, record);
  EXPECT_EQ(out,
            "[24/Nov/2026:02:30:00 +0530] 2026-11-24T02:30:00+05:30\n"
            "[24/Nov/2026:02:30:00 +0530] 2026-11-24T02:30:00+05:30\n"
            "[24/Nov/2026:02:30:01 +0530] 2026-11-24T02:30:01+05:30\n");
  UseTimeZone("XYZ+03");
  EXPECT_EQ(Line("$time_local", Example()), "23/Nov/2026:18:00:00 -0300\n");
}

TEST_F(AccessFormatTest, AsksACallerThatHasItsOwnFieldsByTheirLowerCaseNames) {
  const auto find = [](std::string_view name) -> std::string_view {
    return name == "x-mixed" ? "found" : "";
  };
  AccessRecord record;
  record.request_fields = FieldLookup::By(find);
  EXPECT_EQ(Line("%({X-Mixed}i)s $http_X_Mixed $http_referer", record), "found found -\n");
}

TEST(FuzzedInputs, OfAccessFormatsHoldTheirProperties) {
  EXPECT_GT(ReplayFuzzed("access_format_fuzz", properties::CheckAccessFormat), 0);
}

}  // namespace
}  // namespace onebox::telemetry
