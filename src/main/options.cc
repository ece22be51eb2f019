#include "main/options.h"

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include <fmt/format.h>

#include "acme/settings.h"
#include "base/ascii.h"
#include "base/check.h"
#include "base/nearest.h"
#include "base/units.h"
#include "front/header_rules.h"
#include "front/host_table.h"
#include "front/router.h"
#include "http/address.h"
#include "http/limits.h"
#include "http/media_type.h"
#include "http/response_head.h"
#include "main/words.h"
#include "os/socket.h"
#include "plan/hours.h"

namespace onebox::main {
namespace {

// clang-format off
constexpr auto kOptions = std::to_array<Option>({
  Option{.name = "state", .kind = Kind::kPath, .standard = "",
    .help = "Folder for the control socket, the lock and files in passing; one for each running box.",
    .flag = "--state", .form = "DIR", .found = "a folder for each app folder in $XDG_RUNTIME_DIR/onebox, else in $XDG_STATE_HOME/onebox, ~/.local/state/onebox or /run/onebox"},
  Option{.name = "data", .kind = Kind::kPath, .standard = "",
    .help = "Folder for what outlives a restart: tasks, jobs, sessions. Keep it on a disk, and back it up.",
    .flag = "--data", .form = "DIR", .found = "$STATE_DIRECTORY, else data in the folder of state, where that is set, else a folder for each app folder in $XDG_STATE_HOME/onebox, ~/.local/state/onebox, or of root in /var/lib/onebox"},

  Option{.name = "app.target", .standard = "",
    .help = "The WSGI app: module:attribute, or module:factory() with literal arguments.",
    .flag = "TARGET", .form = "TARGET", .found = kMustBeGiven},
  Option{.name = "app.proxy", .standard = "",
    .help = "Who answers in the place of an app, where there is none: names of [[upstream]]s or URLs of servers, \"http://HOST:PORT\", \"https://HOST:PORT\" or \"unix:/PATH\".",
    .flag = "--proxy", .form = "URL", .shape = Shape::kList, .found = "the app"},
  Option{.name = "app.chdir", .kind = Kind::kPath, .standard = ".",
    .help = "Folder that the app runs in, and is imported from.", .flag = "--chdir", .form = "DIR"},
  Option{.name = "app.python", .kind = Kind::kPath, .standard = "",
    .help = "Python interpreter of the app, 3.11 or later.", .flag = "--python", .form = "PATH",
    .found = "that of the active venv, else of .venv or venv in app.chdir, else python3 in PATH"},
  Option{.name = "app.env", .standard = "",
    .help = "Environment variables of the app, beside those of onebox itself.",
    .flag = "--env", .form = "K=V", .shape = Shape::kMap},
  Option{.name = "app.workers", .kind = Kind::kInteger, .standard = "auto",
    .help = "App workers: processes that run the app. auto plans from the machine's cores.",
    .flag = "--workers", .form = "N|auto", .min = "1", .max = "512", .choices = "auto"},
  Option{.name = "app.workers_min", .kind = Kind::kInteger, .standard = "2",
    .help = "With workers = \"auto\": how few there may be when little is to do.", .min = "1", .max = "512"},
  Option{.name = "app.workers_max", .kind = Kind::kInteger, .standard = "auto",
    .help = "With workers = \"auto\": how many there may be when requests wait and CPU is idle. auto is twice as many as are planned.",
    .min = "1", .max = "512", .choices = "auto"},
  Option{.name = "app.threads", .kind = Kind::kInteger, .standard = "4",
    .help = "Requests that one app worker runs at the same time.",
    .flag = "--threads", .form = "N", .min = "1", .max = "256"},
  Option{.name = "app.worker_class", .kind = Kind::kChoice, .standard = "threads",
    .help = "What runs a request in a worker: a thread, or a greenlet of gevent, which the app's Python must have.",
    .flag = "--worker-class", .form = "threads|gevent", .choices = "threads, gevent"},
  Option{.name = "app.greenlets", .kind = Kind::kInteger, .standard = "200",
    .help = "Requests that one app worker runs at the same time with worker_class gevent, in place of app.threads.",
    .min = "1", .max = "1000"},
  Option{.name = "app.preload", .kind = Kind::kChoice, .standard = "auto",
    .help = "Whether the app is imported once and workers are forked from that. auto: unless the import leaves threads or connections behind.",
    .flag = "--preload", .form = "auto|on|off", .choices = "auto, on, off"},
  Option{.name = "app.watch", .kind = Kind::kBool, .standard = "false",
    .help = "For development: whether a change of the app's files is a reload, and an app that cannot be loaded is answered for with its traceback.",
    .flag = "--watch"},
  Option{.name = "app.watch_files", .kind = Kind::kPath, .standard = "",
    .help = "Files besides whose change is a reload too, with watch.", .shape = Shape::kList, .found = "none"},
  Option{.name = "app.health", .standard = "",
    .help = "Path that a new worker must answer with 2xx or 3xx before it serves; a reload fails where it does not.",
    .found = "not asked"},
  Option{.name = "app.warm_up", .standard = "",
    .help = "Paths that the app is asked for once before it serves, with preload before workers are forked: what its first requests make is there, and shared.",
    .shape = Shape::kList, .found = "none"},
  Option{.name = "app.boot_timeout", .kind = Kind::kDuration, .standard = "5m",
    .help = "How long a worker may take until it is ready; then it is killed.", .min = "1s", .max = "1d"},
  Option{.name = "app.recycle_requests", .kind = Kind::kInteger, .standard = "0",
    .help = "Requests that a worker runs before another takes its place; 0 is no limit.", .min = "0", .max = "1000000000"},
  Option{.name = "app.recycle_jitter", .kind = Kind::kInteger, .standard = "0",
    .help = "Up to this many requests more, by chance, so that workers are not replaced all at once.",
    .min = "0", .max = "1000000000"},
  Option{.name = "app.recycle_age", .kind = Kind::kDuration, .standard = "0s",
    .help = "Age at which another takes a worker's place, and up to a tenth more by chance; 0s is no limit.",
    .min = "0s", .max = "3650d"},
  Option{.name = "app.memory_soft", .kind = Kind::kBytes, .standard = "0 B",
    .help = "Memory of a worker above which another takes its place; 0 is no limit.", .min = "0", .max = "1 TiB"},
  Option{.name = "app.memory_hard", .kind = Kind::kBytes, .standard = "0 B",
    .help = "Memory of a worker above which it takes no more requests and ends; 0 is no limit.", .min = "0", .max = "1 TiB"},
  Option{.name = "app.memory_max", .kind = Kind::kBytes, .standard = "0 B",
    .help = "Memory of all workers together beyond which no spare one is started; 0 is what the machine has.",
    .min = "0", .max = "1 TiB"},
  Option{.name = "app.timeout", .kind = Kind::kDuration, .standard = "30s",
    .help = "How long the app may take for a request; then 504.",
    .flag = "--timeout", .form = "TIME", .min = "10ms", .max = "1d"},
  Option{.name = "app.cancel_disconnected", .kind = Kind::kBool, .standard = "false",
    .help = "Whether a request is ended in the app when its client leaves."},
  Option{.name = "app.queue_max", .kind = Kind::kInteger, .standard = "2048",
    .help = "Requests that may wait for a free worker thread; above it 503.", .min = "1", .max = "1000000"},
  Option{.name = "app.queue_timeout", .kind = Kind::kDuration, .standard = "15s",
    .help = "How long a request may wait for a free worker thread; then 503.", .min = "10ms", .max = "1d"},
  Option{.name = "app.concurrency", .kind = Kind::kInteger, .standard = "all",
    .help = "Requests that run at the same time in all workers. all: as many as there are threads; auto: as many as the latency allows.",
    .min = "1", .max = "100000", .choices = "auto, all"},
  Option{.name = "app.address_share", .kind = Kind::kPercent, .standard = "100%",
    .help = "The part of the queue that one client address may have, and of the places to run while others wait. 100% is no limit.",
    .min = "1%", .max = "100%"},
  Option{.name = "app.user", .standard = "",
    .help = "User, by name or number, that the app and the front run as, with all his groups; root alone may choose one.",
    .flag = "--user", .form = "USER", .found = "who starts it"},
  Option{.name = "app.group", .standard = "",
    .help = "Group, by name or number, of app.user instead of his own.",
    .flag = "--group", .form = "GROUP", .found = "that of app.user"},
  Option{.name = "app.umask", .standard = "",
    .help = "What files of the app and the front do not allow, as octal digits: \"027\".", .found = "that of who starts it"},
  Option{.name = "app.no_new_privileges", .kind = Kind::kBool, .standard = "true",
    .help = "Whether programs that the app starts have no more rights than it; sudo and some mail programs need false."},

  Option{.name = "app.peak", .standard = "",
    .help = "Hours in which there are to be more workers, one [[app.peak]] after the other.",
    .shape = Shape::kTables, .found = "none"},
  Option{.name = "app.peak.at", .kind = Kind::kHours, .standard = "",
    .help = "From when to when, each day, by the clock of a place or, without one, of this machine. The workers are there from two minutes before.",
    .found = kMustBeGiven},
  Option{.name = "app.peak.workers", .kind = Kind::kInteger, .standard = "",
    .help = "Workers at these hours, at least.", .min = "1", .max = "512", .found = kMustBeGiven},

  Option{.name = "app.also", .standard = "",
    .help = "Other apps of the same box, one [[app.also]] after the other. What one does not say is as for [app].",
    .shape = Shape::kTables, .found = "none"},
  Option{.name = "app.also.name", .standard = "",
    .help = "What routes, log and metrics call it: letters, digits, - and _. The app of [app] is main.",
    .found = kMustBeGiven},
  Option{.name = "app.also.target", .standard = "",
    .help = "As app.target.", .found = kMustBeGiven},
  Option{.name = "app.also.script_name", .standard = "",
    .help = "What all its paths begin with: it is told that as SCRIPT_NAME, and the rest as PATH_INFO, so that it finds and makes its URLs.",
    .found = "it sees whole paths"},
  Option{.name = "app.also.chdir", .kind = Kind::kPath, .standard = "",
    .help = "As app.chdir.", .found = "app.chdir"},
  Option{.name = "app.also.python", .kind = Kind::kPath, .standard = "",
    .help = "As app.python.", .found = "that of .venv or venv in its chdir, where that is said, else app.python"},
  Option{.name = "app.also.env", .standard = "",
    .help = "Environment variables of this app, beside those of app.env.", .shape = Shape::kMap, .found = "none"},
  Option{.name = "app.also.workers", .kind = Kind::kInteger, .standard = "auto",
    .help = "Its workers. auto: its share of those that are planned, as many as each other app gets.",
    .min = "1", .max = "512", .choices = "auto"},
  Option{.name = "app.also.threads", .kind = Kind::kInteger, .standard = "",
    .help = "Requests that one of its workers runs at the same time.", .min = "1", .max = "1000",
    .found = "app.threads"},
  Option{.name = "app.also.timeout", .kind = Kind::kDuration, .standard = "",
    .help = "How long it may take for a request whose route says nothing else; then 504.", .min = "10ms", .max = "1d",
    .found = "app.timeout"},
  Option{.name = "app.also.preload", .kind = Kind::kChoice, .standard = "",
    .help = "As app.preload.", .choices = "auto, on, off", .found = "app.preload"},
  Option{.name = "app.also.boot_timeout", .kind = Kind::kDuration, .standard = "",
    .help = "As app.boot_timeout.", .min = "1s", .max = "1d", .found = "app.boot_timeout"},
  Option{.name = "app.also.health", .standard = "",
    .help = "As app.health; a path as this app sees it.", .found = "not asked"},
  Option{.name = "app.also.warm_up", .standard = "",
    .help = "As app.warm_up.", .shape = Shape::kList, .found = "none"},

  Option{.name = "route", .standard = "",
    .help = "Rules for some requests to the app, one [[route]] after the other: the first that matches holds.",
    .shape = Shape::kTables, .found = "none"},
  Option{.name = "route.path", .kind = Kind::kPattern, .standard = "",
    .help = "Its paths: one path, all below one, or a pattern whose * is one segment and whose ** is any number.",
    .found = kMustBeGiven},
  Option{.name = "route.methods", .kind = Kind::kChoice, .standard = "",
    .help = "Its methods; GET stands for HEAD too.", .choices = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE",
    .shape = Shape::kList, .found = "all"},
  Option{.name = "route.timeout", .kind = Kind::kDuration, .standard = "",
    .help = "How long the app may take for one of its requests; then 504.", .min = "10ms", .max = "1d",
    .found = "app.timeout"},
  Option{.name = "route.body_bytes_max", .kind = Kind::kBytes, .standard = "",
    .help = "Largest request body; above it 413.", .min = "0", .max = "1 TiB", .found = "front.body_bytes_max"},
  Option{.name = "route.priority", .kind = Kind::kChoice, .standard = "normal",
    .help = "Who waits goes before those of a lower one; each eighth place goes to whoever is next without regard to it.",
    .choices = "high, normal, low"},
  Option{.name = "route.concurrency", .kind = Kind::kInteger, .standard = "all",
    .help = "Its requests that run at the same time, at most.", .min = "1", .max = "100000", .choices = "all"},
  Option{.name = "route.share", .kind = Kind::kPercent, .standard = "100%",
    .help = "Its part of the places that run requests, at most; one place at least.", .min = "1%", .max = "100%"},
  Option{.name = "route.queue_max", .kind = Kind::kInteger, .standard = "",
    .help = "Its requests that may wait; above it 503. app.queue_max bounds all routes together.",
    .min = "0", .max = "1000000", .found = "app.queue_max"},
  Option{.name = "route.queue_timeout", .kind = Kind::kDuration, .standard = "",
    .help = "How long one of its requests may wait; then 503.", .min = "10ms", .max = "1d",
    .found = "app.queue_timeout"},
  Option{.name = "route.cancel_disconnected", .kind = Kind::kBool, .standard = "",
    .help = "Whether one of its requests is ended in the app when its client leaves.",
    .found = "app.cancel_disconnected"},
  Option{.name = "route.cache", .standard = "",
    .help = "That answers to its GET requests may be kept and given to others. Never those that set a cookie or say that they are private.",
    .shape = Shape::kTable, .found = "nothing is kept"},
  Option{.name = "route.cache.ttl", .kind = Kind::kDuration, .standard = "",
    .help = "How long an answer is fresh that does not say so itself; headers: only those that say so are kept.",
    .min = "1s", .max = "365d", .choices = "headers", .found = kMustBeGiven},
  Option{.name = "route.cache.stale", .kind = Kind::kDuration, .standard = "0s",
    .help = "How long after that it may be given while a new one is fetched, where it does not say so itself (stale-while-revalidate).",
    .min = "0s", .max = "365d"},
  Option{.name = "route.cache.stale_if_error", .kind = Kind::kDuration, .standard = "0s",
    .help = "How long after that it may be given where the app answers 500, 502, 503 or 504.",
    .min = "0s", .max = "365d"},
  Option{.name = "route.cache.negative_ttl", .kind = Kind::kDuration, .standard = "10s",
    .help = "How long an answer with a status from 400 on is fresh, at most; 0s: it is not kept.",
    .min = "0s", .max = "1d"},
  Option{.name = "route.cache.ignore_cookies", .standard = "",
    .help = "Cookies that do not matter, a * at the end for any rest. They are taken out of the request that an answer for all is made from. With any other cookie the app is asked, and nothing is kept.",
    .shape = Shape::kList, .found = "none"},
  Option{.name = "route.cache.ignore_query", .standard = "",
    .help = "Parameters of the query that do not matter, likewise.",
    .shape = Shape::kList, .found = "none"},
  Option{.name = "route.cache.key", .standard = "path, query, host",
    .help = "What makes a difference besides scheme, host and path, which always do: query, cookie:NAME, header:NAME.",
    .shape = Shape::kList},
  Option{.name = "route.cache.tags", .standard = "",
    .help = "Names that all its answers are purged by, besides their URLs.",
    .shape = Shape::kList, .found = "none"},
  Option{.name = "route.limits", .standard = "",
    .help = "How many of its requests a client may send, one table after the other, beside those of front.limits. Above one of them 429.",
    .shape = Shape::kTables, .found = "none"},
  Option{.name = "route.limits.name", .standard = "",
    .help = "What it is called in answers, the log and the metrics. Where it stands in several places it is one limit.",
    .found = kMustBeGiven},
  Option{.name = "route.limits.by", .standard = "",
    .help = "What is counted apart: address, header:NAME, cookie:NAME, path, host, or several together; all is one for all. Who brings no such header or cookie counts by his address.",
    .shape = Shape::kList, .found = "address"},
  Option{.name = "route.limits.rate", .standard = "",
    .help = "Requests within a time: \"10/s\", \"100/m\", \"5/h\" or \"1/d\".", .found = "no limit"},
  Option{.name = "route.limits.burst", .kind = Kind::kInteger, .standard = "",
    .help = "Requests that may come together, before the rate holds.", .min = "1", .max = "1000000",
    .found = "as many as the rate names"},
  Option{.name = "route.limits.then", .kind = Kind::kChoice, .standard = "refuse",
    .help = "What becomes of one that comes too early for the rate.", .choices = "refuse, delay"},
  Option{.name = "route.limits.delay_max", .kind = Kind::kDuration, .standard = "5s",
    .help = "With delay: how long one may wait for its turn; what would wait longer is refused.",
    .min = "1ms", .max = "5m"},
  Option{.name = "route.limits.delayed_max", .kind = Kind::kInteger, .standard = "1000",
    .help = "With delay: how many may wait at a time, of all clients together; more are refused.",
    .min = "1", .max = "1000000"},
  Option{.name = "route.limits.at_once", .kind = Kind::kInteger, .standard = "",
    .help = "Requests at the same time, until their answers have left; more are refused.",
    .min = "1", .max = "1000000", .found = "no limit"},
  Option{.name = "route.limits.exempt", .kind = Kind::kNetwork, .standard = "",
    .help = "Networks whose requests are not counted.", .shape = Shape::kList, .found = "none"},
  Option{.name = "route.limits.v6_prefix", .kind = Kind::kInteger, .standard = "64",
    .help = "How many bits of an IPv6 address are one client.", .min = "1", .max = "128"},
  Option{.name = "route.limits.keys_max", .kind = Kind::kInteger, .standard = "65536",
    .help = "Clients that are remembered, with 24 bytes each; the least busy ones are forgotten for others.",
    .min = "1024", .max = "16777216"},
  Option{.name = "route.limits.log_only", .kind = Kind::kBool, .standard = "false",
    .help = "Whether what it would refuse or delay is only counted and logged."},
  Option{.name = "route.bytes_per_second", .kind = Kind::kBytes, .standard = "",
    .help = "How fast each answer may leave at most.", .min = "1 KiB", .max = "1 TiB",
    .found = "front.bytes_per_second"},
  Option{.name = "route.bytes_per_second_after", .kind = Kind::kBytes, .standard = "",
    .help = "How much of each answer leaves as fast as it can before.", .min = "0", .max = "1 TiB",
    .found = "front.bytes_per_second_after"},
  Option{.name = "route.allow", .kind = Kind::kNetwork, .standard = "",
    .help = "Networks that may ask for it; all others get 403. Of several networks around an address the smallest decides.",
    .shape = Shape::kList, .found = "all"},
  Option{.name = "route.deny", .kind = Kind::kNetwork, .standard = "",
    .help = "Networks that may not ask for it: 403.", .shape = Shape::kList, .found = "none"},
  Option{.name = "route.app", .standard = "",
    .help = "Which app answers: the name of an [[app.also]], or main.", .found = "main"},
  Option{.name = "route.proxy", .standard = "",
    .help = "Who answers in the app's place: the name of an [[upstream]], or the URL of a server.", .found = "the app"},

  Option{.name = "route.security_headers", .kind = Kind::kBool, .standard = "",
    .help = "As front.security_headers, for its answers.", .choices = "strict", .found = "as its site says, else front.security_headers"},
  Option{.name = "route.early_hints", .kind = Kind::kFieldValue, .standard = "",
    .help = "Link fields that a GET is answered with at once, by a 103, while the app works: [\"</static/app.css>; rel=preload; as=style\"].",
    .shape = Shape::kList, .found = "none"},
  Option{.name = "route.static", .standard = "",
    .help = "Its requests are answered from a folder: with the file by the name that the * of its path stands for, or of one path alone the last segment. Its keys are those of [static].",
    .shape = Shape::kTable, .found = "none", .rows = "static.PREFIX"},
  Option{.name = "route.headers", .standard = "",
    .help = "What is changed in the fields of its answers, over what front.headers says; its keys are those of front.headers.",
    .shape = Shape::kTable, .found = "none", .rows = "front.headers"},
  Option{.name = "route.request_headers", .standard = "",
    .help = "What is changed in the fields of its requests before the app, or who answers in its place, sees them, over what front.request_headers says; its keys are those of front.headers.",
    .shape = Shape::kTable, .found = "none", .rows = "front.headers"},

  Option{.name = "route.redirect", .standard = "",
    .help = "Its requests are led elsewhere.", .shape = Shape::kTable, .found = "none"},
  Option{.name = "route.redirect.to", .standard = "",
    .help = "Where to: \"https://game.example$path$query\". $host, $path, $query and $rest, what the * of its path stands for, are those of the request.",
    .found = kMustBeGiven},
  Option{.name = "route.redirect.status", .kind = Kind::kInteger, .standard = "307",
    .help = "301 and 308 are for good, and browsers remember them; 302, 303 and 307 are not. 307 and 308 keep the method.",
    .min = "301", .max = "308"},

  Option{.name = "route.respond", .standard = "",
    .help = "Its requests get one answer, always the same.", .shape = Shape::kTable, .found = "none"},
  Option{.name = "route.respond.status", .kind = Kind::kInteger, .standard = "",
    .help = "Its status.", .min = "200", .max = "599", .found = kMustBeGiven},
  Option{.name = "route.respond.body", .standard = "",
    .help = "Its body.", .found = "of an error the page that errors have, else none"},
  Option{.name = "route.respond.type", .kind = Kind::kFieldValue, .standard = "text/plain; charset=utf-8",
    .help = "The Content-Type of that body."},

  Option{.name = "site", .standard = "",
    .help = "What some hosts get, one [[site]] after the other. Whatever a site does not say holds as for all.",
    .shape = Shape::kTables, .found = "none"},
  Option{.name = "site.hosts", .kind = Kind::kHost, .standard = "",
    .help = "Its hosts: one, all below one, or with * all that no other site has.",
    .shape = Shape::kList, .found = kMustBeGiven},
  Option{.name = "site.security_headers", .kind = Kind::kBool, .standard = "",
    .help = "As front.security_headers, for its answers.", .choices = "strict", .found = "front.security_headers"},
  Option{.name = "site.headers", .standard = "",
    .help = "What is changed in the fields of its answers, over what front.headers says; its keys are those of front.headers.",
    .shape = Shape::kTable, .found = "none", .rows = "front.headers"},
  Option{.name = "site.request_headers", .standard = "",
    .help = "What is changed in the fields of its requests, over what front.request_headers says; its keys are those of front.headers.",
    .shape = Shape::kTable, .found = "none", .rows = "front.headers"},
  Option{.name = "site.static", .kind = Kind::kPath, .standard = "",
    .help = "Prefixes of this site that are served from folders, before those of [static].",
    .shape = Shape::kMounts, .found = "none", .rows = "static.PREFIX"},
  Option{.name = "site.route", .standard = "",
    .help = "Its routes, one [[site.route]] after the other, before each [[route]]; their keys are those of [[route]].",
    .shape = Shape::kTables, .found = "none", .rows = "route"},

  Option{.name = "upstream", .standard = "",
    .help = "Servers that answer in the app's place, one [[upstream]] after the other.",
    .shape = Shape::kTables, .found = "none"},
  Option{.name = "upstream.name", .standard = "",
    .help = "Its name, for route.proxy, logs and metrics.", .found = kMustBeGiven},
  Option{.name = "upstream.servers", .standard = "",
    .help = "Its servers: \"http://HOST:PORT\", \"https://HOST:PORT\" or \"unix:/PATH\", each with \"weight=N\" or \"backup\" after it, where that is wanted.",
    .shape = Shape::kList, .found = kMustBeGiven},
  Option{.name = "upstream.balance", .kind = Kind::kChoice, .standard = "least",
    .help = "Who is asked: of two by chance the one that works on fewer requests, each in turn, or for the same key the same.",
    .choices = "least, round-robin, hash"},
  Option{.name = "upstream.key", .standard = "address",
    .help = "The key of balance hash: \"address\" of the client, \"path\", \"header:NAME\" or \"cookie:NAME\"."},
  Option{.name = "upstream.host", .standard = "client",
    .help = "What servers see as Host: what the client asked for, the server's own name (\"server\"), or this text."},
  Option{.name = "upstream.retries", .kind = Kind::kInteger, .standard = "2",
    .help = "How many servers more a request is given to, while the first ones fail and it is safe.", .min = "0", .max = "10"},
  Option{.name = "upstream.keepalive", .kind = Kind::kInteger, .standard = "128",
    .help = "Idle connections kept open, of each reactor to each server; 0 is none.", .min = "0", .max = "10000"},
  Option{.name = "upstream.keepalive_timeout", .kind = Kind::kDuration, .standard = "1m",
    .help = "How long an idle connection is kept.", .min = "100ms", .max = "1h"},
  Option{.name = "upstream.connect_timeout", .kind = Kind::kDuration, .standard = "3s",
    .help = "How long a connection may take, TLS with it.", .min = "10ms", .max = "10m"},
  Option{.name = "upstream.send_timeout", .kind = Kind::kDuration, .standard = "30s",
    .help = "How long a server may take nothing of a request.", .min = "10ms", .max = "1d"},
  Option{.name = "upstream.head_timeout", .kind = Kind::kDuration, .standard = "1m",
    .help = "How long a server may take to begin its answer. The route's timeout bounds all tries together.", .min = "10ms", .max = "1d"},
  Option{.name = "upstream.read_timeout", .kind = Kind::kDuration, .standard = "1m",
    .help = "How long a server may send nothing of its answer.", .min = "10ms", .max = "1d"},
  Option{.name = "upstream.tunnel_timeout", .kind = Kind::kDuration, .standard = "10m",
    .help = "How long nothing may move in a WebSocket.", .min = "1s", .max = "1d"},
  Option{.name = "upstream.head_bytes_max", .kind = Kind::kBytes, .standard = "32 KiB",
    .help = "Largest head of an answer; above it 502.", .min = "1 KiB", .max = "1 MiB"},
  Option{.name = "upstream.max_fails", .kind = Kind::kInteger, .standard = "3",
    .help = "Failures within fail_window after which a server is not asked for a while; 0 is never.", .min = "0", .max = "1000"},
  Option{.name = "upstream.fail_window", .kind = Kind::kDuration, .standard = "10s",
    .help = "How far apart they may lie.", .min = "100ms", .max = "1h"},
  Option{.name = "upstream.pause", .kind = Kind::kDuration, .standard = "5s",
    .help = "How long it is not asked then, at least; twice as long each time, until it has answered.", .min = "100ms", .max = "1h"},
  Option{.name = "upstream.pause_max", .kind = Kind::kDuration, .standard = "1m",
    .help = "The longest of these pauses.", .min = "100ms", .max = "1d"},
  Option{.name = "upstream.slow_start", .kind = Kind::kDuration, .standard = "0s",
    .help = "How long the share of a server that is back takes to grow to the whole.", .min = "0s", .max = "1h"},
  Option{.name = "upstream.health", .standard = "",
    .help = "Whether each server works is asked again and again.", .shape = Shape::kTable, .found = "it is not"},
  Option{.name = "upstream.health.path", .standard = "",
    .help = "What is asked for, as in \"/health\".", .found = kMustBeGiven},
  Option{.name = "upstream.health.interval", .kind = Kind::kDuration, .standard = "5s",
    .help = "How often.", .min = "100ms", .max = "1h"},
  Option{.name = "upstream.health.timeout", .kind = Kind::kDuration, .standard = "2s",
    .help = "How long the answer may take. A server is down after two that failed, and up after one that did not.", .min = "10ms", .max = "10m"},
  Option{.name = "upstream.health.status", .standard = "200-399",
    .help = "The answers that are right: one status, or the first and the last: \"200\", \"200-399\"."},
  Option{.name = "upstream.tls", .standard = "",
    .help = "What https servers have to show.", .shape = Shape::kTable, .found = "what their host's name asks for"},
  Option{.name = "upstream.tls.ca", .kind = Kind::kPath, .standard = "",
    .help = "A file with the certificates that vouch for them.", .found = "the system's"},
  Option{.name = "upstream.tls.name", .standard = "",
    .help = "The name that their certificates must be for.", .found = "the server's host"},
  Option{.name = "upstream.tls.verify", .kind = Kind::kBool, .standard = "true",
    .help = "Whether they are checked at all."},

  Option{.name = "front.listen", .kind = Kind::kAddress, .standard = "127.0.0.1:8000",
    .help = "Addresses to serve on; one that begins with https:// speaks TLS.", .flag = "--listen", .form = "[https://]ADDR:PORT|[v6]:PORT|unix:PATH",
    .shape = Shape::kList},
  Option{.name = "front.reactors", .kind = Kind::kInteger, .standard = "1",
    .help = "Threads of the front that serve connections.", .min = "1", .max = "64"},
  Option{.name = "front.request_line_max", .kind = Kind::kBytes, .standard = "8 KiB",
    .help = "Longest request line; above it 414.", .min = "64", .max = "1 MiB"},
  Option{.name = "front.head_bytes_max", .kind = Kind::kBytes, .standard = "32 KiB",
    .help = "Largest request head, the request line included; above it 431.", .min = "128", .max = "1 MiB"},
  Option{.name = "front.fields_max", .kind = Kind::kInteger, .standard = "100",
    .help = "Most fields in a request head; above it 431.", .min = "1", .max = "256"},
  Option{.name = "front.body_bytes_max", .kind = Kind::kBytes, .standard = "16 MiB",
    .help = "Largest request body; above it 413.", .min = "0", .max = "1 TiB"},
  Option{.name = "front.body_memory_max", .kind = Kind::kBytes, .standard = "64 KiB",
    .help = "How much of one body is kept in memory; the rest goes to a file without a name.",
    .min = "1 KiB", .max = "1 GiB"},
  Option{.name = "front.buffer_bytes_max", .kind = Kind::kBytes, .standard = "256 MiB",
    .help = "Memory for all buffers together; what does not fit gets 503.", .min = "1 MiB", .max = "1 TiB"},
  Option{.name = "front.answer_ahead_max", .kind = Kind::kBytes, .standard = "64 MiB",
    .help = "How much of one response is taken from its worker before the client has taken it, in memory and then in a file; above it the worker waits.",
    .min = "64 KiB", .max = "1 TiB"},
  Option{.name = "front.response_cache", .kind = Kind::kBytes, .standard = "64 MiB",
    .help = "Memory for answers that are kept, of all routes that have a cache; 0 keeps none.", .min = "0", .max = "1 TiB"},
  Option{.name = "front.purge_token", .kind = Kind::kFieldValue, .standard = "",
    .help = "What a PURGE over HTTP must have as its bearer token; without it PURGE is a method like others.",
    .found = "none"},
  Option{.name = "front.requests_per_connection_max", .kind = Kind::kInteger, .standard = "10000",
    .help = "Requests on one connection before it is closed.", .min = "1", .max = "1000000000"},
  Option{.name = "front.connections_max", .kind = Kind::kInteger, .standard = "10000",
    .help = "Connections at the same time; one more gets 503.", .min = "1", .max = "1000000"},
  Option{.name = "front.connections_per_address_max", .kind = Kind::kInteger, .standard = "0",
    .help = "Connections at the same time from one address; 0 is no limit.", .min = "0", .max = "1000000"},
  Option{.name = "front.http2", .kind = Kind::kBool, .standard = "true",
    .help = "Whether a client that speaks HTTP/2 is answered in it."},
  Option{.name = "front.http2_streams_max", .kind = Kind::kInteger, .standard = "128",
    .help = "Requests at the same time on one HTTP/2 connection; one more is refused, to be asked again.",
    .min = "1", .max = "10000"},
  Option{.name = "front.idle_timeout", .kind = Kind::kDuration, .standard = "75s",
    .help = "How long a connection may wait between two requests.", .min = "10ms", .max = "1d"},
  Option{.name = "front.head_timeout", .kind = Kind::kDuration, .standard = "10s",
    .help = "How long a request head may take to arrive; then 408.", .min = "10ms", .max = "1h"},
  Option{.name = "front.body_timeout", .kind = Kind::kDuration, .standard = "30s",
    .help = "How long a body may pause; then 408.", .min = "10ms", .max = "1d"},
  Option{.name = "front.body_rate_min", .kind = Kind::kBytes, .standard = "256 B",
    .help = "Bytes a second that a body must bring on average; below it 408. 0 is no limit.",
    .min = "0", .max = "1 GiB"},
  Option{.name = "front.write_timeout", .kind = Kind::kDuration, .standard = "30s",
    .help = "How long a client may take nothing of its response; then the connection is closed.",
    .min = "10ms", .max = "1d"},
  Option{.name = "front.write_rate_min", .kind = Kind::kBytes, .standard = "256 B",
    .help = "Bytes a second that a client must take on average; below it the connection is closed. 0 is no limit.",
    .min = "0", .max = "1 GiB"},
  Option{.name = "front.drain_timeout", .kind = Kind::kDuration, .standard = "30s",
    .help = "At the end: how long requests that have begun may take to finish.", .min = "0s", .max = "1d"},
  Option{.name = "front.limits", .standard = "",
    .help = "How many requests a client may send, one table after the other. Above one of them 429.",
    .shape = Shape::kTables, .found = "none", .rows = "route.limits"},
  Option{.name = "front.allow", .kind = Kind::kNetwork, .standard = "",
    .help = "Networks that may connect; all others are closed, or get 403 where they come through a trusted proxy. Of several networks around an address the smallest decides.",
    .shape = Shape::kList, .found = "all"},
  Option{.name = "front.deny", .kind = Kind::kNetwork, .standard = "",
    .help = "Networks that may not connect.", .shape = Shape::kList, .found = "none"},
  Option{.name = "front.deny_file", .kind = Kind::kPath, .standard = "",
    .help = "File with more of them, one a line, # begins a comment. At most 16 MiB; a reload reads it anew.",
    .found = "none"},
  Option{.name = "front.bytes_per_second", .kind = Kind::kBytes, .standard = "",
    .help = "How fast each answer may leave at most.", .min = "1 KiB", .max = "1 TiB", .found = "no limit"},
  Option{.name = "front.bytes_per_second_after", .kind = Kind::kBytes, .standard = "0 B",
    .help = "With bytes_per_second: how much of each answer leaves as fast as it can before.",
    .min = "0", .max = "1 TiB"},
  Option{.name = "front.proxy_protocol", .kind = Kind::kNetwork, .standard = "",
    .help = "Networks of proxies whose connections begin with a header of the PROXY protocol, version 1 or 2, which names the client. A connection of theirs without it is closed.",
    .shape = Shape::kList, .found = "none"},
  Option{.name = "front.client_field", .kind = Kind::kChoice, .standard = "X-Forwarded-For",
    .help = "The one field in which trusted proxies name the client; with Forwarded also scheme and host, which else X-Forwarded-Proto and X-Forwarded-Host name.",
    .choices = "X-Forwarded-For, Forwarded, X-Real-IP"},
  Option{.name = "front.trusted_proxies", .kind = Kind::kNetwork, .standard = "",
    .help = "Networks whose X-Forwarded-* and X-Request-ID fields are believed.",
    .shape = Shape::kList, .found = "none"},
  Option{.name = "front.trust_unix_sockets", .kind = Kind::kBool, .standard = "false",
    .help = "Whether whoever connects to a unix socket is a trusted proxy."},
  Option{.name = "front.server_name", .kind = Kind::kFieldValue, .standard = "onebox",
    .help = "The Server field of responses; empty leaves it out.", .found = "left out"},
  Option{.name = "front.unknown_hosts", .kind = Kind::kChoice, .standard = "serve",
    .help = "With [[site]]: what requests get for a host that none has: what no site says holds for all, or a refusal with this status.",
    .choices = "serve, 404, 421"},
  Option{.name = "front.security_headers", .kind = Kind::kBool, .standard = "false",
    .help = "Whether answers tell browsers to be careful, where the app does not say otherwise; strict forbids more.",
    .choices = "strict"},
  Option{.name = "front.spool_folder", .kind = Kind::kPath, .standard = "",
    .help = "Folder for the files of bodies that memory does not hold.", .found = "the state folder"},
  Option{.name = "front.error_pages", .kind = Kind::kPath, .standard = "",
    .help = "Files that are sent for answers of Onebox's own, by status: { 503 = \"busy.html\" }. At most 64 KiB each.",
    .shape = Shape::kMap, .found = "a line of text", .keys = "403, 404, 413, 429, 431, 500, 502, 503, 504"},
  Option{.name = "front.early_hints_http1", .kind = Kind::kBool, .standard = "false",
    .help = "Whether 103 goes to clients of HTTP/1.1 too: some take it for the answer. It always goes to those of HTTP/2."},
  Option{.name = "front.protected", .kind = Kind::kPath, .standard = "",
    .help = "Folders whose files are sent where the app says so, by X-Accel-Redirect with a path below a prefix or X-Sendfile with a place on the disk: { \"/protected/\" = \"DIR\" }. No client reaches them.",
    .shape = Shape::kMap, .found = "none"},
  Option{.name = "front.static_memory_max", .kind = Kind::kBytes, .standard = "64 MiB",
    .help = "Memory for cached static files, all together.", .min = "0", .max = "1 TiB"},
  Option{.name = "front.static_file_memory_max", .kind = Kind::kBytes, .standard = "256 KiB",
    .help = "Largest static file that is compressed and kept in memory. As it is, one of 32 KiB or more is mapped and sent from the page cache in any case.", .min = "0", .max = "1 GiB"},

  Option{.name = "front.headers", .standard = "",
    .help = "What is changed in the fields of answers, of any status and whoever answers.",
    .shape = Shape::kTable, .found = "none"},
  Option{.name = "front.headers.set", .kind = Kind::kFieldValue, .standard = "",
    .help = "Fields in place of what the answer has by that name: { X-Frame-Options = \"DENY\" }.",
    .shape = Shape::kMap, .found = "none"},
  Option{.name = "front.headers.add", .kind = Kind::kFieldValue, .standard = "",
    .help = "Fields beside what the answer has by that name.", .shape = Shape::kMap, .found = "none"},
  Option{.name = "front.headers.default", .kind = Kind::kFieldValue, .standard = "",
    .help = "Fields where the answer has none by that name.", .shape = Shape::kMap, .found = "none"},
  Option{.name = "front.headers.remove", .kind = Kind::kFieldName, .standard = "",
    .help = "Fields that are left out.", .shape = Shape::kList, .found = "none"},
  Option{.name = "front.request_headers", .standard = "",
    .help = "What is changed in the fields of requests before the app, or who answers in its place, sees them; its keys are those of front.headers.",
    .shape = Shape::kTable, .found = "none", .rows = "front.headers"},

  Option{.name = "static", .kind = Kind::kPath, .standard = "",
    .help = "Prefixes that are served from folders: \"/static/\" = \"DIR\", or = { dir = \"DIR\", ... }.",
    .flag = "--static", .form = "/PREFIX/=DIR", .shape = Shape::kMounts, .found = "none"},
  Option{.name = "static.PREFIX.dir", .kind = Kind::kPath, .standard = "",
    .help = "The folder.", .found = kMustBeGiven},
  Option{.name = "static.PREFIX.max_age", .kind = Kind::kDuration, .standard = "5m",
    .help = "Cache-Control's max-age of its files; then they are revalidated.", .min = "0s", .max = "3650d"},
  Option{.name = "static.PREFIX.immutable", .kind = Kind::kBool, .standard = "true",
    .help = "Whether files with a content hash in their name are sent as immutable."},
  Option{.name = "static.PREFIX.immutable_max_age", .kind = Kind::kDuration, .standard = "365d",
    .help = "Cache-Control's max-age of those files.", .min = "0s", .max = "3650d"},
  Option{.name = "static.PREFIX.follow_links", .kind = Kind::kBool, .standard = "false",
    .help = "Whether links may lead out of the folder."},
  Option{.name = "static.PREFIX.index", .standard = "",
    .help = "Names of files that are sent for a folder, the first that is there: [\"index.html\"].",
    .shape = Shape::kList, .found = "none: a folder is 404"},
  Option{.name = "static.PREFIX.try_files", .standard = "",
    .help = "Files that are tried, the first that is there is sent: [\"$path\", \"$path.html\", \"/index.html\"]. $path is what is asked for. \"@app\" as the last is the app.",
    .shape = Shape::kList, .found = "what is asked for alone"},

  Option{.name = "compression.enabled", .kind = Kind::kBool, .standard = "true",
    .help = "Whether responses are compressed for clients that accept it."},
  Option{.name = "compression.codings", .kind = Kind::kChoice, .standard = "zstd, br, gzip",
    .help = "Content codings, the preferred first.", .choices = "zstd, br, gzip", .shape = Shape::kList},
  Option{.name = "compression.types", .kind = Kind::kMediaRange, .standard = http::kCompressibleTypes,
    .help = "Media types of responses that are compressed: these, and no others.", .shape = Shape::kList},
  Option{.name = "compression.min_bytes", .kind = Kind::kBytes, .standard = "1 KiB",
    .help = "Smallest response that is compressed.", .min = "0", .max = "1 GiB"},
  Option{.name = "compression.gzip_level", .kind = Kind::kInteger, .standard = "5",
    .help = "Effort of gzip.", .min = "1", .max = "9"},
  Option{.name = "compression.brotli_level", .kind = Kind::kInteger, .standard = "4",
    .help = "Effort of brotli.", .min = "0", .max = "11"},
  Option{.name = "compression.zstd_level", .kind = Kind::kInteger, .standard = "3",
    .help = "Effort of zstd.", .min = "1", .max = "19"},

  Option{.name = "tls.cert", .kind = Kind::kPath, .standard = "",
    .help = "Certificates in PEM form, each with those that vouch for it; the first is for clients that name no host we know.",
    .flag = "--tls-cert", .form = "FILE", .shape = Shape::kList, .found = "none"},
  Option{.name = "tls.key", .kind = Kind::kPath, .standard = "",
    .help = "Their private keys, in the same order, without a password.",
    .flag = "--tls-key", .form = "FILE", .shape = Shape::kList, .found = "none"},
  Option{.name = "tls.staple", .kind = Kind::kPath, .standard = "",
    .help = "OCSP responses in DER form to send with the certificates, in the same order.",
    .shape = Shape::kList, .found = "none"},
  Option{.name = "tls.min_version", .kind = Kind::kChoice, .standard = "1.2",
    .help = "The oldest version of TLS that is spoken.", .choices = "1.2, 1.3"},
  Option{.name = "tls.client_certs", .kind = Kind::kChoice, .standard = "off",
    .help = "Whether clients are asked for a certificate; with request one may have none, but never one that is not valid.",
    .choices = "off, request, require"},
  Option{.name = "tls.client_ca", .kind = Kind::kPath, .standard = "",
    .help = "Certificates in PEM form of those who vouch for clients.", .found = "none"},
  Option{.name = "tls.tickets", .kind = Kind::kBool, .standard = "true",
    .help = "Whether a client may go on with a session of before, by a ticket that it keeps."},
  Option{.name = "tls.ticket_rotation", .kind = Kind::kDuration, .standard = "12h",
    .help = "How long a key seals tickets; it opens them for as long again.", .min = "1m", .max = "7d"},
  Option{.name = "tls.handshake_timeout", .kind = Kind::kDuration, .standard = "10s",
    .help = "How long a handshake may take; then the connection is closed.", .min = "10ms", .max = "1h"},
  Option{.name = "tls.redirect", .kind = Kind::kBool, .standard = "false",
    .help = "Whether requests by http are sent to the first https address, with 308."},
  Option{.name = "tls.hsts", .kind = Kind::kDuration, .standard = "",
    .help = "For how long browsers may come by https alone (Strict-Transport-Security); 0s takes it back.",
    .min = "0s", .max = "3650d", .found = "not sent"},
  Option{.name = "tls.hsts_subdomains", .kind = Kind::kBool, .standard = "false",
    .help = "Whether that holds for all names below the one that was asked."},
  Option{.name = "tls.auto", .standard = "",
    .help = "Names of hosts that certificates are obtained for and renewed (ACME), one for each; it agrees to the terms of the authority.",
    .flag = "--tls-auto", .form = "NAME", .shape = Shape::kList, .found = "none"},
  Option{.name = "tls.auto_email", .standard = "",
    .help = "Address that the authority may write to.", .flag = "--tls-auto-email", .form = "ADDRESS", .found = "none"},
  Option{.name = "tls.auto_directory", .standard = acme::kLetsEncrypt,
    .help = "URL of the authority's ACME directory."},
  Option{.name = "tls.auto_ca", .kind = Kind::kPath, .standard = "",
    .help = "Certificates in PEM by which that server itself is checked, for an authority of your own.", .found = "those of the system"},
  Option{.name = "tls.auto_challenge", .kind = Kind::kChoice, .standard = "auto",
    .help = "How it is shown that a name is ours: by HTTP on port 80, or by TLS on port 443. auto: those that an address in front.listen can answer, one, and the other where that has failed.",
    .choices = "auto, http-01, tls-alpn-01"},
  Option{.name = "tls.auto_key", .kind = Kind::kChoice, .standard = "ecdsa",
    .help = "Keys of the certificates: ECDSA with P-256, or RSA with 2048 bits for very old clients.", .choices = "ecdsa, rsa"},
  Option{.name = "tls.auto_eab_kid", .standard = "",
    .help = "Name of the account with the authority that ours is bound to, where it wants that.", .found = "none"},
  Option{.name = "tls.auto_eab_hmac", .standard = "",
    .help = "Its key, in base64url as the authority shows it.", .found = "none"},

  Option{.name = "admin.listen", .kind = Kind::kAddress, .standard = "127.0.0.1:9000",
    .help = "Address of /metrics; keep it from the public.",
    .flag = "--admin", .form = "ADDR:PORT|off", .choices = "off"},

  Option{.name = "cache.memory", .kind = Kind::kBytes, .standard = "256 MiB",
    .help = "Memory of the cache that all workers share (onebox.cache); it is taken as it fills.",
    .min = "2 MiB", .max = "1 TiB"},
  Option{.name = "cache.redis", .standard = "",
    .help = "URL of a Redis that several boxes share, behind that memory: redis://[[USER]:PASSWORD@]HOST[:PORT][/DB] or unix:///PATH[?db=N]. None: the box's memory alone.", .found = "none"},
  Option{.name = "cache.redis_prefix", .standard = "onebox:",
    .help = "What all keys there begin with; another for each app."},
  Option{.name = "cache.redis_timeout", .kind = Kind::kDuration, .standard = "250ms",
    .help = "What a question to it may take.", .min = "1ms", .max = "60s"},
  Option{.name = "cache.in_redis", .kind = Kind::kChoice, .standard = "",
    .help = "What is kept there and not in the box's memory.", .choices = "sessions, locks, limits", .shape = Shape::kList, .found = "none"},

  Option{.name = "tasks.workers", .kind = Kind::kInteger, .standard = "1",
    .help = "Task workers: processes that run tasks and jobs. They are started when the app has any.",
    .flag = "--task-workers", .form = "N", .min = "1", .max = "64"},
  Option{.name = "tasks.threads", .kind = Kind::kInteger, .standard = "4",
    .help = "Tasks that one task worker runs at the same time.", .min = "1", .max = "256"},
  Option{.name = "tasks.timeout", .kind = Kind::kDuration, .standard = "1h",
    .help = "How long a task may run that names no timeout of its own; then it is ended.", .min = "1s", .max = "7d"},
  Option{.name = "tasks.queue_max", .kind = Kind::kInteger, .standard = "1000000",
    .help = "Tasks that a queue may hold; then more are refused.", .min = "1", .max = "100000000"},
  Option{.name = "tasks.engine", .kind = Kind::kChoice, .standard = "onebox",
    .help = "Who runs the app's tasks: onebox, in task workers of this box, or celery, in its workers on other machines too.",
    .choices = "onebox, celery"},
  Option{.name = "tasks.celery_broker", .standard = "",
    .help = "With engine celery: the URL of its broker.", .found = "redis://127.0.0.1:6379/0"},
  Option{.name = "tasks.celery_backend", .standard = "",
    .help = "With engine celery: the URL of where results are kept.", .found = "tasks.celery_broker"},

  Option{.name = "tasks.outbox", .standard = "",
    .help = "URL of the app's MySQL or MariaDB, in whose table onebox_outbox it leaves tasks with its own transactions: mysql://user@host/name?password_file=PATH.",
    .found = "none"},

  Option{.name = "queue", .standard = "",
    .help = "What a queue of tasks may do, one [[queue]] after the other.",
    .shape = Shape::kTables, .found = "none"},
  Option{.name = "queue.name", .standard = "",
    .help = "Its name, as the app's tasks have it.", .found = kMustBeGiven},
  Option{.name = "queue.rate", .standard = "",
    .help = "Tasks of it that begin within a time: \"10/s\", \"100/m\", \"5/h\" or \"1/d\".", .found = "no limit"},
  Option{.name = "queue.concurrency", .kind = Kind::kInteger, .standard = "",
    .help = "Tasks of it that run at the same time.", .min = "1", .max = "16384", .found = "no limit"},

  Option{.name = "jobs.parallel", .kind = Kind::kInteger, .standard = "auto",
    .help = "Jobs that run at the same time. auto is the number of physical cores.",
    .min = "1", .max = "256", .choices = "auto"},
  Option{.name = "jobs.election", .standard = "",
    .help = "URL of a Redis, MySQL or MariaDB by which several boxes elect the one that fires the jobs: redis://host:port, mysql://user@host/name?password_file=PATH.",
    .found = "none: this box does"},
  Option{.name = "jobs.election_name", .standard = "onebox",
    .help = "Boxes with the same name elect together."},
  Option{.name = "jobs.apscheduler", .kind = Kind::kChoice, .standard = "refuse",
    .help = "What becomes of a scheduler of APScheduler that the app starts: none runs in a web worker; with task-worker it runs in one task worker; with allow wherever it is started, and then each worker runs each job.",
    .choices = "refuse, task-worker, allow"},

  Option{.name = "job", .standard = "",
    .help = "A job that is run at its times, one [[job]] after the other, beside those that the app declares.",
    .shape = Shape::kTables, .found = "none"},
  Option{.name = "job.name", .standard = "",
    .help = "Its name. It hides a job of the app that has the same.", .found = kMustBeGiven},
  Option{.name = "job.every", .standard = "",
    .help = "An interval, aligned to the clock: \"5 minutes\". Each job has one of every, cron and at.", .found = "none"},
  Option{.name = "job.cron", .standard = "",
    .help = "A line of cron: \"30 4 * * mon-fri\".", .found = "none"},
  Option{.name = "job.at", .standard = "",
    .help = "Times of the day, of some days: \"mon-fri 21:00\".", .found = "none"},
  Option{.name = "job.tz", .standard = "",
    .help = "The time zone that its times are of: \"Europe/Berlin\".", .found = "this machine's"},
  Option{.name = "job.jitter", .kind = Kind::kDuration, .standard = "",
    .help = "It begins up to so much later, as its name decides.", .min = "0s", .max = "1d", .found = "0s"},
  Option{.name = "job.timeout", .kind = Kind::kDuration, .standard = "",
    .help = "How long it may run; then it is ended.", .min = "1s", .max = "7d", .found = "tasks.timeout"},
  Option{.name = "job.overlap", .kind = Kind::kChoice, .standard = "skip",
    .help = "What becomes of a time that comes while it runs.", .choices = "skip, queue, replace, parallel"},
  Option{.name = "job.catch_up", .kind = Kind::kChoice, .standard = "one",
    .help = "What becomes of times at which no box ran.", .choices = "one, all, none"},
  Option{.name = "job.retries", .kind = Kind::kInteger, .standard = "0",
    .help = "How often it is begun again where it fails, or its worker dies.", .min = "0", .max = "1000"},
  Option{.name = "job.call", .standard = "",
    .help = "What it does: a function of the app, module:function. Each job has one of call, command and url.", .found = "none"},
  Option{.name = "job.command", .standard = "",
    .help = "What it does: a command, for the shell.", .found = "none"},
  Option{.name = "job.url", .standard = "",
    .help = "What it does: an URL that is asked for; an answer above 399 is a failure.", .found = "none"},

  Option{.name = "log.access", .kind = Kind::kPath, .standard = "off",
    .help = "Access log: a file, - for standard output, or off.",
    .flag = "--access-log", .form = "FILE|-|off", .choices = "-, off"},
  Option{.name = "log.access_format", .standard = "combined",
    .help = "combined, json, or a format of Gunicorn's or nginx's atoms."},
  Option{.name = "log.private", .kind = Kind::kChoice, .standard = "",
    .help = "What the logs do not tell: query, also of Referer and Location; cookies, also Authorization; of an address the last byte, or of IPv6 all but 48 bits.",
    .choices = "query, cookies, address", .shape = Shape::kList, .found = "nothing"},
  Option{.name = "log.error", .kind = Kind::kPath, .standard = "-",
    .help = "Error log: a file, or - for standard error.",
    .flag = "--error-log", .form = "FILE|-", .choices = "-"},
  Option{.name = "log.level", .kind = Kind::kChoice, .standard = "info",
    .help = "The least that the error log tells.", .choices = "debug, info, warning, error"},
});
// clang-format on

static_assert(front::kErrorPageBytesMax == 64 << 10, "front.error_pages says so above");
static_assert(http::kFieldsCapacity == 256, "front.fields_max says so above");

std::string ListedChoices(std::string_view choices) {
  std::vector<std::string> quoted;
  for (const std::string_view choice : SplitWords(choices, ',')) {
    quoted.push_back(fmt::format("\"{}\"", choice));
  }
  if (quoted.size() == 1) return quoted.front();
  const std::string last = quoted.back();
  quoted.pop_back();
  return fmt::format("{} or {}", fmt::join(quoted, ", "), last);
}

bool IsChoice(const Option& option, std::string_view text) {
  const auto choices = SplitWords(option.choices, ',');
  return std::find(choices.begin(), choices.end(), text) != choices.end();
}

std::string_view KindText(Kind kind) {
  switch (kind) {
    case Kind::kText:
      return "text";
    case Kind::kPath:
      return "a path";
    case Kind::kBool:
      return "true or false";
    case Kind::kInteger:
      return "a whole number";
    case Kind::kBytes:
      return "a size like \"16 MiB\"";
    case Kind::kDuration:
      return "a time like \"30s\"";
    case Kind::kChoice:
      return "";
    case Kind::kAddress:
      return "\"ADDR:PORT\", \"[v6]:PORT\" or \"unix:PATH\"";
    case Kind::kNetwork:
      return "a network like \"10.0.0.0/8\"";
    case Kind::kPercent:
      return "a percentage like \"25%\"";
    case Kind::kHours:
      return "hours like \"20:30-23:00\", or with a place that the time zone database has: "
             "\"20:30-23:00 Europe/Berlin\"";
    case Kind::kMediaRange:
      return "a media type like \"text/html\", \"text/*\" or \"*+json\"";
    case Kind::kHost:
      return "a host like \"game.example\", \"*.game.example\" or \"*\"";
    case Kind::kFieldName:
      return "the name of a field that is not the connection's own";
    case Kind::kFieldValue:
      return "text without control characters, and without spaces at its ends";
    case Kind::kPattern:
      return "a path like \"/login\", \"/reports/*\" or \"/api/*/export\"";
  }
  CHECK(false);
}

template <typename Value, typename Parse, typename Format>
std::optional<std::string> CheckRange(const Option& option,
                                      std::string_view text,
                                      const Parse& parse,
                                      const Format& format) {
  const std::optional<Value> value = parse(text);
  if (!value) return std::nullopt;
  const bool low = !option.min.empty() && *value < *parse(option.min);
  const bool high = !option.max.empty() && *value > *parse(option.max);
  if (low || high) return std::nullopt;
  return format(*value);
}

std::optional<std::uint64_t> ParseInteger(std::string_view text) {
  return ParseDecimal(text, std::numeric_limits<std::int64_t>::max());
}

std::optional<std::uint64_t> ParsePercent(std::string_view text) {
  if (!text.ends_with('%')) return std::nullopt;
  return ParseDecimal(text.substr(0, text.size() - 1), 100);
}

std::optional<std::string> CheckAddress(const Option& option, std::string_view text) {
  if (text.starts_with("unix:") && text.size() > 5) return std::string(text);  // length: when bound
  // Clients of the admin address are on this box, or behind a proxy of the operator's.
  const bool may_be_secure = option.shape == Shape::kList;
  const auto address = os::SocketAddress::Parse(may_be_secure ? WithoutScheme(text) : text);
  if (!address.ok()) return std::nullopt;
  return std::string(text);
}

// "a table", or what may stand for it.
std::string ExpectedTable(const Option& option) {
  const Option& first = *RowsOf(option).front();
  if (first.found != kMustBeGiven) return "a table";
  return fmt::format("{}, or a table with {}", first.expected(), first.key());
}

// What log.access has, and would be a file of that name.
bool IsErrorLogOff(const Option& option, std::string_view text) {
  return option.name == "log.error" && text == "off";
}

}  // namespace

std::string Option::prefix() const {
  if (shape == Shape::kMounts) return std::string(kMountPrefix);
  return fmt::format("{}.", rows.empty() ? name : rows);
}

std::string Option::variable() const {
  std::string variable = "ONEBOX_";
  for (const char c : name) {
    variable += c == '.' ? '_' : ToUpper(c);
  }
  return variable;
}

std::string Option::expected() const {
  std::string text(KindText(kind));
  if (!min.empty()) text += fmt::format(" from {} to {}", min, max);
  if (!choices.empty()) {
    text += text.empty() ? ListedChoices(choices) : fmt::format(" or {}", ListedChoices(choices));
  }
  if (shape == Shape::kList) return fmt::format("a list, each {}", text);
  if (shape == Shape::kMap && keys.empty()) return "a table of names and texts";
  if (shape == Shape::kMap) return fmt::format("a table of {} and {}", ListedChoices(keys), text);
  if (shape == Shape::kMounts || shape == Shape::kTable) return ExpectedTable(*this);
  if (shape == Shape::kTables && IsPart(*this)) return "a list of tables";
  if (shape == Shape::kTables) return fmt::format("tables [[{}]]", name);
  return text;
}

std::span<const Option> Options() {
  return kOptions;
}

const Option* FindOption(std::string_view name) {
  for (const Option& option : kOptions) {
    if (option.name == name) return &option;
  }
  return nullptr;
}

bool IsOfCheck(const Option& option) {
  constexpr std::array kNames = {"app.chdir", "app.python", "app.workers"};
  return std::find(kNames.begin(), kNames.end(), option.name) != kNames.end();
}

bool HasRows(const Option& option) {
  return option.shape == Shape::kTable || option.shape == Shape::kTables ||
         option.shape == Shape::kMounts;
}

std::vector<const Option*> RowsOf(const Option& option) {
  const std::string prefix = option.prefix();
  std::vector<const Option*> rows;
  for (const Option& row : kOptions) {
    if (!row.name.starts_with(prefix)) continue;
    const bool of_a_table_in_it = row.name.find('.', prefix.size()) != row.name.npos;
    if (!of_a_table_in_it) rows.push_back(&row);
  }
  return rows;
}

bool IsPart(const Option& option) {
  if (option.name.starts_with(kMountPrefix)) return true;
  const Option* whole = option.table().empty() ? nullptr : FindOption(option.table());
  return whole != nullptr && HasRows(*whole);
}

bool IsWritable(const Option& option) {
  const bool in_the_file_alone = option.shape == Shape::kTable || option.shape == Shape::kTables;
  return !in_the_file_alone && !IsPart(option);
}

std::optional<std::string> CheckValue(const Option& option, std::string_view text) {
  if (!option.choices.empty() && IsChoice(option, text)) return std::string(text);
  switch (option.kind) {
    case Kind::kText:
      return std::string(text);
    case Kind::kPath:
      if (text.empty() || text.find('\0') != std::string_view::npos) return std::nullopt;
      if (IsErrorLogOff(option, text)) return std::nullopt;
      return std::string(text);
    case Kind::kBool:
      if (text != "true" && text != "false") return std::nullopt;
      return std::string(text);
    case Kind::kInteger:
      return CheckRange<std::uint64_t>(
          option, text, ParseInteger, [](std::uint64_t value) { return std::to_string(value); });
    case Kind::kBytes:
      return CheckRange<std::uint64_t>(option, text, ParseBytes, FormatBytes);
    case Kind::kDuration:
      return CheckRange<Duration>(option, text, ParseDuration, FormatDuration);
    case Kind::kChoice:
      return std::nullopt;
    case Kind::kAddress:
      return CheckAddress(option, text);
    case Kind::kNetwork:
      if (!http::ParseNetwork(text)) return std::nullopt;
      return std::string(text);
    case Kind::kPercent:
      return CheckRange<std::uint64_t>(option, text, ParsePercent, [](std::uint64_t value) {
        return fmt::format("{}%", value);
      });
    case Kind::kHours:
      if (!plan::Hours::Parse(text)) return std::nullopt;
      return std::string(text);
    case Kind::kMediaRange:
      if (!http::IsMediaRange(text)) return std::nullopt;
      return std::string(text);
    case Kind::kHost:
      return front::HostTable::Normal(text);
    case Kind::kFieldName:
      if (!front::IsFieldForRules(text)) return std::nullopt;
      return std::string(text);
    case Kind::kFieldValue:
      if (!http::IsValidFieldValue(text)) return std::nullopt;
      return std::string(text);
    case Kind::kPattern:
      if (!front::PathPattern::Parse(text)) return std::nullopt;
      return std::string(text);
  }
  CHECK(false);
}

std::string AdviceOn(const Option& option, std::string_view text) {
  if (IsErrorLogOff(option, text)) {
    return "; the error log is never off: log.level says how much it tells";
  }
  const auto meant = NearestName(text, SplitWords(option.choices, ','));
  return meant.empty() ? "" : fmt::format("; did you mean \"{}\"?", meant);
}

}  // namespace onebox::main
