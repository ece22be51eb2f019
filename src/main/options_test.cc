#include "main/options.h"

#include <algorithm>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "main/reference.h"
#include "main/settings.h"
#include "main/toml_file.h"
#include "os/file.h"

namespace onebox::main {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Layer Read(std::string_view toml) {
  return ReadToml(toml, "onebox.toml", "/srv/app");
}

TEST(Options, HaveNamesOfTheirOwnAndDefaultsThatAreRight) {
  std::set<std::string_view> names;
  std::set<std::string_view> flags;
  for (const Option& option : Options()) {
    SCOPED_TRACE(option.name);
    EXPECT_TRUE(names.insert(option.name).second);
    EXPECT_TRUE(option.flag.empty() || flags.insert(option.flag).second);
    EXPECT_TRUE(option.help.ends_with('.'));
    EXPECT_FALSE(option.expected().empty());
    if (option.shape == Shape::kOne && !option.standard.empty()) {
      EXPECT_EQ(CheckValue(option, option.standard), option.standard);
    }
    if (option.standard.empty() && option.shape == Shape::kOne) {
      EXPECT_FALSE(option.found.empty());
    }
  }
}

TEST(Options, KnowTheirVariable) {
  EXPECT_EQ(FindOption("front.body_bytes_max")->variable(), "ONEBOX_FRONT_BODY_BYTES_MAX");
  EXPECT_EQ(FindOption("state")->variable(), "ONEBOX_STATE");
}

TEST(CheckValue, KeepsWhatIsInRangeInItsShortestForm) {
  struct Case {
    const char* option;
    const char* text;
    std::optional<std::string> kept;
  };
  const Case cases[] = {
      {"app.threads", "1", "1"},
      {"app.threads", "0", {}},
      {"app.threads", "256", "256"},
      {"app.threads", "257", {}},
      {"app.threads", "-1", {}},
      {"app.threads", "99999999999999999999", {}},
      {"app.workers", "auto", "auto"},
      {"app.workers", "Auto", {}},
      {"app.timeout", "90", "90s"},
      {"app.timeout", "120s", "2m"},
      {"app.timeout", "0", {}},
      {"app.timeout", "30 parsecs", {}},
      {"front.body_bytes_max", "1024k", "1 MiB"},
      {"front.body_bytes_max", "5 apples", {}},
      {"front.listen", "[::1]:80", "[::1]:80"},
      {"front.listen", "127.0.0.1:99999", {}},
      {"front.listen", "unix:", {}},
      {"front.listen", "off", {}},
      {"admin.listen", "off", "off"},
      {"front.trusted_proxies", "10.0.0.0/8", "10.0.0.0/8"},
      {"front.trusted_proxies", "10.0.0.0/33", {}},
      {"compression.enabled", "true", "true"},
      {"compression.enabled", "yes", {}},
      {"log.level", "warning", "warning"},
      {"log.level", "loud", {}},
      {"log.access", "off", "off"},
      {"front.server_name", "", ""},
      {"front.server_name", "b\xc3\xbcro 1.0", "b\xc3\xbcro 1.0"},
      {"front.server_name", "a\x7f", {}},
      {"front.server_name", "a ", {}},
      {"app.chdir", "", {}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.option) + " = " + c.text);
    EXPECT_EQ(CheckValue(*FindOption(c.option), c.text), c.kept);
  }
}

