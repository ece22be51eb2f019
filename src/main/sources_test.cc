// The line over the variable over the file over the default.

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "front/router.h"
#include "main/command_line.h"
#include "main/config.h"
#include "main/environment.h"
#include "main/facts.h"
#include "main/handed_over.h"
#include "main/python.h"
#include "main/reference.h"
#include "main/testing.h"
#include "main/toml_file.h"
#include "os/file.h"

namespace onebox::main {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

RunLine ReadLine(const std::vector<std::string>& words) {
  return ReadRunLine(words, "/here");
}

// Name, text and source of each element.
std::vector<std::string> Told(const Settings& settings, std::string_view name) {
  std::vector<std::string> told;
  for (const Element& element : settings.find(name)->second) {
    told.push_back(element.name + (element.name.empty() ? "" : "=") + element.text + " by " +
                   element.source);
  }
  return told;
}

TEST(Sources, GoOverEachOther) {
  Settings settings = Defaults("/here");
  Overlay(
      settings,
      ReadToml("[app]\nworkers = 2\nthreads = 3\ntimeout = '7s'\nenv = { A = 'file', B = 'file' "
               "}\n[front]\nlisten = ['127.0.0.1:1', '127.0.0.1:2']\n",
               "onebox.toml",
               "/here")
          .settings);
  Overlay(settings,
          ReadEnvironment({{"ONEBOX_APP_WORKERS", "4"}, {"ONEBOX_APP_THREADS", "6"}}, "/here")
              .settings);
  Overlay(settings,
          ReadLine({"--workers", "5", "--env", "B=line", "--env", "C=a=b", "--listen", "[::1]:3"})
              .layer.settings);

  EXPECT_THAT(Told(settings, "app.workers"), ElementsAre("5 by command line --workers"));
  EXPECT_THAT(Told(settings, "app.threads"), ElementsAre("6 by environment ONEBOX_APP_THREADS"));
  EXPECT_THAT(Told(settings, "app.timeout"), ElementsAre("7s by onebox.toml:4"));
  EXPECT_THAT(Told(settings, "app.queue_max"), ElementsAre("2048 by default"));
  EXPECT_THAT(Told(settings, "front.listen"), ElementsAre("[::1]:3 by command line --listen"));
  EXPECT_THAT(Told(settings, "app.env"),
              UnorderedElementsAre("A=file by onebox.toml:5",
                                   "B=line by command line --env",
                                   "C=a=b by command line --env"));
  EXPECT_THAT(PrintSettings(settings), HasSubstr("workers = 5"));
}

TEST(RunLine, TakesEveryFlag) {
  const RunLine line = ReadLine({"app:create_app('x')",
                                 "-c",
                                 "x.toml",
                                 "--listen",
                                 "127.0.0.1:0",
                                 "--listen",
                                 "unix:s",
                                 "--admin",
                                 "off",
                                 "--workers=auto",
                                 "--threads",
                                 "2",
                                 "--static",
                                 "/s/=files",
                                 "--python",
                                 "bin/python",
                                 "--chdir",
                                 "sub",
                                 "--env",
                                 "A=",
                                 "--state",
                                 "st",
                                 "--timeout",
                                 "5s",
                                 "--access-log",
                                 "-",
                                 "--error-log",
                                 "e.log",
                                 "--watch",
                                 "--check-config",
                                 "--print-config",
                                 "--help"});
  EXPECT_THAT(line.layer.mistakes, IsEmpty());
  EXPECT_EQ(line.config, "x.toml");
  EXPECT_TRUE(line.check_config && line.print_config && line.help);
  const Settings& settings = line.layer.settings;
  EXPECT_EQ(TextOf(settings, "app.target"), "app:create_app('x')");
  EXPECT_THAT(
      Told(settings, "front.listen"),
      ElementsAre("127.0.0.1:0 by command line --listen", "unix:/here/s by command line --listen"));
  EXPECT_EQ(TextOf(settings, "admin.listen"), "off");
  EXPECT_EQ(TextOf(settings, "app.workers"), "auto");
  EXPECT_THAT(Told(settings, "static"), ElementsAre("/s/=/here/files by command line --static"));
  EXPECT_EQ(TextOf(settings, "app.python"), "/here/bin/python");
  EXPECT_EQ(TextOf(settings, "log.access"), "-");
  EXPECT_EQ(TextOf(settings, "log.error"), "/here/e.log");
  EXPECT_THAT(Told(settings, "app.watch"), ElementsAre("true by command line --watch"));
}

TEST(RunLine, TakesNoValueOfASwitchFromTheNextWord) {
  const Settings settings = ReadLine({"--watch", "app:app"}).layer.settings;
  EXPECT_EQ(TextOf(settings, "app.watch"), "true");
  EXPECT_EQ(TextOf(settings, "app.target"), "app:app");
  EXPECT_EQ(TextOf(ReadLine({"--watch=false"}).layer.settings, "app.watch"), "false");
}

TEST(RunLine, NamesEachMistake) {
  struct Case {
    std::vector<std::string> words;
    const char* mistake;
  };
  const Case cases[] = {
      {{"--wrokers", "2"}, "--wrokers: there is no such option; did you mean --workers?"},
      {{"--acces-log=x"}, "--acces-log=x: there is no such option; did you mean --access-log?"},
      {{"--workers", "many"},
       "--workers: expected a whole number from 1 to 512 or \"auto\", got \"many\""},
      {{"--workers", "-1"},
       "--workers: expected a whole number from 1 to 512 or \"auto\", got \"-1\""},
      {{"--workers"}, "--workers: expected a value behind it"},
      {{"-c"}, "--config: expected a value behind it"},
      {{"--workers", "3", "--workers", "4"}, "--workers: expected once, got \"3\" and \"4\""},
      {{"-c", "a", "--config", "b"}, "--config: expected once, got \"a\" and \"b\""},
      {{"--help=x"}, "--help: it takes no value, got \"x\""},
      {{"--watch=maybe"}, "--watch: expected true or false, got \"maybe\""},
      {{"-w", "3"}, "-w: there is no such option; Gunicorn's -w is --workers here"},
      {{"-w3"}, "-w3: there is no such option; Gunicorn's -w is --workers here"},
      {{"-b", ":80"}, "-b: there is no such option; Gunicorn's -b is --listen here"},
      {{"--bind=:80"}, "--bind=:80: there is no such option; Gunicorn's --bind is --listen here"},
      {{"-k", "gevent"}, "-k: there is no such option; Gunicorn's -k is --worker-class here"},
      {{"-t", "9"}, "-t: there is no such option; Gunicorn's -t is --timeout here"},
      {{"--listen", "nowhere"},
       "--listen: expected \"ADDR:PORT\", \"[v6]:PORT\" or \"unix:PATH\", got \"nowhere\""},
      {{"--static", "/static/"}, "--static: expected /PREFIX/=FOLDER, got \"/static/\""},
      {{"--static", "static=x"}, "--static: expected /PREFIX/=FOLDER, got \"static=x\""},
      {{"--static", "/a/../b/=x"},
       "--static: expected a prefix in the normal form of paths, which is \"/b/\", got "
       "\"/a/../b/=x\""},
      {{"--env", "NOVALUE"}, "--env: expected NAME=VALUE, got \"NOVALUE\""},
      {{"one:app", "two"}, "unexpected argument \"two\""},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.mistake);
    EXPECT_THAT(ReadLine(c.words).layer.mistakes, testing::Contains(c.mistake));
  }
}

