#include "main/config.h"

#include <array>
#include <filesystem>

#include <fmt/format.h>

#include "base/ascii.h"
#include "base/check.h"
#include "base/units.h"
#include "main/python.h"
#include "main/words.h"
#include "telemetry/access_log.h"

namespace onebox::main {
namespace {

constexpr std::string_view kOff = "off";

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

std::string OfMount(const Element& mount, std::string_view key) {
  const auto found = mount.more.find(std::string(key));
  if (found != mount.more.end()) return found->second;
  return std::string(FindOption(fmt::format("{}{}", kMountPrefix, key))->standard);
}

front::StaticMount MakeMount(const Element& mount) {
  const auto time = [&mount](std::string_view key) {
    return std::chrono::duration_cast<std::chrono::seconds>(*ParseDuration(OfMount(mount, key)));
  };
  return {.prefix = mount.name,
          .folder = mount.text,
          .max_age = time("max_age"),
          .immutable_max_age = time("immutable_max_age"),
          .immutable = OfMount(mount, "immutable") == "true",
          .follow_links = OfMount(mount, "follow_links") == "true"};
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
  made.bytes_min = values.Bytes("compression.min_bytes");
  made.gzip_level = values.Count<int>("compression.gzip_level");
  made.brotli_level = values.Count<int>("compression.brotli_level");
  made.zstd_level = values.Count<int>("compression.zstd_level");
  return made;
}

front::Settings MakeFront(const Values& values) {
  front::Settings made;
  made.head.request_line_bytes_max = values.Bytes("front.request_line_max");
  made.head.head_bytes_max = values.Bytes("front.head_bytes_max");
  made.head.fields_max = values.Count<std::size_t>("front.fields_max");
  made.body_bytes_max = values.Bytes("front.body_bytes_max");
  made.body_memory_max = values.Bytes("front.body_memory_max");
  made.buffer_bytes_max = values.Bytes("front.buffer_bytes_max");
  made.requests_per_connection_max =
      values.Count<std::uint32_t>("front.requests_per_connection_max");
  made.connections_max = values.Count<std::uint32_t>("front.connections_max");
  made.connections_per_address_max =
      values.Count<std::uint32_t>("front.connections_per_address_max");
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
  made.queue_max = values.Count<std::uint32_t>("app.queue_max");
  made.queue_timeout = values.Time("app.queue_timeout");
  made.request_timeout = values.Time("app.timeout");
  made.recycle_requests = values.Count<std::uint64_t>("app.recycle_requests");
  made.recycle_jitter = values.Count<std::uint64_t>("app.recycle_jitter");
  made.cancel_disconnected = values.Bool("app.cancel_disconnected");
  for (const Element& mount : values.All("static")) {
    made.static_mounts.push_back(MakeMount(mount));
  }
  made.static_memory_max = values.Bytes("front.static_memory_max");
  made.static_file_memory_max = values.Bytes("front.static_file_memory_max");
  made.compression = MakeCompression(values);
  made.access_log = values.Text("log.access") == kOff ? "" : values.Text("log.access");
  made.access_format = values.Text("log.access_format");
  made.spool_folder = values.Text("front.spool_folder");
  made.server_name = values.Text("front.server_name");
  return made;
}

telemetry::LogLevel MakeLevel(std::string_view name) {
  const auto choices = SplitWords(FindOption("log.level")->choices, ',');  // in the enum's order
  const auto found = std::find(choices.begin(), choices.end(), name);
  CHECK(found != choices.end());
  return static_cast<telemetry::LogLevel>(found - choices.begin());
}

supervise::Preload MakePreload(std::string_view name) {
  if (name == kOff) return supervise::Preload::kOff;
  return name == "on" ? supervise::Preload::kOn : supervise::Preload::kAuto;
}

// The place of a setting for a mistake: who has set it, and what it is called.
std::string At(const Settings& settings, std::string_view name) {
  return fmt::format("{}: {}", SourceOf(settings, name), Place(*FindOption(name)));
}

// Options that are for workers and the supervisor alone.
constexpr std::array<std::string_view, 18> kNotOfTheFront = {"app.target",
                                                             "app.chdir",
                                                             "app.python",
                                                             "app.env",
                                                             "app.workers",
                                                             "app.workers_min",
                                                             "app.workers_max",
                                                             "app.threads",
                                                             "app.worker_class",
                                                             "app.greenlets",
                                                             "app.preload",
                                                             "app.health",
                                                             "app.boot_timeout",
                                                             "app.recycle_age",
                                                             "app.memory_soft",
                                                             "app.memory_hard",
                                                             "app.memory_max",
                                                             "state"};

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

}  // namespace

std::string DefaultStateParent(const os::Variables& environment) {
  const std::string home = VariableOr(environment, "HOME", "");
  const std::string last = home.empty() ? "/run" : home + "/.local/state";  // a service of root
  return VariableOr(
             environment, "XDG_RUNTIME_DIR", VariableOr(environment, "XDG_STATE_HOME", last)) +
         "/onebox";
}

std::string DefaultState(const std::string& chdir, const os::Variables& environment) {
  std::error_code ignored;
  const auto real = std::filesystem::weakly_canonical(chdir, ignored).string();
  return fmt::format(
      "{}/{:016x}", DefaultStateParent(environment), HashOf(real.empty() ? chdir : real));
}

void FillIn(Settings& settings, const os::Variables& environment) {
  const std::string chdir = TextOf(settings, "app.chdir");
  SetDefault(settings, "state", DefaultState(chdir, environment));
  SetDefault(settings, "front.spool_folder", TextOf(settings, "state"));
  SetDefault(settings,
             "app.python",
             FindPython({.venv = VariableOr(environment, "VIRTUAL_ENV", ""),
                         .folder = chdir,
                         .path = VariableOr(environment, "PATH", "")}));
}

Mistakes CheckTogether(const Settings& settings) {
  Mistakes mistakes;
  const Values values(settings);
  std::vector<Pair> in_order(kSizesInOrder.begin(), kSizesInOrder.end());
  std::copy_if(kLimitsInOrder.begin(),
               kLimitsInOrder.end(),
               std::back_inserter(in_order),
               [&](const Pair& pair) { return values.Bytes(pair.larger) > 0; });
  for (const auto& [smaller, larger] : in_order) {
    if (values.Bytes(smaller) <= values.Bytes(larger)) continue;
    const bool blame_larger = SourceOf(settings, smaller) == "default";
    mistakes.push_back(fmt::format("{}: {} ({}) must not be more than {} ({})",
                                   At(settings, blame_larger ? larger : smaller),
                                   smaller,
                                   values.Text(smaller),
                                   larger,
                                   values.Text(larger)));
  }
  for (const Element& mount : values.All("static")) {
    if (IsFolder(mount.text)) continue;
    mistakes.push_back(fmt::format(
        "{}: [static] \"{}\": there is no folder {}", mount.source, mount.name, mount.text));
  }
  if (const std::string health = values.Text("app.health"); !health.empty() && health[0] != '/') {
    mistakes.push_back(fmt::format(
        "{}: expected a path that begins with /, got \"{}\"", At(settings, "app.health"), health));
  }
  if (!IsFolder(values.Text("app.chdir"))) {
    mistakes.push_back(fmt::format(
        "{}: there is no folder {}", At(settings, "app.chdir"), values.Text("app.chdir")));
  }
  const auto format = telemetry::AccessFormat::Parse(values.Text("log.access_format"));
  if (!format.ok()) {
    mistakes.push_back(
        fmt::format("{}: {}", At(settings, "log.access_format"), format.error().message));
  }
  return mistakes;
}

std::string FrontPrint(const Settings& settings) {
  std::string print;
  for (const auto& [name, elements] : settings) {
    if (std::find(kNotOfTheFront.begin(), kNotOfTheFront.end(), name) != kNotOfTheFront.end()) {
      continue;
    }
    print += fmt::format("{}\n", name);
    for (const Element& element : elements) {
      print += fmt::format("  {}={}\n", element.name, element.text);
      for (const auto& [key, value] : element.more) {
        print += fmt::format("    {}={}\n", key, value);
      }
    }
  }
  return print;
}

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
  const bool gevent = values.Text("app.worker_class") == "gevent";
  config.worker_class = gevent ? supervise::WorkerClass::kGevent : supervise::WorkerClass::kThreads;
  config.threads = values.Count<unsigned>(gevent ? "app.greenlets" : "app.threads");
  config.preload = MakePreload(values.Text("app.preload"));
  config.health = values.Text("app.health");
  config.boot_timeout = values.Time("app.boot_timeout");
  config.recycle_age = values.Time("app.recycle_age");
  config.memory = {.soft = values.Bytes("app.memory_soft"),
                   .hard = values.Bytes("app.memory_hard")};
  config.memory_max = values.Bytes("app.memory_max");
  for (const Element& address : values.All("front.listen")) {
    config.listen.push_back(TRY(os::SocketAddress::Parse(address.text)));
  }
  if (const std::string admin = values.Text("admin.listen"); admin != kOff) {
    config.admin = TRY(os::SocketAddress::Parse(admin));
  }
  config.error_log = values.Text("log.error");
  config.log_level = MakeLevel(values.Text("log.level"));
  config.front = MakeFront(values);
  return config;
}

}  // namespace onebox::main