TEST(ReadToml, NamesEachMistakeWithItsLineAndItsMend) {
  struct Case {
    const char* toml;
    const char* mistake;
  };
  const Case cases[] = {
      {"[app]\nworkres = 2\n",
       "onebox.toml:2: [app] workres: there is no such key; did you mean \"workers\"?"},
      {"[app]\nworkers = 2\n\n[frnt]\nlisten = []\n",
       "onebox.toml:4: [frnt]: there is no such table; did you mean \"front\"?"},
      {"[zebra]\n",
       "onebox.toml:1: [zebra]: there is no such table; there are: app, route, site, "
       "upstream, front, static, compression, tls, admin, cache, tasks, queue, jobs, job, log"},
      {"stat = '/x'\n",
       "onebox.toml:1: stat: there is no such key or table; did you mean \"state\"?"},
      {"[[routs]]\n", "onebox.toml:1: [[routs]]: there is no such table; did you mean \"route\"?"},
      {"apq = 3\n", "onebox.toml:1: apq: there is no such key or table; did you mean \"app\"?"},
      {"workers = 3\n",
       "onebox.toml:1: workers: there is no such key; it belongs to [app] or [tasks]"},
      {"[app]\nlisten = ['*:80']\n",
       "onebox.toml:2: [app] listen: there is no such key; it belongs to [front] or [admin]"},
      {"[front]\ntimeout = 5\n",
       "onebox.toml:2: [front] timeout: there is no such key; it belongs to [app] or [tasks]"},
      {"[app]\npriority = 'low'\n",
       "onebox.toml:2: [app] priority: there is no such key; it belongs to [[route]]"},
      {"[front]\nmax_age = 5\n",
       "onebox.toml:2: [front] max_age: there is no such key; it belongs to a prefix of [static]"},
      {"[app]\nstate = 'x'\n",
       "onebox.toml:2: [app] state: there is no such key; it belongs to no table: it stands before "
       "the first"},
      {"[[route]]\npath = '/'\nthreads = 5\n",
       "onebox.toml:3: [[route]] threads: there is no such key; it belongs to [app] or [tasks]"},
      {"state = 5\n", "onebox.toml:1: state: expected a path, got 5"},
      {"app = 5\n", "onebox.toml:1: app: expected a table, got 5"},
      {"[app]\nworkers = 'many'\n",
       "onebox.toml:2: [app] workers: expected a whole number from 1 to 512 or \"auto\", got "
       "\"many\""},
      {"[app]\nworkers = 'atuo'\n",
       "onebox.toml:2: [app] workers: expected a whole number from 1 to 512 or \"auto\", got "
       "\"atuo\"; did you mean \"auto\"?"},
      {"[app]\nworkers = '4'\n",
       "onebox.toml:2: [app] workers: expected a whole number from 1 to 512 or \"auto\", got "
       "\"4\""},
      {"[app]\nworkers = -1\n",
       "onebox.toml:2: [app] workers: expected a whole number from 1 to 512 or \"auto\", got -1"},
      {"[app]\nthreads = [1]\n",
       "onebox.toml:2: [app] threads: expected a whole number from 1 to 256, got a list"},
      {"[app]\nthreads = 2.5\n",
       "onebox.toml:2: [app] threads: expected a whole number from 1 to 256, got 2.5"},
      {"[app]\ntimeout = '30 parsecs'\n",
       "onebox.toml:2: [app] timeout: expected a time like \"30s\" from 10ms to 1d, got "
       "\"30 parsecs\""},
      {"[app]\nenv = { PORT = 5 }\n", "onebox.toml:2: [app] env PORT: expected text, got 5"},
      {"[app]\nenv = { 'A=B' = 'c' }\n",
       "onebox.toml:2: [app] env \"A=B\": expected the name of a variable"},
      {"[app]\nenv = 'A=B'\n", "onebox.toml:2: [app] env: expected a table, got \"A=B\""},
      {"[front]\nbody_bytes_max = '5 apples'\n",
       "onebox.toml:2: [front] body_bytes_max: expected a size like \"16 MiB\" from 0 to 1 TiB, "
       "got "
       "\"5 apples\""},
      {"[front]\nlisten = '127.0.0.1:80'\n",
       "onebox.toml:2: [front] listen: expected a list, each \"ADDR:PORT\", \"[v6]:PORT\" or "
       "\"unix:PATH\", got \"127.0.0.1:80\""},
      {"[front]\nlisten = []\n",
       "onebox.toml:2: [front] listen: expected a list, each \"ADDR:PORT\", \"[v6]:PORT\" or "
       "\"unix:PATH\", got an empty one"},
      {"[front]\nlisten = [\n  '127.0.0.1:80',\n  'nowhere',\n]\n",
       "onebox.toml:4: [front] listen: expected \"ADDR:PORT\", \"[v6]:PORT\" or \"unix:PATH\", got "
       "\"nowhere\""},
      {"[front]\nfields_max = 257\n",
       "onebox.toml:2: [front] fields_max: expected a whole number from 1 to 256, got 257"},
      {"[front]\ntrusted_proxies = ['10.0.0.0/33']\n",
       "onebox.toml:2: [front] trusted_proxies: expected a network like \"10.0.0.0/8\", got "
       "\"10.0.0.0/33\""},
      {"[compression]\ncodings = ['gzip', 'lzma']\n",
       "onebox.toml:2: [compression] codings: expected \"zstd\", \"br\" or \"gzip\", got \"lzma\""},
      {"[compression]\nenabled = 'yes please'\n",
       "onebox.toml:2: [compression] enabled: expected true or false, got \"yes please\""},
      {"[static]\n'static/' = '.'\n",
       "onebox.toml:2: [static] \"static/\": expected a prefix that begins and ends with \"/\""},
      {"[static]\n\"/a\\u0000/\" = '.'\n",
       "onebox.toml:2: [static] \"/a\\u0000/\": no path is like this in its normal form"},
      {"[static]\n'/../a/' = '.'\n",
       "onebox.toml:2: [static] \"/../a/\": no path is like this in its normal form"},
      {"[static]\n'/a/../b/' = '.'\n",
       "onebox.toml:2: [static] \"/a/../b/\": expected a prefix in the normal form of paths, which "
       "is \"/b/\""},
      {"[static]\n'/%41/' = '.'\n",
       "onebox.toml:2: [static] \"/%41/\": expected a prefix in the normal form of paths, which is "
       "\"/A/\""},
      {"[static]\n'/a//b/' = '.'\n",
       "onebox.toml:2: [static] \"/a//b/\": expected a prefix in the normal form of paths, which "
       "is "
       "\"/a/b/\""},
      {"[static]\n'/a\\b/' = '.'\n",
       "onebox.toml:2: [static] \"/a\\\\b/\": no path with a backslash is served from a folder"},
      {"[static]\n'/a?/' = '.'\n",
       "onebox.toml:2: [static] \"/a?/\": expected a prefix without \"?\" and \"#\", which end a "
       "path"},
      {"[front]\nserver_name = \"a\\r\\nSet-Cookie: b\"\n",
       "onebox.toml:2: [front] server_name: expected text without control characters, and without "
       "spaces at its ends, got \"a\\u000d\\u000aSet-Cookie: b\""},
      {"[static]\n'/static/' = { dri = '.' }\n",
       "onebox.toml:2: [static] \"/static/\" dri: there is no such key; did you mean \"dir\"?"},
      {"[static]\n'/static/' = { max_age = '1h' }\n",
       "onebox.toml:2: [static] \"/static/\": expected dir"},
      {"[route]\npath = '/a'\n", "onebox.toml:1: route: expected tables [[route]], got a table"},
      {"[[route]]\nmethods = ['GET']\n", "onebox.toml:1: [[route]]: expected path"},
      {"[[app.peak]]\nat = '20:30'\n",
       "onebox.toml:2: [[app.peak]] at: expected hours like \"20:30-23:00\", or with a place that "
       "the time zone database has: \"20:30-23:00 Europe/Berlin\", got \"20:30\""},
      {"[[app.peak]]\nat = '20:30-23:00'\n", "onebox.toml:1: [[app.peak]]: expected workers"},
      {"[[app.peak]]\nat = '20:30-23:00'\nworker = 3\nworkers = 3\n",
       "onebox.toml:3: [[app.peak]] worker: there is no such key; did you mean \"workers\"?"},
      {"[app]\npeek = 3\n",
       "onebox.toml:2: [app] peek: there is no such key; did you mean \"peak\"?"},
      {"[[route]]\npath = '/a*'\n",
       "onebox.toml:2: [[route]] path: expected a path like \"/login\", \"/reports/*\" or "
       "\"/api/*/export\", got \"/a*\""},
      {"[[route]]\npath = '/a'\nprioritty = 'high'\n",
       "onebox.toml:3: [[route]] prioritty: there is no such key; did you mean \"priority\"?"},
      {"[[route]]\npath = '/a'\nmethods = ['GETT']\n",
       "onebox.toml:3: [[route]] methods: expected \"GET\", \"HEAD\", \"POST\", \"PUT\", "
       "\"PATCH\", "
       "\"DELETE\", \"OPTIONS\" or \"TRACE\", got \"GETT\"; did you mean \"GET\"?"},
      {"[[route]]\npath = '/a'\nshare = '101%'\n",
       "onebox.toml:3: [[route]] share: expected a percentage like \"25%\" from 1% to 100%, got "
       "\"101%\""},
      {"[front]\nerror_pages = { 505 = 'x' }\n",
       "onebox.toml:2: [front] error_pages 505: there is no such key; did you mean \"500\"?"},
      {"[static]\n'/static/' = 5\n",
       "onebox.toml:2: [static] \"/static/\": expected a path, or a table with dir, got 5"},
      {"[[site]]\n", "onebox.toml:1: [[site]]: expected hosts"},
      {"[[site]]\nhosts = ['a:80']\n",
       "onebox.toml:2: [[site]] hosts: expected a host like \"game.example\", \"*.game.example\" "
       "or "
       "\"*\", got \"a:80\""},
      {"[[site]]\nhosts = ['a']\n[[site.route]]\npat = '/'\n",
       "onebox.toml:3: [[site]] route: expected path"},
      {"[[site]]\nhosts = ['a']\n[[site.route]]\npath = '/'\ntimout = 5\n",
       "onebox.toml:5: [[site]] route timout: there is no such key; did you mean \"timeout\"?"},
      {"[[site]]\nhosts = ['a']\nstatic = { '/a' = 'b' }\n",
       "onebox.toml:3: [[site]] static \"/a\": expected a prefix that begins and ends with \"/\""},
      {"[[route]]\npath = '/a'\nrespond = { body = 'x' }\n",
       "onebox.toml:3: [[route]] respond: expected status"},
      {"[[route]]\npath = '/a'\nrespond = 'gone'\n",
       "onebox.toml:3: [[route]] respond: expected a whole number from 200 to 599, or a table with "
       "status, got \"gone\""},
      {"[front]\nsecurity_headers = 'strickt'\n",
       "onebox.toml:2: [front] security_headers: expected true or false or \"strict\", got "
       "\"strickt\"; did you mean \"strict\"?"},
      {"[front]\nheaders = 5\n", "onebox.toml:2: [front] headers: expected a table, got 5"},
      {"[front]\nheaders = { sett = {} }\n",
       "onebox.toml:2: [front] headers sett: there is no such key; did you mean \"set\"?"},
      {"[front.headers]\nset = { 'X-A' = \"a\\r\\nb\" }\n",
       "onebox.toml:2: [front] headers set X-A: expected text without control characters, and "
       "without spaces at its ends, got \"a\\u000d\\u000ab\""},
      {"[front.headers]\nadd = { 'Content-Length' = '5' }\n",
       "onebox.toml:2: [front] headers add \"Content-Length\": expected the name of a field that "
       "is "
       "not the connection's own"},
      {"[[route]]\npath = '/a'\nheaders = { remove = ['X-A', 'X B'] }\n",
       "onebox.toml:3: [[route]] headers remove: expected the name of a field that is not the "
       "connection's own, got \"X B\""},
      {"[front]\nremove = ['X-A']\n",
       "onebox.toml:2: [front] remove: there is no such key; it belongs to headers of [front]"},
      {"[log]\nlevel = 'warn'\n",
       "onebox.toml:2: [log] level: expected \"debug\", \"info\", \"warning\" or \"error\", got "
       "\"warn\""},
      {"[log]\nerror = 'off'\n",
       "onebox.toml:2: [log] error: expected a path or \"-\", got \"off\"; the error log is never "
       "off: log.level says how much it tells"},
      {"[admin]\nlisten = 5\n",
       "onebox.toml:2: [admin] listen: expected \"ADDR:PORT\", \"[v6]:PORT\" or \"unix:PATH\" or "
       "\"off\", got 5"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.toml);
    ASSERT_FALSE(Read(c.toml).mistakes.empty());
    EXPECT_EQ(Read(c.toml).mistakes.front(), c.mistake);
  }
}