TEST(RunLine, TakesNoValueOfAnUnknownFlagForTheTarget) {
  const RunLine line = ReadLine({"-w", "3", "app:app"});
  EXPECT_EQ(line.layer.mistakes.size(), 1U);
  EXPECT_EQ(TextOf(line.layer.settings, "app.target"), "app:app");
}

TEST(StatusLine, NamesEachMistake) {
  const auto mistakes_of = [](const std::vector<std::string>& words) {
    return ReadStatusLine(words, "/here").mistakes;
  };
  EXPECT_THAT(mistakes_of({"--state"}), ElementsAre("--state: expected a value behind it"));
  EXPECT_THAT(mistakes_of({"--json=x"}), ElementsAre("--json: it takes no value, got \"x\""));
  EXPECT_THAT(mistakes_of({"--state", "a", "--state", "b"}),
              ElementsAre("--state: expected once, got \"a\" and \"b\""));
  EXPECT_THAT(mistakes_of({"-w", "3"}), ElementsAre("-w: there is no such option"));
}

TEST(Environment, IsCheckedLikeTheFile) {
  const Layer layer = ReadEnvironment({{"ONEBOX_APP_WORKERS", "many"},
                                       {"ONEBOX_APP_WORKRES", "2"},
                                       {"ONEBOX_TEST", "x"},
                                       {"ONEBOXES", "x"},
                                       {"ONEBOX_FRONT_LISTEN", "127.0.0.1:1, [::1]:2"},
                                       {"ONEBOX_STATIC", "/a/=x"}},
                                      "/here");
  EXPECT_THAT(layer.mistakes,
              ElementsAre("ONEBOX_APP_WORKERS: expected a whole number from 1 to 512 or \"auto\", "
                          "got \"many\"",
                          "ONEBOX_APP_WORKRES: there is no such option; did you mean "
                          "ONEBOX_APP_WORKERS?"));
  EXPECT_THAT(layer.warnings,
              ElementsAre(testing::StartsWith("ONEBOX_TEST is no option's variable")));
  EXPECT_THAT(Told(layer.settings, "front.listen"),
              ElementsAre("127.0.0.1:1 by environment ONEBOX_FRONT_LISTEN",
                          "[::1]:2 by environment ONEBOX_FRONT_LISTEN"));
  EXPECT_THAT(Told(layer.settings, "static"),
              ElementsAre("/a/=/here/x by environment ONEBOX_STATIC"));
}

