#include "http/cache_control.h"

#include <string>

#include <gtest/gtest.h>

namespace onebox::http {
namespace {

using std::chrono::seconds;

CacheControl Said(std::string_view value) {
  CacheControl control;
  control.Add(value);
  return control;
}

TEST(CacheControl, ReadsEachDirective) {
  const struct {
    std::string_view value;
    CacheControl control;
  } rows[] = {
      {"", {}},
      {"no-store", {.no_store = true}},
      {"No-Cache", {.no_cache = true}},
      {"private", {.is_private = true}},
      {"public, max-age=60", {.is_public = true, .max_age = seconds(60)}},
      {"s-maxage=10,max-age=5", {.max_age = seconds(5), .s_maxage = seconds(10)}},
      {"must-revalidate, proxy-revalidate", {.must_revalidate = true, .proxy_revalidate = true}},
      {"no-transform", {.no_transform = true}},
      {"only-if-cached", {.only_if_cached = true}},
      {"max-stale", {.any_stale = true}},
      {"max-stale=7", {.max_stale = seconds(7)}},
      {"min-fresh=3", {.min_fresh = seconds(3)}},
      {"stale-while-revalidate=30", {.stale_while_revalidate = seconds(30)}},
      {"stale-if-error=0", {.stale_if_error = seconds(0)}},
      {"immutable, must-understand, community=\"UCI\"", {}},
      {",, \t, no-store ,,", {.no_store = true}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.value);
    EXPECT_EQ(Said(row.value), row.control);
  }
}

TEST(CacheControl, TakesTheCarefulSideWhereItIsNotClear) {
  const struct {
    std::string_view value;
    CacheControl control;
    std::string_view why;
  } rows[] = {
      {"max-age=60, max-age=10", {.max_age = seconds(10)}, "the shorter of two"},
      {"max-age=10, max-age=60", {.max_age = seconds(10)}, "in any order"},
      {"max-age=", {.max_age = seconds(0)}, "no number is no time"},
      {"max-age", {.max_age = seconds(0)}, "neither is none at all"},
      {"max-age=-1", {.max_age = seconds(0)}, "a sign is no digit"},
      {"max-age=1.5", {.max_age = seconds(0)}, "nor is a point"},
      {"max-age=60s", {.max_age = seconds(0)}, "nor a unit"},
      {"max-age=\"60\"", {.max_age = seconds(60)}, "RFC 9111 5.2: both forms are to be taken"},
      {"max-age = 60", {.max_age = seconds(60)}, "spaces that should not be there"},
      {"max-age=99999999999999999999999", {.max_age = kCacheSecondsMax}, "too long is very long"},
      {"min-fresh=x", {.min_fresh = kCacheSecondsMax}, "a client that wants it fresh"},
      {"min-fresh=1, min-fresh=2", {.min_fresh = seconds(2)}, "the longer of two"},
      {"private=\"X-A, X-B\"", {.is_private = true}, "a part that is private makes all of it so"},
      {"no-cache=\"Set-Cookie\", max-age=5",
       {.no_cache = true, .max_age = seconds(5)},
       "a part likewise"},
      {"ext=\"a, no-store\"", {}, "what is in quotes is no directive"},
      {R"(ext="a\", no-store", public)", {.is_public = true}, "an escaped quote ends nothing"},
      {"ext=\"a, no-store", {}, "quotes that do not end take the rest"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.why);
    EXPECT_EQ(Said(row.value), row.control) << row.value;
  }
}

TEST(CacheControl, AddsUpSeveralFields) {
  CacheControl control;
  control.Add("max-age=60");
  control.Add("private, max-age=30");
  EXPECT_TRUE(control.is_private);
  EXPECT_EQ(control.max_age, seconds(30));
}

TEST(DeltaSeconds, AreDigitsAndNothingElse) {
  EXPECT_EQ(ParseDeltaSeconds("0"), seconds(0));
  EXPECT_EQ(ParseDeltaSeconds("2147483648"), kCacheSecondsMax);
  EXPECT_EQ(ParseDeltaSeconds("2147483649"), kCacheSecondsMax);
  for (const char* text : {"", "+1", " 1", "1 ", "0x1", "1e3"}) {
    SCOPED_TRACE(text);
    EXPECT_FALSE(ParseDeltaSeconds(text));
  }
}

}  // namespace
}  // namespace onebox::http
