#include "main/gunicorn.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onebox::main {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kAnswer =
    R"json({"settings": [{"option": "app.workers", "values": ["9"], "source": "gunicorn.conf.py:1"},
                     {"option": "app.env", "values": ["A=1", "B="], "source": "gunicorn.conf.py:4"},
                     {"option": "log.access", "values": ["a.log"], "source": "gunicorn.conf.py:5"}],
        "lines": [{"source": "gunicorn.conf.py:1", "name": "workers", "value": "9",
                   "verdict": "mapped", "why": "app.workers", "tells": false},
                  {"source": "gunicorn.conf.py:2", "name": "post_fork",
                   "value": "def post_fork(server, worker)", "verdict": "honoured",
                   "why": "in the worker", "tells": false},
                  {"source": "gunicorn.conf.py:3", "name": "daemon", "value": "True",
                   "verdict": "ignored", "why": "systemd does that", "tells": true}],
        "advice": [{"source": "gunicorn.conf.py:1", "text": "workers: too many"}],
        "unknown": [{"source": "gunicorn.conf.py:7", "text": "wokers: is it workers?"}],
        "mistakes": []})json";

TEST(IsGunicornFile, GoesByTheName) {
  for (const char* name : {"gunicorn.conf.py", "/srv/x.py", "file:x", "python:shop.conf"}) {
    EXPECT_TRUE(IsGunicornFile(name)) << name;
  }
  for (const char* name : {"", "onebox.toml", "py", "x.pyc"}) {
    EXPECT_FALSE(IsGunicornFile(name)) << name;
  }
}

TEST(GunicornLocation, CountsFilesFromTheFolderAndLeavesModules) {
  EXPECT_EQ(GunicornLocation("conf/g.py", "/srv"), "/srv/conf/g.py");
  EXPECT_EQ(GunicornLocation("file:./g.py", "/srv"), "/srv/g.py");
  EXPECT_EQ(GunicornLocation("/etc/g.py", "/srv"), "/etc/g.py");
  EXPECT_EQ(GunicornLocation("python:shop.conf", "/srv"), "python:shop.conf");
}

TEST(GunicornAnswer, IsALayerWhoseValuesHaveTheirLines) {
  const auto file = ParseGunicornAnswer(kAnswer, "/srv/app");
  ASSERT_TRUE(file.ok()) << file.error().message;
  const Settings& settings = file.value().layer.settings;
  EXPECT_EQ(TextOf(settings, "app.workers"), "9");
  EXPECT_EQ(SourceOf(settings, "app.workers"), "gunicorn.conf.py:1");
  EXPECT_EQ(TextOf(settings, "log.access"), "/srv/app/a.log");
  const auto& variables = settings.find("app.env")->second;
  ASSERT_EQ(variables.size(), 2U);
  EXPECT_EQ(variables[1].name, "B");
  EXPECT_THAT(file.value().layer.mistakes, IsEmpty());
}

TEST(GunicornAnswer, IsCheckedAsEveryOtherSource) {
  const auto file = ParseGunicornAnswer(
      R"({"settings": [{"option": "app.workers", "values": ["0"], "source": "g.py:3"}],
          "lines": [], "advice": [], "unknown": [], "mistakes": ["g.py:4: no"]})",
      "/srv");
  ASSERT_TRUE(file.ok());
  EXPECT_THAT(file.value().layer.mistakes,
              ElementsAre("g.py:3: [app] workers: expected a whole number from 1 to 512 or "
                          "\"auto\", got \"0\"",
                          "g.py:4: no"));
}

TEST(GunicornAnswer, ThatIsBrokenIsAnError) {
  struct Case {
    const char* part;  // instead of the whole member
    const char* instead;
    const char* why;
  };
  const Case cases[] = {
      {R"("settings": [)", R"("settings": {)", "no JSON"},
      {R"("settings")", R"("setings")", "no settings"},
      {R"("app.workers")", R"("app.wrkers")", "no such option"},
      {R"("app.workers")", R"("static")", "a mount cannot be written so"},
      {R"("app.workers")", R"("static.PREFIX.dir")", "no option of its own"},
      {R"("app.workers")", "7", "a name that is no text"},
      {R"(["9"])", R"(["9", "8"])", "two values for one"},
      {R"(["9"])", "[]", "no value for one"},
      {R"(["9"])", "[9]", "a value that is no text"},
      {R"(["9"])", R"("9")", "values that are no list"},
      {R"("tells": true)", R"("tells": "true")", "tells that is no bool"},
      {R"("tells": true)", R"("told": true)", "no tells"},
      {R"("verdict": "mapped")", R"("verdict": null)", "no verdict"},
      {R"("text": "workers: too many")", R"("text": 3)", "an advice without text"},
      {R"("unknown": [)", R"("unknown": [[], )", "a remark that is a list"},
      {R"("mistakes": [])", R"("mistakes": [1])", "a mistake that is no text"},
      {R"("mistakes": [])", R"("mistakes": {})", "mistakes that are no list"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.why);
    std::string answer(kAnswer);
    const std::size_t at = answer.find(c.part);
    ASSERT_NE(at, std::string::npos);
    answer.replace(at, std::string_view(c.part).size(), c.instead);
    EXPECT_FALSE(ParseGunicornAnswer(answer, "/srv").ok());
  }
  for (const char* answer : {"", "[]", "null", "{}", "\"text\""}) {
    EXPECT_FALSE(ParseGunicornAnswer(answer, "/srv").ok()) << answer;
  }
}

TEST(GunicornAnswer, CutAnywhereIsAnError) {
  for (std::size_t size = 0; size < kAnswer.size(); ++size) {
    EXPECT_FALSE(ParseGunicornAnswer(kAnswer.substr(0, size), "/srv").ok()) << size;
  }
}

TEST(GunicornReport, IsCommentsBehindTheSettings) {
  const auto file = ParseGunicornAnswer(kAnswer, "/srv");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(PrintGunicorn(file.value()),
            "\n# What became of Gunicorn's settings:\n"
            "# gunicorn.conf.py:1  workers = 9                    mapped    app.workers\n"
            "# gunicorn.conf.py:2  def post_fork(server, worker)  honoured  in the worker\n"
            "# gunicorn.conf.py:3  daemon = True                  ignored   systemd does that\n"
            "#\n# Names that Gunicorn does not know:\n"
            "# gunicorn.conf.py:7: wokers: is it workers?\n"
            "#\n# Advice:\n"
            "# gunicorn.conf.py:1: workers: too many\n");
}

TEST(GunicornReport, IsShorterAtTheStart) {
  const auto file = ParseGunicornAnswer(kAnswer, "/srv");
  ASSERT_TRUE(file.ok());
  EXPECT_THAT(GunicornStartLines(file.value(), "gunicorn.conf.py"),
              ElementsAre(HasSubstr("3 settings, 1 honoured, 1 mapped, 1 ignored"),
                          HasSubstr("gunicorn.conf.py:3 daemon: ignored: systemd does that"),
                          HasSubstr("gunicorn.conf.py:7 wokers: is it workers?")));
}

}  // namespace
}  // namespace onebox::main