TEST(CheckTogether, NamesWhatDoesNotFit) {
  const auto mistakes_of = [](std::string_view toml) {
    Settings settings = Defaults("/");
    Overlay(settings, ReadToml(toml, "onebox.toml", "/").settings);
    FillIn(settings, {});
    return CheckTogether(settings, {});
  };
  EXPECT_THAT(mistakes_of(""), IsEmpty());
  EXPECT_THAT(
      mistakes_of("[front]\nhead_bytes_max = '4k'\n"),
      ElementsAre("onebox.toml:2: [front] head_bytes_max: front.request_line_max (8 KiB) must "
                  "not be more than front.head_bytes_max (4 KiB)"));
  EXPECT_THAT(mistakes_of("[app]\nworkers_max = 4\nworkers_min = 5\n"),
              ElementsAre("onebox.toml:3: [app] workers_min: app.workers_min (5) must not be more "
                          "than app.workers_max (4)"));
  EXPECT_THAT(mistakes_of("[app]\nworkers_max = 1\n"), IsEmpty());
  EXPECT_THAT(mistakes_of("[app]\nworkers_min = 500\n"), IsEmpty());
  EXPECT_THAT(
      mistakes_of("[app]\ntarget = 'app:create(x'\n"),
      ElementsAre("onebox.toml:2: [app] target: a bracket or a quote in \"create(x\" is not "
                  "closed"));
  EXPECT_THAT(mistakes_of("[app]\npython = '/nope'\n"),
              ElementsAre("onebox.toml:2: [app] python: /nope is not there"));
  EXPECT_THAT(
      mistakes_of("[app]\npython = '/etc/passwd'\n"),
      ElementsAre("onebox.toml:2: [app] python: /etc/passwd is no file that may be executed"));
  EXPECT_THAT(mistakes_of("[app]\npython = 'python0.1'\n"),
              ElementsAre("onebox.toml:2: [app] python: there is no python0.1 in PATH"));
  EXPECT_THAT(
      mistakes_of("[log]\naccess = '/nowhere/a.log'\nerror = '/nowhere/e.log'\n"),
      ElementsAre("onebox.toml:2: [log] access: there is no folder /nowhere for /nowhere/a.log",
                  "onebox.toml:3: [log] error: there is no folder /nowhere for /nowhere/e.log"));
  EXPECT_THAT(mistakes_of("[front]\nlisten = [\n'*:80',\n'unix:/s',\n'0.0.0.0:80',\n'unix:/s']\n"),
              ElementsAre("onebox.toml:5: [front] listen: 0.0.0.0:80 is the same as *:80",
                          "onebox.toml:6: [front] listen: unix:/s is there twice"));
  EXPECT_THAT(mistakes_of("[front]\nlisten = ['*:0', '*:0']\n[admin]\nlisten = '*:0'\n"),
              IsEmpty());
  EXPECT_THAT(mistakes_of("[front]\nlisten = ['localhost:9000']\n"),
              ElementsAre("onebox.toml:2: [front] listen: localhost:9000 is the address of both "
                          "front.listen and admin.listen"));
  EXPECT_THAT(mistakes_of("[admin]\nlisten = '127.0.0.1:8000'\n"),
              ElementsAre("onebox.toml:2: [admin] listen: 127.0.0.1:8000 is the address of both "
                          "front.listen and admin.listen"));
  EXPECT_THAT(mistakes_of("[static]\n'/a/' = '/nowhere/at/all'\n"),
              ElementsAre("onebox.toml:2: [static] \"/a/\": there is no folder /nowhere/at/all"));
  EXPECT_THAT(mistakes_of("[[route]]\npath = '/a/*'\n[[route]]\npath = '/a/b'\n"),
              ElementsAre("onebox.toml:4: [[route]] path: \"/a/b\" never matches: \"/a/*\" "
                          "(onebox.toml:2) stands before it"));
  EXPECT_THAT(mistakes_of("[[site]]\nhosts = ['a', 'b']\n[[site]]\nhosts = ['*', 'A']\n"),
              ElementsAre("onebox.toml:4: [[site]] hosts: \"a\" is there twice"));
  EXPECT_THAT(mistakes_of("[[route]]\npath = '/a/*'\n[[site]]\nhosts = ['a']\n[[site.route]]\n"
                          "path = '/a/*'\n[[site.route]]\npath = '/a/b'\n"),
              ElementsAre("onebox.toml:8: [[site.route]] path: \"/a/b\" never matches: \"/a/*\" "
                          "(onebox.toml:6) stands before it"));
  EXPECT_THAT(
      mistakes_of("[[site]]\nhosts = ['a']\n[[site.route]]\npath = '/a/*'\nproxy = 'nobody'\n"
                  "cache = { ttl = '1s', key = ['nothing'] }\n"),
      ElementsAre("onebox.toml:6: [[site.route]] cache.key: expected path, query, host, "
                  "cookie:NAME or header:NAME, got \"nothing\"",
                  testing::StartsWith("onebox.toml:5: [[site.route]] proxy: ")));
  EXPECT_THAT(
      mistakes_of("[[route]]\npath = '/a'\nrequest_headers = { set = { Host = 'b' } }\n"),
      ElementsAre("onebox.toml:3: [[route]] \"/a\" request_headers set: expected the name of a "
                  "field that is not the connection's own or says who is asked, got \"Host\""));
  EXPECT_THAT(mistakes_of("[front.request_headers]\nremove = ['Expect']\n"),
              ElementsAre(testing::HasSubstr("[front] request_headers remove: expected the name")));
  EXPECT_THAT(
      mistakes_of("[[route]]\npath = '/a'\nredirect = 'new.example'\n"),
      ElementsAre("onebox.toml:3: [[route]] \"/a\" redirect: it must begin with \"http://\", "
                  "\"https://\", \"/\" or \"$path\", got \"new.example\""));
  EXPECT_THAT(
      mistakes_of("[[route]]\npath = '/a'\nredirect = '/b/$rest'\n"),
      ElementsAre("onebox.toml:3: [[route]] \"/a\" redirect: $rest is what the * of the path "
                  "stands for, and this path has none, got \"/b/$rest\""));
  EXPECT_THAT(
      mistakes_of("[[route]]\npath = '/a'\nredirect = { to = '/b', status = 304 }\n"),
      ElementsAre("onebox.toml:3: [[route]] \"/a\" redirect status: expected 301, 302, 303, 307 or "
                  "308, got 304"));
  EXPECT_THAT(
      mistakes_of("[[route]]\npath = '/a'\nrespond = 404\nredirect = '/b'\n"),
      ElementsAre("onebox.toml:3: [[route]] \"/a\": it has redirect and respond, and one can "
                  "answer"));
  EXPECT_THAT(
      mistakes_of("[[route]]\npath = '/a/*'\nstatic = { dir = '/nowhere', index = ['a/../b'], "
                  "try_files = ['$path', '$uri', '@app', 'x', '/$path'] }\n"),
      testing::Contains("onebox.toml:3: [[route]] \"/a/*\" static: there is no folder /nowhere"));
  EXPECT_THAT(
      mistakes_of("[[route]]\npath = '/a/*'\nstatic = { dir = '/', try_files = ['x'] }\n"),
      ElementsAre("onebox.toml:3: [[route]] \"/a/*\" static try_files: expected \"$path\", "
                  "with text before or behind it, a path like \"/index.html\", or \"@app\" as "
                  "the last, got \"x\""));
  EXPECT_THAT(mistakes_of("[front]\nerror_pages = { 503 = '/nowhere.html' }\n"),
              ElementsAre(testing::HasSubstr("onebox.toml:2: [front] error_pages 503: ")));
  EXPECT_THAT(mistakes_of("[app]\nchdir = '/nowhere'\n"),
              ElementsAre("onebox.toml:2: [app] chdir: there is no folder /nowhere"));
}

