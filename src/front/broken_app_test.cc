#include "front/broken_app.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onebox::front {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(BrokenApp, ShowsTheStoryAsTextAndNotAsMarkup) {
  const BrokenApp broken = MakeBrokenApp(1, "File \"<string>\"\nE: <script>alert('&')</script>");
  EXPECT_THAT(broken.page,
              HasSubstr("<pre>File &quot;&lt;string&gt;&quot;\n"
                        "E: &lt;script&gt;alert('&amp;')&lt;/script&gt;</pre>"));
  EXPECT_THAT(broken.page, Not(HasSubstr("alert('&')</script>")));
}

TEST(BrokenApp, KnowsItsPageByItsNumber) {
  const BrokenApp broken = MakeBrokenApp(7, "{}");
  EXPECT_EQ(broken.fields, "Cache-Control: no-store\r\nX-Onebox-Broken: 7\r\n");
  EXPECT_THAT(broken.page, HasSubstr("method: \"HEAD\""));
  EXPECT_THAT(broken.page, HasSubstr("get(\"X-Onebox-Broken\") !== \"7\") location.reload();"));
  EXPECT_THAT(broken.page, HasSubstr("<pre>{}</pre>"));
}

TEST(BrokenApp, TellsProgramsInJson) {
  EXPECT_EQ(BrokenAppJson(MakeBrokenApp(1, "line 1\n\"x\" <\x01\xff"), "an-id"),
            R"({"status":500,"title":"Internal Server Error","error":"the app cannot be loaded",)"
            R"("traceback":"line 1\n\"x\" <\u0001\u00FF","request_id":"an-id"})"
            "\n");
}

}  // namespace
}  // namespace onebox::front