TEST(ReadToml, TakesAPrefixThatRequestsCanWrite) {
  for (const char* prefix : {"/", "/a b/", "/.well-known/", "/100%/", "/b\xc3\xbcro/", "/a..b/"}) {
    SCOPED_TRACE(prefix);
    EXPECT_THAT(Read(std::string("[static]\n'") + prefix + "' = '.'\n").mistakes, IsEmpty());
  }
}

TEST(ReadToml, NamesTheLineWhereItIsNotToml) {
  EXPECT_THAT(Read("[app\nworkers = 2\n").mistakes,
              ElementsAre(testing::StartsWith("onebox.toml:1: not TOML: ")));
  const auto twice = Read("[app]\nworkers = 2\nworkers = 3\n").mistakes;
  EXPECT_THAT(twice, ElementsAre(testing::StartsWith("onebox.toml:3: not TOML: ")));
  EXPECT_THAT(twice.front(), HasSubstr("workers"));
}

TEST(ReadToml, NamesEveryMistakeAtOnceInTheOrderOfTheFile) {
  EXPECT_THAT(
      Read("[log]\nlevl = 'x'\n[app]\nworkres = 2\nthraeds = 3\n[front]\nlisen = []\n").mistakes,
      ElementsAre(HasSubstr(":2: [log] levl"),
                  HasSubstr(":4: [app] workres"),
                  HasSubstr(":5: [app] thraeds"),
                  HasSubstr(":7: [front] lisen")));
}