TEST(MakeConfig, GivesTheFrontWhatTheTableSays) {
  Settings settings = Defaults("/");
  Overlay(
      settings,
      ReadToml("[app]\nworkers = 3\ntimeout = '7s'\nqueue_max = 9\n[front]\nrequest_line_max = "
               "200\ntrusted_proxies = ['10.0.0.0/8']\n[compression]\ncodings = ['gzip']\n"
               "min_bytes = 1\n[static]\n'/a/' = { dir = '/', max_age = '30d' }\n[admin]\nlisten "
               "= 'off'\n[log]\nlevel = 'error'\n",
               "onebox.toml",
               "/")
          .settings);
  FillIn(settings, {{"XDG_RUNTIME_DIR", "/run/user/7"}});
  const auto made = MakeConfig(settings);
  ASSERT_TRUE(made.ok()) << made.error().message;
  const Config& config = made.value();
  EXPECT_EQ(config.workers, 3U);
  EXPECT_EQ(config.threads, 4U);
  EXPECT_FALSE(config.admin);
  EXPECT_EQ(config.listen.at(0).text(), "127.0.0.1:8000");
  EXPECT_EQ(config.log_level, telemetry::LogLevel::kError);
  EXPECT_THAT(config.state, testing::MatchesRegex("/run/user/7/onebox/[0-9a-f]{16}"));
  EXPECT_EQ(config.front.spool_folder, config.state);
  EXPECT_EQ(config.front.request_timeout, std::chrono::seconds(7));
  EXPECT_EQ(config.front.queue_max, 9U);
  EXPECT_EQ(config.front.head.request_line_bytes_max, 200U);
  EXPECT_EQ(config.front.trusted_proxies.size(), 1U);
  EXPECT_EQ(config.front.access_log, "");
  EXPECT_THAT(config.front.compression.codings, ElementsAre(http::Coding::kGzip));
  EXPECT_EQ(config.front.mounts.at(0).rules.files->max_age, std::chrono::hours(30 * 24));
  EXPECT_TRUE(config.front.mounts.at(0).rules.files->immutable);
}

