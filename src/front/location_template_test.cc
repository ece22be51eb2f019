#include "front/location_template.h"

#include <string>

#include <gtest/gtest.h>

#include "http/path.h"
#include "http/response_head.h"

namespace onebox::front {
namespace {

std::string Made(std::string_view text, const LocationParts& parts) {
  const auto made = LocationTemplate::Parse(text);
  return made.ok() ? made.value().For(parts) : "refused: " + made.error().message;
}

TEST(LocationTemplate, PutsPartsOfTheRequestIntoItsText) {
  const LocationParts parts{.host = "game.example:8000",
                            .path = "/old/a b/\xc3\xa9",
                            .rest = "a b/\xc3\xa9",
                            .query = "x=1&y=%41|"};
  const struct {
    const char* text;
    const char* location;
  } rows[] = {
      {"https://new.example/", "https://new.example/"},
      {"https://new.example", "https://new.example"},
      {"https://new.example$path", "https://new.example/old/a%20b/%C3%A9"},
      {"https://new.example$path$query", "https://new.example/old/a%20b/%C3%A9?x=1&y=%41%7C"},
      {"https://$host$path", "https://game.example/old/a%20b/%C3%A9"},
      {"https://www.$host:8443/", "https://www.game.example:8443/"},
      {"https://[::1]:80/x", "https://[::1]:80/x"},
      {"/new/$rest", "/new/a%20b/%C3%A9"},
      {"/new/$rest?from=$path", "/new/a%20b/%C3%A9?from=/old/a%20b/%C3%A9"},
      {"$path/", "/old/a%20b/%C3%A9/"},
      {"/price$$$query", "/price$?x=1&y=%41%7C"},
      {"/a#b", "/a#b"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.text);
    EXPECT_EQ(Made(row.text, parts), row.location);
  }
}

TEST(LocationTemplate, LeavesTheQuestionMarkOutWhereThereIsNoQuery) {
  EXPECT_EQ(
      Made("https://new.example$path$query", {.host = "", .path = "/a", .rest = "", .query = ""}),
      "https://new.example/a");
}

TEST(LocationTemplate, LeadsToNoOtherHostWhateverTheRequestSays) {
  const struct {
    const char* text;
    const char* path;
    const char* location;
  } rows[] = {
      {"$path", "//evil.example/", "/evil.example/"},
      {"$path", "///evil.example", "/evil.example"},
      {"/$rest", "/evil.example", "/evil.example"},
      {"/$rest", "\\evil.example", "/%5Cevil.example"},
      {"$path", "/\\evil.example", "/%5Cevil.example"},
      {"$path", "/a\r\nSet-Cookie: b", "/a%0D%0ASet-Cookie:%20b"},
      {"$path", "/\t/evil.example", "/%09/evil.example"},
      {"https://new.example$path", "/@evil.example", "https://new.example/@evil.example"},
      {"$path", "/a?b#c%41", "/a%3Fb%23c%2541"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.path);
    EXPECT_EQ(Made(row.text, {.host = "h", .path = row.path, .rest = row.path, .query = ""}),
              row.location);
  }
}

TEST(LocationTemplate, IsAValidFieldOfOneHostForAnyByteOfTheRequest) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text =
        std::string("/") + static_cast<char>(byte) + "/" + static_cast<char>(byte);
    const std::string location =
        Made("/x$path?$rest$query", {.host = "", .path = text, .rest = text, .query = text});
    EXPECT_TRUE(http::IsValidFieldValue(location)) << byte;
    EXPECT_TRUE(Made("$path", {.host = "", .path = text, .rest = text, .query = text}).find("//") !=
                0)
        << byte;
  }
}

TEST(LocationTemplate, SaysWhatIsWrongWithItsText) {
  const struct {
    const char* text;
    const char* why;
  } rows[] = {
      {"", "it must begin with \"http://\", \"https://\", \"/\" or \"$path\""},
      {"new.example", "it must begin with \"http://\", \"https://\", \"/\" or \"$path\""},
      {"//new.example/", "it must begin with \"http://\", \"https://\", \"/\" or \"$path\""},
      {"javascript:alert(1)", "it must begin with \"http://\", \"https://\", \"/\" or \"$path\""},
      {"https://", "it names no host"},
      {"https:///a", "it names no host"},
      {"https://$path", "it names no host"},
      {"$host/", "it must not begin with $host"},
      {"$query", "it must not begin with $query"},
      {"$rest", "it must not begin with $rest"},
      {"https://new.example$rest",
       "a \"/\" is missing before $rest, which would be a part of the host"},
      {"https://new.example$query$rest",
       "a \"/\" is missing before $query, or something follows it"},
      {"https://new.example$query.org",
       "a \"/\" is missing before $query, or something follows it"},
      {"/$uri", "there is no $uri: there are $host, $path, $rest and $query"},
      {"/$", "there is no $: there are $host, $path, $rest and $query"},
      {"/a b", "a character in it is none of an URL"},
      {"/a\r\nb", "a character in it is none of an URL"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.text);
    const auto made = LocationTemplate::Parse(row.text);
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().message, row.why);
  }
  EXPECT_TRUE(LocationTemplate::Parse("/a/$rest").value().has_rest());
  EXPECT_FALSE(LocationTemplate::Parse("/a$path").value().has_rest());
  EXPECT_TRUE(LocationTemplate::Parse("https://$host").value().has_host());
}

}  // namespace
}  // namespace onebox::front