TEST(ReadToml, AListWithoutOneRightElementIsAsIfNotSaid) {
  const Layer layer = ReadToml("[front]\nlisten = [\"uni)x:s\"]\n", "onebox.toml", "/srv");
  EXPECT_EQ(layer.mistakes.size(), 1U);
  EXPECT_EQ(layer.settings.count("front.listen"), 0U);
}

TEST(ReadToml, CountsRelativeFoldersFromTheFilesFolder) {
  const auto layer = Read(
      "state = 'run'\n[app]\nchdir = '.'\npython = 'python3.12'\n[front]\nlisten = "
      "['unix:app.sock', "
      "'unix:@abstract']\n[static]\n'/a/' = 'files/'\n'/b/' = { dir = '/b', max_age = 60 }\n[log]\n"
      "access = '-'\nerror = '../error.log'\n");
  EXPECT_THAT(layer.mistakes, IsEmpty());
  const Settings& settings = layer.settings;
  EXPECT_EQ(TextOf(settings, "state"), "/srv/app/run");
  EXPECT_EQ(TextOf(settings, "app.chdir"), "/srv/app");
  EXPECT_EQ(TextOf(settings, "app.python"), "python3.12");
  EXPECT_EQ(settings.at("front.listen")[0].text, "unix:/srv/app/app.sock");
  EXPECT_EQ(settings.at("front.listen")[1].text, "unix:@abstract");
  EXPECT_EQ(settings.at("static")[0].text, "/srv/app/files");
  EXPECT_EQ(TextOf(settings.at("static")[1].more, "max_age"), "1m");
  EXPECT_EQ(TextOf(settings, "log.access"), "-");
  EXPECT_EQ(TextOf(settings, "log.error"), "/srv/error.log");
}