// An authority counts attempts that fail.
TEST(MakeConfig, ShowsANameByWhatAListenerCanAnswer) {
  using acme::Challenge;
  const auto challenges_of = [](const std::string& text) {
    const auto made = MakeConfig(SettingsOf(text));
    return made.ok() ? made.value().acme.challenges : std::vector<Challenge>();
  };
  EXPECT_THAT(challenges_of("[front]\nlisten = ['*:80', 'https://*:443']\n"),
              ElementsAre(Challenge::kHttp01, Challenge::kTlsAlpn01));
  EXPECT_THAT(challenges_of("[front]\nlisten = ['https://*:443']\n"),
              ElementsAre(Challenge::kTlsAlpn01));
  EXPECT_THAT(challenges_of("[front]\nlisten = ['*:80']\n"), ElementsAre(Challenge::kHttp01));
  EXPECT_THAT(challenges_of("[front]\nlisten = ['*:80']\n[tls]\nauto_challenge = 'tls-alpn-01'\n"),
              ElementsAre(Challenge::kTlsAlpn01));
}

TEST(MakeConfig, GivesEachRouteWhatItSaysAndTheRestOfTheBox) {
  Settings settings = Defaults("/");
  Overlay(settings,
          ReadToml("[app]\ntimeout = '7s'\nqueue_max = 9\n[front]\nbody_bytes_max = '1k'\n"
                   "[[route]]\npath = '/a/*'\nmethods = ['GET', 'POST']\ntimeout = '1m'\n"
                   "body_bytes_max = '2k'\npriority = 'low'\nconcurrency = 3\nshare = '25%'\n"
                   "queue_max = 5\nqueue_timeout = '2s'\ncancel_disconnected = true\n"
                   "[[route]]\npath = '/b'\nconcurrency = 'all'\n",
                   "onebox.toml",
                   "/")
              .settings);
  FillIn(settings, {{"XDG_RUNTIME_DIR", "/run/user/7"}});
  const auto made = MakeConfig(settings);
  ASSERT_TRUE(made.ok()) << made.error().message;
  const front::Settings& front = made.value().front;
  ASSERT_EQ(front.routes.size(), 2U);
  const front::Route& a = front.routes[0];
  EXPECT_EQ(a.path, "/a/*");
  EXPECT_EQ(a.methods,
            front::MethodBit(http::Method::kGet) | front::MethodBit(http::Method::kHead) |
                front::MethodBit(http::Method::kPost));
  EXPECT_EQ(a.rules.number, 0U);
  EXPECT_EQ(a.rules.timeout, std::chrono::minutes(1));
  EXPECT_EQ(a.rules.body_bytes_max, 2048U);
  EXPECT_EQ(a.rules.priority, front::Priority::kLow);
  EXPECT_EQ(a.rules.concurrency_max, 3U);
  EXPECT_EQ(a.rules.share_max, 25U);
  EXPECT_EQ(a.rules.queue_max, 5U);
  EXPECT_EQ(a.rules.queue_timeout, std::chrono::seconds(2));
  EXPECT_TRUE(a.rules.cancel_disconnected);
  for (const front::RouteRules& rules : {front.routes[1].rules, front.rest}) {
    EXPECT_EQ(rules.timeout, std::chrono::seconds(7));
    EXPECT_EQ(rules.body_bytes_max, 1024U);
    EXPECT_EQ(rules.queue_max, 9U);
    EXPECT_EQ(rules.concurrency_max, 0U);
  }
  EXPECT_EQ(front.rest.number, 2U);
}

