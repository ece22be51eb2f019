#include "main/target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onebox::main {
namespace {

TEST(WrongTarget, LeavesAloneWhatPythonMayLoad) {
  for (const char* target : {"app",
                             "a.b_2:app",
                             "app:app",
                             "app:factory.app",
                             "app: create ( 'x' ) ",
                             "app:create_app()",
                             "app:create('a)(', \"it's\", [1, {2: (3,)}], key='\\'')",
                             "app:create(not_a_literal)",
                             "app:(app)",
                             "m\xc3\xbcll:app"}) {
    SCOPED_TRACE(target);
    EXPECT_EQ(WrongTarget(target), std::nullopt);
  }
}

TEST(WrongTarget, SaysWhyAndWhatToWrite) {
  struct Case {
    const char* target;
    const char* why;
  };
  const Case cases[] = {
      {":app", "\":app\" names no module; write MODULE:app"},
      {"app/app:app",
       "\"app/app\" is not the name of a module; folders are set apart by points, as in an import, "
       "or chosen with app.chdir"},
      {"my-app:app", "\"my-app\" is not the name of a module"},
      {"app.:app", "\"app.\" is not the name of a module"},
      {"app:",
       "\"app:\" names nothing behind the colon; \"app\" alone takes its app or application"},
      {"app:create(x", "a bracket or a quote in \"create(x\" is not closed"},
      {"app:create('x)", "a bracket or a quote in \"create('x)\" is not closed"},
      {"app:create([x)]", "a bracket or a quote in \"create([x)]\" is not closed"},
      {"app:create)", "\"create)\" is neither an attribute nor a call of one"},
      {"app:create())", "\")\" stands behind the call in \"create())\""},
      {"app:a-b", "\"a-b\" is neither an attribute nor a call of one"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.target);
    EXPECT_EQ(WrongTarget(c.target), c.why);
  }
}

}  // namespace
}  // namespace onebox::main