TEST(ReadToml, SurvivesTheFileCutAtEveryByte) {
  const std::string_view whole =
      "state = 'x'\n[app]\nworkers = \"auto\"\ntimeout = 1.5\nenv = { A = 'b' }\n[front]\nlisten = "
      "['127.0.0.1:80']\n[static]\n'/a/' = { dir = 'x' }\n";
  EXPECT_THAT(Read(whole).mistakes, IsEmpty());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    SCOPED_TRACE(size);
    for (const std::string& mistake : Read(whole.substr(0, size)).mistakes) {
      EXPECT_THAT(mistake, testing::StartsWith("onebox.toml:"));
    }
  }
}

// That `settings` says all that `said` does.
void ExpectHolds(const Settings& settings, const Settings& said) {
  for (const auto& [name, elements] : said) {
    SCOPED_TRACE(name);
    ASSERT_THAT(settings, testing::Contains(testing::Key(name)));
    ASSERT_EQ(settings.at(name).size(), elements.size());
    for (std::size_t i = 0; i < elements.size(); ++i) {
      EXPECT_EQ(settings.at(name)[i].name, elements[i].name);
      EXPECT_EQ(settings.at(name)[i].text, elements[i].text);
      ExpectHolds(settings.at(name)[i].more, elements[i].more);
    }
  }
}