TEST(MakeConfig, GivesSitesTheirRoutesAndWhatHoldsForAll) {
  Settings settings = Defaults("/");
  Overlay(
      settings,
      ReadToml(
          "[front]\nsecurity_headers = true\nunknown_hosts = '421'\n"
          "[static]\n'/s/' = '/'\n'/s/long/' = '/'\n"
          "[[route]]\npath = '/old/*'\nredirect = { to = '/new/$rest', status = 301 }\n"
          "[[site]]\nhosts = ['Game.example']\nsecurity_headers = false\n"
          "headers = { set = { X-Site = 'game' } }\nstatic = { '/m/' = '/' }\n"
          "[[site.route]]\npath = '/x'\nrespond = { status = 410, body = '' }\n"
          "[[site.route]]\npath = '/*'\nstatic = { dir = '/', try_files = ['$path', '@app'] }\n",
          "onebox.toml",
          "/")
          .settings);
  FillIn(settings, {{"XDG_RUNTIME_DIR", "/run/user/7"}});
  const auto made = MakeConfig(settings);
  ASSERT_TRUE(made.ok()) << made.error().message;
  const front::Settings& front = made.value().front;
  ASSERT_EQ(front.mounts.size(), 3U);
  EXPECT_EQ(front.mounts[0].path, "/s/long/*") << "the longest first";
  EXPECT_EQ(front.mounts[2].site, 0U);
  ASSERT_EQ(front.routes.size(), 3U);
  EXPECT_EQ(front.routes[0].site, front::kEverySite);
  EXPECT_EQ(front.routes[0].rules.redirect->status, 301);
  EXPECT_EQ(front.routes[1].rules.respond->status, 410);
  EXPECT_EQ(front.routes[1].rules.respond->body, "");
  EXPECT_TRUE(front.routes[2].rules.files->else_app);
  EXPECT_THAT(front.routes[2].rules.files->try_files, ElementsAre("$path"));
  EXPECT_EQ(front.routes[2].rules.files->number, 3U) << "another for each";
  EXPECT_THAT(front.sites.at(0).hosts, ElementsAre("game.example"));
  EXPECT_EQ(front.sites[0].rest.number, 3U);
  EXPECT_EQ(front.sites[0].rest.headers.size(), 1U);
  EXPECT_EQ(front.routes[1].rules.headers.size(), 1U);
  EXPECT_GT(front.routes[0].rules.headers.size(), 4U);
  EXPECT_EQ(front.unknown_hosts->respond->status, 421);
}

