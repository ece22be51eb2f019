#include "main/config.h"

#include <array>
#include <filesystem>

#include <fmt/format.h>

#include "acme/base64url.h"
#include "acme/name.h"
#include "base/ascii.h"
#include "base/check.h"
#include "base/units.h"
#include "front/certificate_store.h"
#include "front/router.h"
#include "http/media_type.h"
#include "main/limits_config.h"
#include "main/python.h"
#include "main/routes.h"
#include "main/target.h"
#include "main/upstreams.h"
#include "main/version.h"
#include "main/words.h"
#include "os/file.h"
#include "os/folder.h"
#include "os/machine.h"
#include "redis/address.h"
#include "schedule/job.h"
#include "schedule/names.h"
#include "schedule/trigger.h"
#include "telemetry/access_log.h"
#include "webcache/rules.h"

namespace onebox::main {
namespace {

constexpr std::string_view kOff = "off";
constexpr std::string_view kAll = "all";
constexpr std::size_t kCaBytesMax = 8 << 20;

// For bodies that memory does not hold, where the state folder is another user's: on disk, and open to
// everybody. The files have no names there.
constexpr std::string_view kCommonFolder = "/var/tmp";

std::string VariableOr(const os::Variables& environment,
                       const char* name,
                       const std::string& otherwise) {
  const auto found = environment.find(name);
  return found == environment.end() || found->second.empty() ? otherwise : found->second;
}

// FNV-1a, 64 bits: the same folder has the same name in every version.
std::uint64_t HashOf(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return hash;
}

constexpr unsigned kRoot = 0;

bool IsFolder(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

void SetDefault(Settings& settings, const std::string& name, std::string text) {
  auto& elements = settings[name];
  if (elements.empty()) elements.push_back({"", std::move(text), "default"});
}

// Values of options that were checked: they parse.
class Values {
 public:
  explicit Values(const Settings& settings) : settings_(settings) {}

  std::string Text(std::string_view name) const { return TextOf(settings_, name); }
  bool Bool(std::string_view name) const { return Text(name) == "true"; }
  std::uint64_t Bytes(std::string_view name) const { return Parsed(ParseBytes(Text(name))); }
  Duration Time(std::string_view name) const { return Parsed(ParseDuration(Text(name))); }

  template <typename Number>
  Number Count(std::string_view name) const {
    return static_cast<Number>(
        Parsed(ParseDecimal(Text(name), std::numeric_limits<Number>::max())));
  }

  const std::vector<Element>& All(std::string_view name) const {
    const auto found = settings_.find(name);
    CHECK(found != settings_.end());
    return found->second;
  }

 private:
  template <typename Value>
  static Value Parsed(const std::optional<Value>& value) {
    CHECK(value);
    return *value;
  }

  const Settings& settings_;
};

front::ConcurrencySettings MakeConcurrency(const Values& values) {
  using Kind = front::ConcurrencySettings::Kind;
  const std::string text = values.Text("app.concurrency");
  if (text == kAll) return {.kind = Kind::kAll, .count = 0};
  if (text == "auto") return {.kind = Kind::kAuto, .count = 0};
  return {.kind = Kind::kFixed, .count = values.Count<std::uint32_t>("app.concurrency")};
}

// Of an enum whose values stand in the order of the option's choices.
template <typename Enum>
Enum MakeChoice(const Values& values, std::string_view name) {
  const auto choices = SplitWords(FindOption(name)->choices, ',');
  const auto found = std::find(choices.begin(), choices.end(), values.Text(name));
  CHECK(found != choices.end());
  return static_cast<Enum>(found - choices.begin());
}

front::CompressionSettings MakeCompression(const Values& values) {
  front::CompressionSettings made;
  made.enabled = values.Bool("compression.enabled");
  made.codings.clear();
  for (const Element& coding : values.All("compression.codings")) {
    const auto known = http::CodingOf(coding.text);
    CHECK(known);
    made.codings.push_back(*known);
  }
  made.types.clear();
  for (const Element& type : values.All("compression.types")) {
    made.types.push_back(type.text);
  }
  made.bytes_min = values.Bytes("compression.min_bytes");
  made.gzip_level = values.Count<int>("compression.gzip_level");
  made.brotli_level = values.Count<int>("compression.brotli_level");
  made.zstd_level = values.Count<int>("compression.zstd_level");
  return made;
}

std::string PurgeSocket(const Values& values) {
  return values.Text("data") + "/purge";
}

front::Settings MakeFront(const Settings& settings) {
  const Values values(settings);
  front::Settings made;
  made.head.request_line_bytes_max = values.Bytes("front.request_line_max");
  made.head.head_bytes_max = values.Bytes("front.head_bytes_max");
  made.head.fields_max = values.Count<std::size_t>("front.fields_max");
  made.body_bytes_max = values.Bytes("front.body_bytes_max");
  made.body_memory_max = values.Bytes("front.body_memory_max");
  made.buffer_bytes_max = values.Bytes("front.buffer_bytes_max");
  made.answer_ahead_max = values.Bytes("front.answer_ahead_max");
  made.requests_per_connection_max =
      values.Count<std::uint32_t>("front.requests_per_connection_max");
  made.connections_max = values.Count<std::uint32_t>("front.connections_max");
  made.connections_per_address_max =
      values.Count<std::uint32_t>("front.connections_per_address_max");
  made.http2 = values.Bool("front.http2");
  made.http2_streams_max = values.Count<std::uint32_t>("front.http2_streams_max");
  made.idle_timeout = values.Time("front.idle_timeout");
  made.head_timeout = values.Time("front.head_timeout");
  made.body_timeout = values.Time("front.body_timeout");
  made.body_rate_min = values.Bytes("front.body_rate_min");
  made.write_timeout = values.Time("front.write_timeout");
  made.write_rate_min = values.Bytes("front.write_rate_min");
  made.reactors = values.Count<std::uint32_t>("front.reactors");
  made.drain_timeout = values.Time("front.drain_timeout");
  made.trust_unix_sockets = values.Bool("front.trust_unix_sockets");
  for (const Element& network : values.All("front.trusted_proxies")) {
    made.trusted_proxies.push_back(*http::ParseNetwork(network.text));
  }
  for (const Element& network : values.All("front.proxy_protocol")) {
    made.proxy_protocol.push_back(*http::ParseNetwork(network.text));
  }
  made.client_field = MakeChoice<http::ClientField>(values, "front.client_field");
  made.queue_max = values.Count<std::uint32_t>("app.queue_max");
  made.queue_timeout = values.Time("app.queue_timeout");
  made.request_timeout = values.Time("app.timeout");
  made.recycle_requests = values.Count<std::uint64_t>("app.recycle_requests");
  made.recycle_jitter = values.Count<std::uint64_t>("app.recycle_jitter");
  AddRoutes(settings, made);
  made.concurrency = MakeConcurrency(values);
  made.address_share_max = PerCent(values.Text("app.address_share"));
  made.static_memory_max = values.Bytes("front.static_memory_max");
  made.static_file_memory_max = values.Bytes("front.static_file_memory_max");
  made.compression = MakeCompression(values);
  made.response_cache_bytes_max = values.Bytes("front.response_cache");
  made.purge_token = values.Text("front.purge_token");
  if (!values.Text("data").empty()) made.purge_socket = PurgeSocket(values);
  made.access_log = values.Text("log.access") == kOff ? "" : values.Text("log.access");
  made.access_format = values.Text("log.access_format");
  for (const Element& part : values.All("log.private")) {
    made.log_privacy.query = made.log_privacy.query || part.text == "query";
    made.log_privacy.cookies = made.log_privacy.cookies || part.text == "cookies";
    made.log_privacy.address = made.log_privacy.address || part.text == "address";
  }
  made.spool_folder = values.Text("front.spool_folder");
  made.server_name = values.Text("front.server_name");
  made.early_hints_http1 = values.Bool("front.early_hints_http1");
  for (const Element& address : values.All("front.listen")) {
    made.secure.push_back(IsHttps(address.text));
  }
  return made;
}

constexpr std::size_t kBundleBytesMax = std::size_t{1} << 20;  // of tls.client_ca

std::string MakeHsts(const Values& values) {
  if (values.Text("tls.hsts").empty()) return {};
  const auto age = std::chrono::duration_cast<std::chrono::seconds>(values.Time("tls.hsts"));
  return fmt::format(
      "max-age={}{}", age.count(), values.Bool("tls.hsts_subdomains") ? "; includeSubDomains" : "");
}

// The certificates are read here and again by the front when they change: here we may be root.
Result<front::TlsSettings> MakeTls(const Values& values) {
  front::TlsSettings made;
  const auto& chains = values.All("tls.cert");
  const auto& keys = values.All("tls.key");
  const auto& staples = values.All("tls.staple");
  for (std::size_t i = 0; i < std::min(chains.size(), keys.size()); ++i) {
    front::CertificateFiles files{.chain_path = chains[i].text, .key_path = keys[i].text};
    if (i < staples.size()) files.staple_path = staples[i].text;
    TRY(front::ReadCertificateFiles(files));
    made.certificates.push_back(std::move(files));
  }
  made.acme_folder = values.Text("data") + "/acme";
  if (values.Text("tls.min_version") == "1.3") made.version_min = tls::Version::kTls13;
  const std::string asked = values.Text("tls.client_certs");
  if (asked == "request") made.client_certificates = tls::ClientCertificates::kRequest;
  if (asked == "require") made.client_certificates = tls::ClientCertificates::kRequire;
  if (const std::string path = values.Text("tls.client_ca"); !path.empty()) {
    made.client_ca_pem = TRY(os::ReadFile(path, kBundleBytesMax));
  }
  made.handshake_timeout = values.Time("tls.handshake_timeout");
  if (values.Bool("front.http2")) made.protocols = {"h2", "http/1.1"};
  made.hsts = MakeHsts(values);
  made.redirect = values.Bool("tls.redirect");
  return made;
}

// The place of a setting for a mistake: who has set it, and what it is called.
std::string At(const Settings& settings, std::string_view name) {
  return fmt::format("{}: {}", SourceOf(settings, name), Place(*FindOption(name)));
}

// Who the app is to run as; nothing where that is who we are.
Result<std::optional<os::User>> MakeUser(const Values& values) {
  const std::string name = values.Text("app.user");
  const std::string group = values.Text("app.group");
  if (name.empty() && group.empty()) return std::optional<os::User>();
  if (name.empty()) return OperatorError("a group needs a user: set app.user too");
  os::User user = TRY(os::FindUser(name, group));
  const bool ours = user.id == os::OurUser() && (group.empty() || user.group == os::OurGroup());
  if (ours) return std::optional<os::User>();
  if (user.id == kRoot) return OperatorError("root is who it is without app.user and app.group");
  if (os::OurUser() != kRoot) {
    return OperatorError(fmt::format("root alone may run the app as \"{}\"", name));
  }
  return std::optional(std::move(user));
}

// Of "027"; nothing where it is none.
std::optional<mode_t> ParseUmask(std::string_view digits) {
  if (digits.empty() || digits.size() > 4) return std::nullopt;
  mode_t mask = 0;
  for (const char c : digits) {
    if (c < '0' || c > '7') return std::nullopt;
    mask = mask * 8 + static_cast<mode_t>(c - '0');
  }
  return mask <= 0777 ? std::optional(mask) : std::nullopt;
}

// Options that are for workers and the supervisor alone.
constexpr std::array<std::string_view, 23> kNotOfTheFront = {"app.target",
                                                             "app.chdir",
                                                             "app.python",
                                                             "app.env",
                                                             "app.workers",
                                                             "app.workers_min",
                                                             "app.workers_max",
                                                             "app.peak",
                                                             "app.threads",
                                                             "app.worker_class",
                                                             "app.greenlets",
                                                             "app.preload",
                                                             "app.watch",
                                                             "app.watch_files",
                                                             "app.health",
                                                             "app.warm_up",
                                                             "app.boot_timeout",
                                                             "app.recycle_age",
                                                             "app.memory_soft",
                                                             "app.memory_hard",
                                                             "app.memory_max",
                                                             "app.no_new_privileges",
                                                             "state"};

void CheckTarget(const Settings& settings, Mistakes& mistakes) {
  const std::string target = TextOf(settings, "app.target");
  const auto wrong = target.empty() ? std::nullopt : WrongTarget(target);
  if (wrong) mistakes.push_back(fmt::format("{}: {}", At(settings, "app.target"), *wrong));
}

void CheckPython(const Settings& settings, const os::Variables& environment, Mistakes& mistakes) {
  if (const auto wrong = WrongPython(TextOf(settings, "app.python"), environment)) {
    mistakes.push_back(fmt::format("{}: {}", At(settings, "app.python"), *wrong));
  }
}

// A log's file is made where it is not there, its folder is not.
void CheckLogFolder(const Settings& settings, std::string_view name, Mistakes& mistakes) {
  const std::string path = TextOf(settings, name);
  if (!path.starts_with('/')) return;  // "-", or off
  const std::string folder = PathFrom(path, "..");
  if (IsFolder(folder)) return;
  mistakes.push_back(
      fmt::format("{}: there is no folder {} for {}", At(settings, name), folder, path));
}

// An address as it is bound; nothing where each is another: port 0 is whichever is free.
std::optional<std::string> BoundText(const std::string& text) {
  const auto address = os::SocketAddress::Parse(WithoutScheme(text));
  if (!address.ok() || (!address.value().is_unix() && address.value().port() == 0)) {
    return std::nullopt;
  }
  return address.value().text();
}

Status CheckBundle(std::string_view pem) {
  TRY(tls::ParseBundle(pem));
  return Done();
}

// What keeps the certificates of the front from being used; nothing where they may be.
Mistakes WrongCertificates(const Values& values) {
  Mistakes mistakes;
  const auto& chains = values.All("tls.cert");
  const auto& keys = values.All("tls.key");
  for (std::size_t i = 0; i < std::min(chains.size(), keys.size()); ++i) {
    front::CertificateFiles files{.chain_path = chains[i].text, .key_path = keys[i].text};
    const Status read = front::ReadCertificateFiles(files);
    const auto made = read.ok() ? tls::Certificate::Parse(files.chain_pem, files.key_pem)
                                : Result<std::shared_ptr<const tls::Certificate>>(read.error());
    if (made.ok()) continue;
    mistakes.push_back(fmt::format("{}: [tls] cert {} with key {}: {}",
                                   chains[i].source,
                                   chains[i].text,
                                   keys[i].text,
                                   made.error().message));
  }
  return mistakes;
}

void CheckTls(const Values& values, const Settings& settings, Mistakes& mistakes) {
  const std::size_t chains = values.All("tls.cert").size();
  const std::size_t keys = values.All("tls.key").size();
  if (chains != keys) {
    mistakes.push_back(
        fmt::format("{}: [tls] key: expected one for each of tls.cert, which are {}, got {}",
                    SourceOf(settings, keys > 0 ? "tls.key" : "tls.cert"),
                    chains,
                    keys));
  }
  const Mistakes wrong = WrongCertificates(values);
  mistakes.insert(mistakes.end(), wrong.begin(), wrong.end());
  const auto& listen = values.All("front.listen");
  const auto secure = std::find_if(
      listen.begin(), listen.end(), [](const Element& one) { return IsHttps(one.text); });
  const bool obtained = FindOption("tls.auto") != nullptr && !values.All("tls.auto").empty();
  if (secure != listen.end() && chains == 0 && !obtained) {
    mistakes.push_back(
        fmt::format("{}: [front] listen: {} needs a certificate: set tls.cert and tls.key",
                    secure->source,
                    secure->text));
  }
  if (secure == listen.end() && values.Bool("tls.redirect")) {
    mistakes.push_back(
        fmt::format("{}: there is no address in front.listen that begins with https://",
                    At(settings, "tls.redirect")));
  }
  const bool asks = values.Text("tls.client_certs") != kOff;
  const std::string bundle = values.Text("tls.client_ca");
  if (asks && bundle.empty()) {
    mistakes.push_back(fmt::format("{}: set tls.client_ca too: who vouches for them",
                                   At(settings, "tls.client_certs")));
  }
  if (bundle.empty()) return;
  const auto pem = os::ReadFile(bundle, kBundleBytesMax);
  const Status parsed = pem.ok() ? CheckBundle(pem.value()) : Status(pem.error());
  if (!parsed.ok()) {
    mistakes.push_back(
        fmt::format("{}: {}: {}", At(settings, "tls.client_ca"), bundle, parsed.error().message));
  }
}

void CheckAddresses(const Values& values, const Settings& settings, Mistakes& mistakes) {
  const auto& listen = values.All("front.listen");
  const auto admin = BoundText(values.Text("admin.listen"));
  for (auto later = listen.begin(); later != listen.end(); ++later) {
    const auto address = BoundText(later->text);
    if (!address) continue;
    const auto first = std::find_if(listen.begin(), later, [&](const Element& earlier) {
      return BoundText(earlier.text) == address;
    });
    if (first != later) {
      const bool same_text = first->text == later->text;
      mistakes.push_back(
          fmt::format("{}: [front] listen: {} is {}",
                      later->source,
                      later->text,
                      same_text ? "there twice" : fmt::format("the same as {}", first->text)));
    } else if (address == admin) {
      const bool blame_admin = later->source == "default";
      mistakes.push_back(fmt::format("{}: {} is the address of both front.listen and admin.listen",
                                     blame_admin ? At(settings, "admin.listen")
                                                 : fmt::format("{}: [front] listen", later->source),
                                     later->text));
    }
  }
}

Peak MakePeak(const Element& peak) {
  constexpr std::uint64_t kMost = std::numeric_limits<unsigned>::max();
  return {*plan::Hours::Parse(peak.text),
          static_cast<unsigned>(*ParseDecimal(TextOf(peak.more, "workers"), kMost))};
}

struct Pair {
  std::string_view smaller, larger;
};
constexpr std::array kSizesInOrder = {
    Pair{"front.request_line_max", "front.head_bytes_max"},
    Pair{"front.body_memory_max", "front.buffer_bytes_max"},
};
// The same, where 0 is no limit.
constexpr std::array kLimitsInOrder = {
    Pair{"app.memory_soft", "app.memory_hard"},
    Pair{"app.memory_hard", "app.memory_max"},
};
constexpr Pair kWorkersInOrder = {"app.workers_min", "app.workers_max"};

// REQUIRES: the smaller one is more than the larger one.
std::string NotInOrder(const Settings& settings, const Pair& pair) {
  const bool blame_larger = SourceOf(settings, pair.smaller) == "default";
  return fmt::format("{}: {} ({}) must not be more than {} ({})",
                     At(settings, blame_larger ? pair.larger : pair.smaller),
                     pair.smaller,
                     TextOf(settings, pair.smaller),
                     pair.larger,
                     TextOf(settings, pair.larger));
}

// The same for each way to write the folder's path.
std::string AppFolderName(const std::string& chdir) {
  std::error_code ignored;
  const auto real = std::filesystem::weakly_canonical(chdir, ignored).string();
  return fmt::format("{:016x}", HashOf(real.empty() ? chdir : real));
}

// What is of the broker: tables of its own.
bool IsOfTheBroker(std::string_view option) {
  return option == "queue" || option == "data" || option.starts_with("tasks.") ||
         option.starts_with("jobs.") || option == "job";
}

// All elements, as text.
void Print(std::string& out, std::string_view name, const std::vector<Element>& elements) {
  out += fmt::format("{}\n", name);
  for (const Element& element : elements) {
    out += fmt::format("  {}={}\n", element.name, element.text);
    for (const auto& [key, inner] : element.more) {
      Print(out, key, inner);
    }
  }
}

broker::QueueRule MakeRule(const Element& queue) {
  broker::QueueRule rule;
  if (const std::string rate = TextOf(queue.more, "rate"); !rate.empty()) {
    rule.rate = broker::Rate::Parse(rate);
  }
  if (const auto most = ParseDecimal(TextOf(queue.more, "concurrency"), UINT32_MAX)) {
    rule.concurrency = static_cast<std::uint32_t>(*most);
  }
  return rule;
}

void CheckQueues(const std::vector<Element>& queues, Mistakes& mistakes) {
  for (const Element& queue : queues) {
    const auto rate = ElementsOf(queue.more, "rate");
    if (rate.empty() || broker::Rate::Parse(rate.front().text)) continue;
    mistakes.push_back(
        fmt::format("{}: [[queue]] \"{}\": expected a rate like \"10/s\", got \"{}\"",
                    queue.source,
                    queue.text,
                    rate.front().text));
  }
}

// REQUIRES: CheckJobs() had nothing to say.
schedule::JobSpec MakeJob(const Element& table) {
  schedule::JobSpec job;
  job.name = table.text;
  job.zone = TextOf(table.more, "tz");
  for (const auto& [key, kind] : schedule::kTriggerNames) {
    if (TextOf(table.more, key).empty()) continue;
    job.kind = kind;
    job.text = TextOf(table.more, key);
  }
  for (const auto& [key, work] : schedule::kWorkNames) {
    if (TextOf(table.more, key).empty()) continue;
    job.work = work;
    job.what = TextOf(table.more, key);
  }
  using schedule::ValueIn;
  if (const auto overlap = ValueIn(schedule::kOverlapNames, TextOf(table.more, "overlap"))) {
    job.overlap = *overlap;
  }
  if (const auto which = ValueIn(schedule::kCatchUpNames, TextOf(table.more, "catch_up"))) {
    job.catch_up.which = *which;
  }
  if (const auto jitter = ParseDuration(TextOf(table.more, "jitter"))) job.jitter = *jitter;
  if (const auto timeout = ParseDuration(TextOf(table.more, "timeout"))) job.timeout = *timeout;
  if (const auto retries = ParseDecimal(TextOf(table.more, "retries"), UINT32_MAX)) {
    job.retries = static_cast<std::uint32_t>(*retries);
  }
  return job;
}

template <std::size_t kSize, typename Value>
bool HasOneOf(const Element& table, const std::array<schedule::Named<Value>, kSize>& keys) {
  return std::count_if(keys.begin(), keys.end(), [&](const auto& key) {
           return !TextOf(table.more, key.first).empty();
         }) == 1;
}

void CheckJobs(const std::vector<Element>& tables, Mistakes& mistakes) {
  for (const Element& table : tables) {
    const auto mistake = [&](std::string_view what) {
      mistakes.push_back(fmt::format("{}: [[job]] \"{}\": {}", table.source, table.text, what));
    };
    if (!HasOneOf(table, schedule::kTriggerNames)) {
      mistake("expected one of every, cron and at");
      continue;
    }
    if (!HasOneOf(table, schedule::kWorkNames)) mistake("expected one of call, command and url");
    const schedule::JobSpec job = MakeJob(table);
    const auto trigger = schedule::Trigger::Parse(job.kind, job.text, job.zone);
    if (!trigger.ok()) mistake(trigger.error().message);
  }
}

using Voting = std::variant<redis::Address, database::Address>;

Result<Voting> ParseElection(const std::string& url) {
  if (url.starts_with("redis") || url.starts_with("unix")) {
    return Voting(TRY(redis::Address::Parse(url)));
  }
  return Voting(TRY(database::Address::Parse(url)));
}

void CheckServers(const Values& values, const Settings& settings, Mistakes& mistakes) {
  const auto check = [&](std::string_view option, const auto& parsed) {
    if (parsed.ok()) return;
    mistakes.push_back(fmt::format("{}: {}", At(settings, option), parsed.error().message));
  };
  if (const std::string url = values.Text("tasks.outbox"); !url.empty()) {
    check("tasks.outbox", database::Address::Parse(url));
  }
  if (const std::string url = values.Text("jobs.election"); !url.empty()) {
    check("jobs.election", ParseElection(url));
  }
}

bool IsOfAcme(std::string_view option) {
  return option == "data" || option.starts_with("tls.auto");
}

void CheckNames(const std::vector<Element>& names, Mistakes& mistakes) {
  std::vector<std::string> known;
  for (const Element& element : names) {
    const auto mistake = [&](std::string_view what) {
      mistakes.push_back(fmt::format("{}: [tls] auto: {}", element.source, what));
    };
    auto name = acme::ParseName(element.text);
    if (!name.ok()) {
      mistake(name.error().message);
    } else if (std::find(known.begin(), known.end(), name.value()) != known.end()) {
      mistake(fmt::format("{} is there twice", name.value()));
    } else {
      known.push_back(std::move(name).value());
    }
  }
  if (names.size() <= acme::kNamesMax) return;
  mistakes.push_back(fmt::format("{}: [tls] auto: expected at most {} names, got {}",
                                 names.front().source,
                                 acme::kNamesMax,
                                 names.size()));
}

void CheckAcme(const Values& values, const Settings& settings, Mistakes& mistakes) {
  CheckNames(values.All("tls.auto"), mistakes);
  const auto mistake = [&](std::string_view option, std::string_view what) {
    mistakes.push_back(fmt::format("{}: {}", At(settings, option), what));
  };
  if (!values.Text("tls.auto_directory").starts_with("https://")) {
    mistake("tls.auto_directory", "expected a URL that begins with https://");
  }
  const std::string email = values.Text("tls.auto_email");
  const bool is_address =
      email.find('@') != std::string::npos &&
      std::all_of(email.begin(), email.end(), [](char c) { return c > ' ' && c != 0x7f; });
  if (!email.empty() && !is_address) {
    mistake("tls.auto_email", fmt::format("expected an address of mail, got \"{}\"", email));
  }
  if (const std::string file = values.Text("tls.auto_ca"); !file.empty()) {
    const auto read = os::ReadFile(file, kCaBytesMax);
    if (!read.ok()) mistake("tls.auto_ca", read.error().message);
  }
  const std::string kid = values.Text("tls.auto_eab_kid");
  const std::string hmac = values.Text("tls.auto_eab_hmac");
  if (kid.empty() != hmac.empty()) {
    mistake(kid.empty() ? "tls.auto_eab_hmac" : "tls.auto_eab_kid",
            "tls.auto_eab_kid and tls.auto_eab_hmac go together");
  } else if (!hmac.empty() && acme::FromBase64Url(hmac).value_or("").empty()) {
    mistake("tls.auto_eab_hmac", "expected base64url");
  }
}

// What the app's side is told of tasks and jobs.
os::Variables MakeTasksVariables(const Values& values) {
  os::Variables variables = {{"ONEBOX_DATA", values.Text("data")},
                             {"ONEBOX_BROKER", values.Text("data") + "/broker"},
                             {"ONEBOX_PURGE", PurgeSocket(values)},
                             {"ONEBOX_APSCHEDULER", values.Text("jobs.apscheduler")},
                             {"ONEBOX_TASKS_ENGINE", values.Text("tasks.engine")}};
  const std::pair<const char*, std::string_view> urls[] = {
      {"ONEBOX_CELERY_BROKER", "tasks.celery_broker"},
      {"ONEBOX_CELERY_BACKEND", "tasks.celery_backend"}};
  for (const auto& [variable, option] : urls) {
    if (const std::string url = values.Text(option); !url.empty()) variables[variable] = url;
  }
  return variables;
}

}  // namespace

std::string DefaultStateParent(const os::Variables& environment) {
  const std::string home = VariableOr(environment, "HOME", "");
  const std::string last = home.empty() ? "/run" : home + "/.local/state";  // a service of root
  return VariableOr(
             environment, "XDG_RUNTIME_DIR", VariableOr(environment, "XDG_STATE_HOME", last)) +
         "/onebox";
}

std::string DefaultState(const std::string& chdir, const os::Variables& environment) {
  return fmt::format("{}/{}", DefaultStateParent(environment), AppFolderName(chdir));
}

std::string DefaultData(const Settings& settings, const os::Variables& environment) {
  // Of several that a service has, the first.
  const std::string given = VariableOr(environment, "STATE_DIRECTORY", "");
  if (!given.empty()) return given.substr(0, given.find(':'));
  if (SourceOf(settings, "state") != "default") return TextOf(settings, "state") + "/data";
  const std::string home = VariableOr(environment, "HOME", "");
  const bool of_root = os::OurUser() == 0 || home.empty();
  const std::string last = of_root ? "/var/lib" : home + "/.local/state";
  return fmt::format("{}/onebox/{}",
                     VariableOr(environment, "XDG_STATE_HOME", last),
                     AppFolderName(TextOf(settings, "app.chdir")));
}

void FillIn(Settings& settings, const os::Variables& environment) {
  const std::string chdir = TextOf(settings, "app.chdir");
  SetDefault(settings, "state", DefaultState(chdir, environment));
  SetDefault(settings, "data", DefaultData(settings, environment));
  const bool others = !TextOf(settings, "app.user").empty();
  SetDefault(settings,
             "front.spool_folder",
             others ? std::string(kCommonFolder) : TextOf(settings, "state"));
  SetDefault(settings,
             "app.python",
             FindPython({.venv = VariableOr(environment, "VIRTUAL_ENV", ""),
                         .folder = chdir,
                         .path = VariableOr(environment, "PATH", "")}));
  FillInApps(settings, environment);
}

namespace {

void CheckRedis(const Settings& settings, Mistakes& mistakes) {
  const Values values(settings);
  const std::string url = values.Text("cache.redis");
  if (url.empty()) {
    if (values.All("cache.in_redis").empty()) return;
    mistakes.push_back(fmt::format("{}: it needs [cache] redis", At(settings, "cache.in_redis")));
    return;
  }
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; };
  for (const std::string_view option : {"cache.redis", "cache.redis_prefix"}) {
    const std::string text = values.Text(option);
    if (std::none_of(text.begin(), text.end(), is_control)) continue;
    mistakes.push_back(fmt::format("{}: expected no control characters", At(settings, option)));
  }
  const auto address = redis::Address::Parse(url);
  if (!address.ok()) {
    mistakes.push_back(fmt::format("{}: {}", At(settings, "cache.redis"), address.error().message));
  }
}

}  // namespace

std::vector<std::string> CacheWarnings(const Settings& settings) {
  std::vector<std::string> warnings;
  const bool keeps = *ParseBytes(TextOf(settings, "front.response_cache")) > 0;
  for (const PlacedRoute& placed : AllRoutes(settings)) {
    const Element* const route = placed.route;
    const auto cache = ElementsOf(route->more, "cache");
    if (cache.empty()) continue;
    const auto warn = [&](std::string_view what) {
      warnings.push_back(fmt::format(
          "{}: {} cache of \"{}\": {}", cache.front().source, placed.table, route->text, what));
    };
    if (!keeps) warn("front.response_cache is 0, so nothing is kept");
    const auto methods = ElementsOf(route->more, "methods");
    const bool gets = std::any_of(methods.begin(), methods.end(), [](const Element& method) {
      return method.text == "GET" || method.text == "HEAD";
    });
    if (!methods.empty() && !gets) warn("only answers to GET are kept, and its methods are others");
    std::vector<std::string> ignored;
    for (const Element& cookie : ElementsOf(cache.front().more, "ignore_cookies"))
      ignored.push_back(cookie.text);
    if (ignored.empty()) continue;
    warn(fmt::format(
        "answers are kept though they say Vary: Cookie, and are made without {}; is the page the "
        "same for everybody?",
        fmt::join(ignored, ", ")));
  }
  return warnings;
}

Mistakes CheckTogether(const Settings& settings, const os::Variables& environment) {
  Mistakes mistakes;
  const Values values(settings);
  std::vector<Pair> in_order(kSizesInOrder.begin(), kSizesInOrder.end());
  std::copy_if(kLimitsInOrder.begin(),
               kLimitsInOrder.end(),
               std::back_inserter(in_order),
               [&](const Pair& pair) { return values.Bytes(pair.larger) > 0; });
  for (const Pair& pair : in_order) {
    if (values.Bytes(pair.smaller) > values.Bytes(pair.larger)) {
      mistakes.push_back(NotInOrder(settings, pair));
    }
  }
  CheckRedis(settings, mistakes);
  const auto& [workers_min, workers_max] = kWorkersInOrder;
  // Who says workers_max alone has a default below it.
  if (values.Text(workers_max) != "auto" && SourceOf(settings, workers_min) != "default" &&
      values.Count<unsigned>(workers_min) > values.Count<unsigned>(workers_max)) {
    mistakes.push_back(NotInOrder(settings, kWorkersInOrder));
  }
  for (const Element& page : values.All("front.error_pages")) {
    const auto read = os::ReadFile(page.text, front::kErrorPageBytesMax);
    if (read.ok()) continue;
    mistakes.push_back(fmt::format(
        "{}: [front] error_pages {}: {}", page.source, page.name, read.error().message));
  }
  const auto check_path = [&](std::string_view option, const std::string& path) {
    if (path.starts_with('/')) return;
    mistakes.push_back(fmt::format(
        "{}: expected a path that begins with /, got \"{}\"", At(settings, option), path));
  };
  if (const std::string health = values.Text("app.health"); !health.empty()) {
    check_path("app.health", health);
  }
  for (const Element& path : values.All("app.warm_up")) {
    check_path("app.warm_up", path.text);
  }
  CheckRoutes(settings, mistakes);
  CheckApps(settings, environment, mistakes);
  for (std::string& mistake : CheckLimits(settings))
    mistakes.push_back(std::move(mistake));
  CheckUpstreams(settings, mistakes);
  CheckQueues(values.All("queue"), mistakes);
  CheckJobs(values.All("job"), mistakes);
  CheckServers(values, settings, mistakes);
  CheckAcme(values, settings, mistakes);
  if (const auto user = MakeUser(values); !user.ok()) {
    const bool by_group = values.Text("app.user").empty();
    mistakes.push_back(fmt::format(
        "{}: {}", At(settings, by_group ? "app.group" : "app.user"), user.error().message));
  }
  if (const std::string mask = values.Text("app.umask"); !mask.empty() && !ParseUmask(mask)) {
    mistakes.push_back(fmt::format(
        "{}: expected octal digits like \"027\", got \"{}\"", At(settings, "app.umask"), mask));
  }
  if (!IsFolder(values.Text("app.chdir"))) {
    mistakes.push_back(fmt::format(
        "{}: there is no folder {}", At(settings, "app.chdir"), values.Text("app.chdir")));
  }
  CheckTarget(settings, mistakes);
  if (!ProxiesAll(settings)) CheckPython(settings, environment, mistakes);
  CheckLogFolder(settings, "log.access", mistakes);
  CheckLogFolder(settings, "log.error", mistakes);
  CheckAddresses(values, settings, mistakes);
  CheckTls(values, settings, mistakes);
  const auto format = telemetry::AccessFormat::Parse(values.Text("log.access_format"));
  if (!format.ok()) {
    mistakes.push_back(
        fmt::format("{}: {}", At(settings, "log.access_format"), format.error().message));
  }
  return mistakes;
}

std::string BrokerPrint(const Settings& settings) {
  std::string print;
  for (const auto& [name, elements] : settings) {
    if (IsOfTheBroker(name)) Print(print, name, elements);
  }
  return print;
}

std::string AcmePrint(const Settings& settings) {
  std::string print;
  for (const auto& [name, elements] : settings) {
    if (IsOfAcme(name)) Print(print, name, elements);
  }
  return print;
}

std::string FrontPrint(const Settings& settings, const Config& config) {
  std::string print;
  for (const auto& [name, elements] : settings) {
    const bool others =
        std::find(kNotOfTheFront.begin(), kNotOfTheFront.end(), name) != kNotOfTheFront.end();
    const bool of_acme = name.starts_with("tls.auto_");  // it has its names alone
    if (!others && !of_acme && !IsOfTheBroker(name)) Print(print, name, elements);
  }
  for (const front::ErrorPage& page : config.front.error_pages)
    print += fmt::format("{}\n{}\n", page.status, page.body);
  print += PrintOfDenyFile(settings);
  for (const front::CertificateFiles& files : config.front.tls.certificates)
    print += files.chain_pem + files.key_pem + files.staple_der;
  print += config.front.tls.client_ca_pem;
  return print;
}

namespace {

// All as it is by itself where there is no Redis.
cache::SecondSettings MakeSecond(const Values& values) {
  cache::SecondSettings second;
  second.url = values.Text("cache.redis");
  if (second.url.empty()) return second;
  second.prefix = values.Text("cache.redis_prefix");
  second.timeout = values.Time("cache.redis_timeout");
  for (const Element& kind : values.All("cache.in_redis")) {
    second.sessions = second.sessions || kind.text == "sessions";
    second.locks = second.locks || kind.text == "locks";
    second.limits = second.limits || kind.text == "limits";
  }
  return second;
}

// An authority counts attempts that nobody answers: of "auto" there is what a listener of ours can answer.
// Who names one may have somebody else for it.
std::vector<acme::Challenge> ChallengesOf(const Values& values) {
  const std::string wish = values.Text("tls.auto_challenge");
  const auto& listen = values.All("front.listen");
  std::vector<acme::Challenge> challenges;
  for (const auto challenge : {acme::Challenge::kHttp01, acme::Challenge::kTlsAlpn01}) {
    const bool secure = challenge == acme::Challenge::kTlsAlpn01;
    const bool answered = std::any_of(listen.begin(), listen.end(), [&](const Element& address) {
      return IsHttps(address.text) == secure;
    });
    if (wish == acme::NameOf(challenge) || (wish == "auto" && answered)) {
      challenges.push_back(challenge);
    }
  }
  return challenges;
}

// REQUIRES: CheckAcme() had nothing to say.
Result<acme::Settings> MakeAcme(const Values& values) {
  acme::Settings made;
  made.folder = values.Text("data") + "/acme";
  for (const Element& name : values.All("tls.auto")) {
    made.names.push_back(TRY(acme::ParseName(name.text)));
  }
  made.email = values.Text("tls.auto_email");
  made.directory = values.Text("tls.auto_directory");
  made.ca_file = values.Text("tls.auto_ca");
  made.challenges = ChallengesOf(values);
  const bool rsa = values.Text("tls.auto_key") == "rsa";
  made.key = rsa ? acme::KeyKind::kRsa : acme::KeyKind::kEcdsa;
  made.external = {values.Text("tls.auto_eab_kid"), values.Text("tls.auto_eab_hmac")};
  made.agent = fmt::format("onebox/{}", kVersion);
  return made;
}

}  // namespace

Result<Config> MakeConfig(const Settings& settings) {
  const Values values(settings);
  Config config;
  config.target = values.Text("app.target");
  config.chdir = values.Text("app.chdir");
  config.python = values.Text("app.python");
  config.state = values.Text("state");
  for (const Element& variable : values.All("app.env")) {
    config.app_variables[variable.name] = variable.text;
  }
  if (values.Text("app.workers") != "auto") config.workers = values.Count<unsigned>("app.workers");
  config.workers_min = values.Count<unsigned>("app.workers_min");
  if (values.Text("app.workers_max") != "auto") {
    config.workers_max = values.Count<unsigned>("app.workers_max");
  }
  for (const Element& peak : values.All("app.peak")) {
    config.peaks.push_back(MakePeak(peak));
  }
  const bool gevent = values.Text("app.worker_class") == "gevent";
  config.worker_class = gevent ? supervise::WorkerClass::kGevent : supervise::WorkerClass::kThreads;
  config.threads = values.Count<unsigned>(gevent ? "app.greenlets" : "app.threads");
  config.preload = PreloadOf(values.Text("app.preload"));
  config.health = values.Text("app.health");
  for (const Element& path : values.All("app.warm_up")) {
    config.warm_up.push_back(path.text);
  }
  config.watch = values.Bool("app.watch");
  for (const Element& file : values.All("app.watch_files")) {
    config.watch_files.push_back(file.text);
  }
  config.confinement = {.user = TRY(MakeUser(values)),
                        .umask = ParseUmask(values.Text("app.umask")),
                        .no_new_privileges = values.Bool("app.no_new_privileges")};
  config.boot_timeout = values.Time("app.boot_timeout");
  config.recycle_age = values.Time("app.recycle_age");
  config.memory = {.soft = values.Bytes("app.memory_soft"),
                   .hard = values.Bytes("app.memory_hard")};
  config.memory_max = values.Bytes("app.memory_max");
  config.cache_bytes = values.Bytes("cache.memory");
  config.data = values.Text("data");
  config.task_workers = values.Count<unsigned>("tasks.workers");
  config.task_threads = values.Count<unsigned>("tasks.threads");
  if (values.Text("jobs.parallel") != "auto") {
    config.jobs_parallel = values.Count<unsigned>("jobs.parallel");
  }
  config.tasks_variables = MakeTasksVariables(values);
  config.broker = {.folder = config.data,
                   .limits = {.tasks_max = values.Count<std::uint64_t>("tasks.queue_max")},
                   .timeout = values.Time("tasks.timeout"),
                   .drain_timeout = values.Time("front.drain_timeout"),
                   .rules = {},
                   .jobs = {},
                   .outbox = {},
                   .election = {},
                   .election_name = values.Text("jobs.election_name"),
                   .box = os::HostName()};
  if (const std::string url = values.Text("tasks.outbox"); !url.empty()) {
    config.broker.outbox = TRY(database::Address::Parse(url));
  }
  if (const std::string url = values.Text("jobs.election"); !url.empty()) {
    config.broker.election = TRY(ParseElection(url));
  }
  for (const Element& queue : values.All("queue")) {
    config.broker.rules.emplace_back(queue.text, MakeRule(queue));
  }
  for (const Element& job : values.All("job")) {
    config.broker.jobs.push_back(MakeJob(job));
  }
  config.other_apps = MakeOtherApps(settings);
  config.second = MakeSecond(values);
  config.acme = TRY(MakeAcme(values));
  for (const Element& address : values.All("front.listen")) {
    config.listen.push_back(TRY(os::SocketAddress::Parse(WithoutScheme(address.text))));
  }
  if (const std::string admin = values.Text("admin.listen"); admin != kOff) {
    config.admin = TRY(os::SocketAddress::Parse(admin));
  }
  config.error_log = values.Text("log.error");
  config.log_level = MakeChoice<telemetry::LogLevel>(values, "log.level");
  config.front = MakeFront(settings);
  TRY(AddLimits(settings, config.front));
  config.front.tls = TRY(MakeTls(values));
  if (values.Bool("tls.tickets")) config.tickets = values.Time("tls.ticket_rotation");
  AddUpstreams(settings, config.front);
  for (const Element& page : values.All("front.error_pages")) {
    config.front.error_pages.push_back(
        {.status = static_cast<int>(*ParseDecimal(page.name, 999)),
         .body = TRY(os::ReadFile(page.text, front::kErrorPageBytesMax)),
         .type = http::MediaTypeOf(page.text)});
  }
  return config;
}

}  // namespace onebox::main