TEST(PrintSettings, IsAFileThatSaysTheSame) {
  Settings settings = Defaults("/srv/app");
  Overlay(
      settings,
      Read("state = '/s\"\\\\'\n[app]\ntarget = 'app:create(\"x\")'\nenv = { A = 'b', C = '' }\n"
           "workers = 3\n[static]\n'/a/' = { dir = '/a', follow_links = true }\n"
           "[[route]]\npath = '/x'\nmethods = ['GET', 'POST']\ntimeout = 5\nshare = '9%'\n"
           "[front]\nsecurity_headers = 'strict'\n[front.headers]\nset = { X-A = 'a, \"b\"' }\n"
           "remove = ['Server', 'X-B']\n"
           "[[route]]\npath = '/y/*'\nconcurrency = 3\nheaders = { default = { X-C = '' } }\n")
          .settings);
  Settings again = Defaults("/elsewhere");
  const Layer printed = Read(PrintSettings(settings));
  EXPECT_THAT(printed.mistakes, IsEmpty());
  Overlay(again, printed.settings);
  ExpectHolds(again, settings);
}

// Each line of the print, without the spaces before its source.
std::vector<std::string> Printed(const Settings& settings) {
  std::vector<std::string> lines;
  std::istringstream text(PrintSettings(settings));
  for (std::string line; std::getline(text, line);) {
    const std::size_t source = line.rfind("  # ");
    const std::size_t end =
        source == line.npos ? line.npos : line.find_last_not_of(' ', source) + 1;
    lines.push_back(source == line.npos ? line : line.substr(0, end) + line.substr(source));
  }
  return lines;
}

TEST(PrintSettings, ShowsEveryKeyOfATableOfSeveralWithItsOwnSource) {
  Settings settings = Defaults("/");
  Overlay(settings,
          Read("[app]\ntimeout = '7s'\n[static]\n'/a/' = '/a'\n[static.'/b/']\nmax_age = 60\n"
               "dir = '/b'\n[[route]]\nmethods = ['GET']\npath = '/x'\n[[app.peak]]\n"
               "at = '20:30-23:00'\nworkers = 5\n")
              .settings);
  const std::vector<std::string> lines = Printed(settings);
  const std::vector<std::string> tables[] = {
      {"[static.\"/a/\"]",
       "dir = \"/a\"  # onebox.toml:4",
       "max_age = \"5m\"  # default",
       "immutable = true  # default",
       "immutable_max_age = \"365d\"  # default",
       "follow_links = false  # default"},
      {"[static.\"/b/\"]",
       "dir = \"/b\"  # onebox.toml:7",
       "max_age = \"1m\"  # onebox.toml:6",
       "immutable = true  # default"},
      {"[[route]]",
       "path = \"/x\"  # onebox.toml:10",
       "methods = [\"GET\"]  # onebox.toml:9",
       "timeout = \"7s\"  # as app.timeout",
       "body_bytes_max = \"16 MiB\"  # as front.body_bytes_max",
       "priority = \"normal\"  # default",
       "concurrency = \"all\"  # default",
       "share = \"100%\"  # default",
       "queue_max = 2048  # as app.queue_max",
       "queue_timeout = \"15s\"  # as app.queue_timeout",
       "cancel_disconnected = false  # as app.cancel_disconnected"},
      {"[[app.peak]]", "at = \"20:30-23:00\"  # onebox.toml:12", "workers = 5  # onebox.toml:13"},
  };
  for (const auto& table : tables) {
    SCOPED_TRACE(table.front());
    const auto found = std::search(lines.begin(), lines.end(), table.begin(), table.end());
    EXPECT_NE(found, lines.end()) << PrintSettings(settings);
  }
}

TEST(OptionsPage, IsTheOneInTheDocs) {
  const auto page = os::ReadFile("docs/use/options.md", 1 << 20);
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_EQ(page.value(), OptionsPage())
      << "renew it: build/dev/bin/onebox reference options > docs/use/options.md";
}

}  // namespace
}  // namespace onebox::main