TEST(MakeConfig, HasTheSameDefaultsAsTheFront) {
  Settings settings = Defaults("/");
  FillIn(settings, {});
  const auto made = MakeConfig(settings);
  ASSERT_TRUE(made.ok());
  const front::Settings& ours = made.value().front;
  const front::Settings its;
  EXPECT_EQ(ours.head.request_line_bytes_max, its.head.request_line_bytes_max);
  EXPECT_EQ(ours.head.head_bytes_max, its.head.head_bytes_max);
  EXPECT_EQ(ours.head.fields_max, its.head.fields_max);
  EXPECT_EQ(ours.body_bytes_max, its.body_bytes_max);
  EXPECT_EQ(ours.body_memory_max, its.body_memory_max);
  EXPECT_EQ(ours.buffer_bytes_max, its.buffer_bytes_max);
  EXPECT_EQ(ours.requests_per_connection_max, its.requests_per_connection_max);
  EXPECT_EQ(ours.connections_max, its.connections_max);
  EXPECT_EQ(ours.connections_per_address_max, its.connections_per_address_max);
  EXPECT_EQ(ours.idle_timeout, its.idle_timeout);
  EXPECT_EQ(ours.head_timeout, its.head_timeout);
  EXPECT_EQ(ours.body_timeout, its.body_timeout);
  EXPECT_EQ(ours.body_rate_min, its.body_rate_min);
  EXPECT_EQ(ours.write_timeout, its.write_timeout);
  EXPECT_EQ(ours.write_rate_min, its.write_rate_min);
  EXPECT_EQ(ours.reactors, its.reactors);
  EXPECT_EQ(ours.drain_timeout, its.drain_timeout);
  EXPECT_EQ(ours.trust_unix_sockets, its.trust_unix_sockets);
  EXPECT_EQ(ours.queue_max, its.queue_max);
  EXPECT_EQ(ours.queue_timeout, its.queue_timeout);
  EXPECT_EQ(ours.request_timeout, its.request_timeout);
  EXPECT_EQ(ours.static_memory_max, its.static_memory_max);
  EXPECT_EQ(ours.static_file_memory_max, its.static_file_memory_max);
  EXPECT_EQ(ours.compression.enabled, its.compression.enabled);
  EXPECT_EQ(ours.compression.codings, its.compression.codings);
  EXPECT_EQ(ours.compression.bytes_min, its.compression.bytes_min);
  EXPECT_EQ(ours.compression.gzip_level, its.compression.gzip_level);
  EXPECT_EQ(ours.compression.brotli_level, its.compression.brotli_level);
  EXPECT_EQ(ours.compression.zstd_level, its.compression.zstd_level);
  EXPECT_EQ(ours.server_name, its.server_name);
}

TEST(PlaceHandedOver, UsesEachOrSaysWhyNot) {
  struct Case {
    const char* toml;
    std::vector<std::pair<std::string, std::string>> given;  // name, address
    std::string served, admin;                               // empty: an error
    const char* why;
  };
  const Case cases[] = {
      {"", {}, "127.0.0.1:8000", "127.0.0.1:9000", "none"},
      {"", {{"web", "[::]:80"}}, "[::]:80", "127.0.0.1:9000", "the default gives way"},
      {"", {{"", "1.2.3.4:80"}, {"admin", "unix:/a"}}, "1.2.3.4:80", "unix:/a", "both"},
      {"[front]\nlisten = ['*:80', '*:81']",
       {{"", "0.0.0.0:81"}},
       "0.0.0.0:80 0.0.0.0:81",
       "127.0.0.1:9000",
       "its place"},
      {"[front]\nlisten = ['*:80']", {{"", "0.0.0.0:81"}}, "", "", "not asked for"},
      {"[front]\nlisten = ['*:80']", {{"", "0.0.0.0:80"}, {"", "0.0.0.0:80"}}, "", "", "once"},
      {"[admin]\nlisten = '*:9'",
       {{"admin", "0.0.0.0:9"}},
       "127.0.0.1:8000",
       "0.0.0.0:9",
       "as set"},
      {"[admin]\nlisten = '*:9'", {{"admin", "0.0.0.0:8"}}, "", "", "set otherwise"},
      {"[admin]\nlisten = 'off'", {{"admin", "0.0.0.0:8"}}, "", "", "off"},
      {"", {{"admin", "0.0.0.0:8"}, {"admin", "0.0.0.0:9"}}, "", "", "two of them"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.why);
    Settings settings = Defaults("/");
    Overlay(settings, ReadToml(c.toml, "onebox.toml", "/").settings);
    FillIn(settings, {});
    Config config = MakeConfig(settings).value();
    std::vector<os::HandedOver> given;
    for (const auto& [name, address] : c.given) {
      given.push_back({.name = name, .address = os::SocketAddress::Parse(address).value()});
    }
    const Status placed = PlaceHandedOver(given, settings, config);
    ASSERT_EQ(placed.ok(), !c.served.empty());
    if (!placed.ok()) continue;
    std::string served;
    for (const os::SocketAddress& address : config.listen) {
      served += (served.empty() ? "" : " ") + address.text();
    }
    EXPECT_EQ(served, c.served);
    EXPECT_EQ(config.admin->text(), c.admin);
  }
}

