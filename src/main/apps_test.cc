// Whether what the file says of several apps reaches the front and the box, and mistakes in it their line.
#include "main/apps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "main/config.h"
#include "main/testing.h"

namespace onebox::main {
namespace {

using std::chrono::seconds;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

Mistakes MistakesIn(std::string_view toml) {
  Mistakes mistakes;
  CheckApps(SettingsOf(toml), {}, mistakes);
  return mistakes;
}

TEST(PlaceApp, LetsARouteNameAnAppWhoseTimeoutHoldsWhereItHasNone) {
  const front::Settings front = MakeConfig(SettingsOf(R"(
    [app]
    target = "game:app"
    timeout = "20s"
    [[app.also]]
    name = "shop"
    target = "shop:app"
    timeout = "5s"
    [[route]]
    path = "/a"
    app = "shop"
    [[route]]
    path = "/b"
    app = "shop"
    timeout = "7s"
    [[route]]
    path = "/c"
    app = "main"
    [[site]]
    hosts = ["shop.example"]
    [[site.route]]
    path = "/*"
    app = "shop"
    )"))
                                    .value()
                                    .front;
  EXPECT_THAT(front.apps, ElementsAre("main", "shop"));
  ASSERT_EQ(front.routes.size(), 4U);
  EXPECT_EQ(front.routes[0].rules.app, 1U);
  EXPECT_EQ(front.routes[0].rules.timeout, seconds(5));
  EXPECT_EQ(front.routes[1].rules.timeout, seconds(7));
  EXPECT_EQ(front.routes[2].rules.app, 0U);
  EXPECT_EQ(front.routes[2].rules.timeout, seconds(20));
  EXPECT_EQ(front.routes[3].rules.app, 1U);
  EXPECT_EQ(front.rest.app, 0U);
}

TEST(AddApps, GivesEachItsShareAndWhatTheFirstHas) {
  const auto others = MakeOtherApps(SettingsOf(R"(
    [[app.also]]
    name = "shop"
    target = "shop:app"
    script_name = "/shop"
    env = { A = "shop's" }
    [[app.also]]
    name = "wiki"
    target = "wiki:app"
    workers = 3
    threads = 2
    preload = "off"
    boot_timeout = "9s"
    chdir = "/wiki"
    )"));
  supervise::BoxSettings box;
  box.apps.front().python = "/venv/bin/python";
  box.apps.front().threads = 4;
  box.apps.front().health = "/health";
  box.apps.front().environment = {{"A", "a"}, {"B", "b"}, {"ONEBOX_BROKER", "/data/broker"}};
  AddApps(others, {.workers = 7, .reason = "6 cores"}, /*first_planned=*/true, box);
  ASSERT_EQ(box.apps.size(), 3U);
  EXPECT_EQ(box.apps[0].workers, 2U);
  EXPECT_TRUE(box.apps[0].scaling.fixed());
  EXPECT_EQ(box.apps[0].workers_reason, "its share of 7 for 3 apps; 6 cores");
  const supervise::AppSettings& shop = box.apps[1];
  EXPECT_EQ(shop.workers, 2U);
  EXPECT_EQ(shop.threads, 4U);
  EXPECT_EQ(shop.python, "/venv/bin/python");
  EXPECT_EQ(shop.health, "") << "a path of the first app is none of its own";
  EXPECT_THAT(shop.worker_words, ElementsAre("--script-name", "/shop"));
  EXPECT_THAT(shop.environment, Contains(Pair("A", "shop's")));
  EXPECT_THAT(shop.environment, Contains(Pair("B", "b")));
  EXPECT_EQ(shop.environment.count("ONEBOX_BROKER"), 0U);
  const supervise::AppSettings& wiki = box.apps[2];
  EXPECT_EQ(wiki.workers, 3U);
  EXPECT_EQ(wiki.workers_reason, "as set");
  EXPECT_EQ(wiki.threads, 2U);
  EXPECT_EQ(wiki.preload, supervise::Preload::kOff);
  EXPECT_EQ(wiki.boot_timeout, seconds(9));
  EXPECT_EQ(wiki.chdir, "/wiki");
}

TEST(CheckApps, TellsWhatIsWrongAndWhere) {
  const struct {
    std::string_view toml, told;
  } cases[] = {
      {"[[app.also]]\nname = 'a'\ntarget = 'a:b'",
       "onebox.toml:2: [[app.also]] \"a\": it is beside an app"},
      {"[app]\ntarget = 'a:b'\n[[app.also]]\nname = 'a b'\ntarget = 'a:b'",
       "expected a name of letters"},
      {"[app]\ntarget = 'a:b'\n[[app.also]]\nname = 'main'\ntarget = 'a:b'",
       "that is the app of [app]"},
      {"[app]\ntarget = 'a:b'\n[[app.also]]\nname = 'c'\ntarget = 'a:'",
       "onebox.toml:5: [[app.also]] \"c\": target: "},
      {"[app]\ntarget = 'a:b'\n[[app.also]]\nname = 'c'\ntarget = 'a:b'\nscript_name = '/c/'",
       "onebox.toml:6: [[app.also]] \"c\": script_name: expected a path like"},
      {"[app]\ntarget = 'a:b'\n[[app.also]]\nname = 'c'\ntarget = 'a:b'\nchdir = '/nowhere'",
       "chdir: there is no folder /nowhere"},
      {"[app]\ntarget = 'a:b'\n[[app.also]]\nname = 'c'\ntarget = 'a:b'\npython = "
       "'/nowhere/python'",
       "python: /nowhere/python is not there"},
      {"[app]\ntarget = 'a:b'\n[[app.also]]\nname = 'c'\ntarget = 'a:b'\nhealth = 'well'",
       "health: expected a path that begins with /"},
      {"[app]\ntarget = 'a:b'\n[[app.also]]\nname = 'c'\ntarget = 'a:b'\n[[app.also]]\nname = 'c'\n"
       "target = 'a:b'",
       "it is there twice"},
      {"[app]\ntarget = 'a:b'\nworkers_max = 9\n[[app.also]]\nname = 'c'\ntarget = 'a:b'",
       "onebox.toml:3: [app] workers_max: with [[app.also]] the number of workers does not follow"},
      {"[[route]]\npath = '/x'\napp = 'shop'",
       "onebox.toml:3: [[route]] app: there is no [[app.also]] \"shop\""},
      {"[[route]]\npath = '/x'\napp = 'main'\nrespond = 204",
       "the route has respond too, and one can answer"},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.toml);
    EXPECT_THAT(MistakesIn(one.toml), Contains(HasSubstr(one.told)));
  }
}

}  // namespace
}  // namespace onebox::main
