#include "front/broken_app.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onebox::front {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(BrokenApp, ShowsTheStoryAsTextAndNotAsMarkup) {
  const BrokenApp broken = MakeBrokenApp("File \"<string>\"\nE: <script>alert('&')</script>");
  EXPECT_THAT(broken.page,
              HasSubstr("<pre>File &quot;&lt;string&gt;&quot;\n"
                        "E: &lt;script&gt;alert('&amp;')&lt;/script&gt;</pre>"));
  EXPECT_THAT(broken.page, Not(HasSubstr("alert('&')</script>")));
}

TEST(BrokenApp, KnowsItsPageByItsMark) {
  const BrokenApp broken = MakeBrokenApp("{}");
  EXPECT_EQ(broken.fields, "Cache-Control: no-store\r\nX-Onebox-Broken: " + broken.mark + "\r\n");
  EXPECT_THAT(broken.page, HasSubstr("method: \"HEAD\""));
  EXPECT_THAT(
      broken.page,
      HasSubstr("get(\"X-Onebox-Broken\") !== \"" + broken.mark + "\") location.reload();"));
  EXPECT_THAT(broken.page, HasSubstr("<pre>{}</pre>"));
  EXPECT_EQ(MakeBrokenApp("{}").mark, broken.mark);
  EXPECT_NE(MakeBrokenApp("[]").mark, broken.mark);
}

TEST(BrokenApp, TellsProgramsInJson) {
  EXPECT_EQ(BrokenAppJson(MakeBrokenApp("line 1\n\"x\" <\x01\xff"), "an-id"),
            R"({"status":500,"title":"Internal Server Error","error":"the app cannot be loaded",)"
            R"("traceback":"line 1\n\"x\" <\u0001\u00FF","request_id":"an-id"})"
            "\n");
}

}  // namespace
}  // namespace onebox::front