TEST(DefaultState, DependsOnTheAppsFolder) {
  const os::Variables home = {{"HOME", "/home/o"}};
  EXPECT_THAT(DefaultState("/srv/a", home), testing::StartsWith("/home/o/.local/state/onebox/"));
  EXPECT_EQ(DefaultState("/srv/a", home), DefaultState("/srv/x/../a", home));
  EXPECT_NE(DefaultState("/srv/a", home), DefaultState("/srv/b", home));
  EXPECT_THAT(DefaultState("/srv/a", {{"XDG_STATE_HOME", "/s"}, {"HOME", "/home/o"}}),
              testing::StartsWith("/s/onebox/"));
  EXPECT_THAT(DefaultState("/srv/a", {}), testing::StartsWith("/run/onebox/"));
}

TEST(DefaultData, OutlivesARestart) {
  const auto found = [](std::string_view state_source, const os::Variables& environment) {
    Settings settings = Defaults("/srv/a");
    settings["state"] = {{"", "/run/x", std::string(state_source)}};
    settings["app.chdir"] = {{"", "/srv/a", "default"}};
    return DefaultData(settings, environment);
  };
  EXPECT_EQ(found("--state", {{"HOME", "/home/o"}}), "/run/x/data");
  EXPECT_EQ(found("--state", {{"STATE_DIRECTORY", "/var/lib/one:/var/lib/two"}}), "/var/lib/one");
  EXPECT_THAT(found("default", {{"XDG_STATE_HOME", "/s"}, {"XDG_RUNTIME_DIR", "/run/user/1"}}),
              testing::StartsWith("/s/onebox/"));
  EXPECT_THAT(found("default", {}), testing::StartsWith("/var/lib/onebox/"));
}

// Folders with an executable `bin/python` each.
class PythonTest : public testing::Test {
 protected:
  PythonTest() {
    root_ = testing::TempDir() + "onebox_python_test";
    std::filesystem::remove_all(root_);
  }
  ~PythonTest() override { std::filesystem::remove_all(root_); }

  std::string Make(const std::string& path) {
    const std::string whole = root_ + "/" + path;
    std::filesystem::create_directories(std::filesystem::path(whole).parent_path());
    EXPECT_TRUE(os::OpenForAppend(whole).ok());
    EXPECT_TRUE(os::SetMode(whole, 0755).ok());
    return whole;
  }

  std::string root_;
};

TEST_F(PythonTest, TheActiveVenvGoesBeforeTheFoldersAndTheseBeforeThePath) {
  const PythonPlaces places{
      .venv = root_ + "/active", .folder = root_ + "/app", .path = root_ + "/no:" + root_ + "/bin"};
  EXPECT_EQ(FindPython(places), "python3");
  const std::string in_path = Make("bin/python3");
  EXPECT_EQ(FindPython(places), in_path);
  const std::string plain = Make("app/venv/bin/python");
  EXPECT_EQ(FindPython(places), plain);
  const std::string dotted = Make("app/.venv/bin/python");
  EXPECT_EQ(FindPython(places), dotted);
  const std::string active = Make("active/bin/python");
  EXPECT_EQ(FindPython(places), active);
  ASSERT_TRUE(os::SetMode(active, 0644).ok());
  EXPECT_EQ(FindPython(places), dotted) << "what cannot be executed is no interpreter";
}

TEST_F(PythonTest, ThePythonSideLiesBesideTheProgram) {
  const std::string program = Make("bin/onebox");
  EXPECT_FALSE(FindPythonSide(program).ok());
  (void)Make("lib/onebox/python/__main__.py");
  EXPECT_EQ(FindPythonSide(program).value(), root_ + "/lib/onebox/python");
  (void)Make("python/__main__.py");
  EXPECT_EQ(FindPythonSide(program).value(), root_ + "/python");
}

TEST(Facts, AreReadFromTheKernelsTables) {
  EXPECT_EQ(CountPhysicalCores("processor\t: 0\nphysical id\t: 0\ncore id\t\t: 0\n\n"
                               "processor\t: 1\nphysical id\t: 0\ncore id\t\t: 0\n\n"
                               "processor\t: 2\nphysical id\t: 1\ncore id\t\t: 0\n"),
            2U);
  EXPECT_EQ(CountPhysicalCores("no such lines"), 0U);
  const std::string head = "  sl  local_address rem_address   st tx_queue\n";
  EXPECT_EQ(FindDatabase(head + "   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000\n"),
            "MySQL or MariaDB");
  EXPECT_EQ(FindDatabase(head + "   0: 0100007F:0CEA 0100007F:1538 01 00000000:00000000\n"), "")
      << "a connection is no server";
  EXPECT_EQ(FindDatabase(""), "");
}

}  // namespace
}  // namespace onebox::main
