#pragma once
// What the operator may decide about the front; every limit of it in one place.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "front/header_rules.h"
#include "front/location_template.h"
#include "front/log_privacy.h"
#include "http/address.h"
#include "http/coding.h"
#include "http/forwarded.h"
#include "http/limits.h"
#include "limits/access_list.h"
#include "limits/gate.h"
#include "limits/pacer.h"
#include "tls/server_context.h"
#include "upstream/settings.h"
#include "webcache/rules.h"

namespace onebox::front {

class PurgeCount;

using std::chrono::seconds;

// Files that requests are answered with: those of a prefix of `[static]`, or of a route.
struct StaticMount {
  std::uint32_t number = 0;  // another for each
  std::string folder;        // absolute
  seconds max_age{300};
  seconds immutable_max_age{31'536'000};  // for names that carry a content hash
  bool immutable = true;                  // whether such names are recognised
  bool follow_links = false;              // whether a link may point outside the folder
  // The first of these that is there is the answer; "$path" is what the request names, with a "/" before
  // it. None: that alone.
  std::vector<std::string> try_files{};
  std::vector<std::string> index{};  // what is sent for a folder, the first that is there
  bool else_app = false;             // what is not there the app is asked for
};

// An answer that leads elsewhere.
struct Redirect {
  LocationTemplate to;
  int status = 307;
};

// An answer that is always the same.
struct FixedAnswer {
  int status = 200;                   // 200 to 599
  std::optional<std::string> body{};  // nothing: a page of ours for an error, else none
  std::string type{};                 // Content-Type
};

struct CompressionSettings {
  bool enabled = true;
  std::vector<http::Coding> codings = {  // the preferred first
      http::Coding::kZstd,
      http::Coding::kBrotli,
      http::Coding::kGzip};
  std::vector<std::string> types = {"text/*"};  // media ranges: http::IsMediaRange()
  std::uint64_t bytes_min = 1024;               // smaller bodies are not worth it
  int gzip_level = 5;                           // 1 to 9
  int brotli_level = 4;                         // 0 to 11
  int zstd_level = 3;                           // 1 to 19
};

// Who waits goes before those of a lower one.
enum class Priority : std::uint8_t { kHigh, kNormal, kLow };
inline constexpr std::size_t kPriorities = 3;

// What holds for the requests of one route.
struct RouteRules {
  std::uint32_t number = 0;  // its place among the routes; those of none come last
  Priority priority = Priority::kNormal;
  std::uint32_t concurrency_max = 0;  // of its requests run at once; 0: as many as there are places
  std::uint32_t share_max = 100;      // per cent of the places; one place at least
  std::uint32_t queue_max = 2048;     // of its requests wait; above it 503
  Duration queue_timeout = seconds(15);
  Duration timeout = seconds(30);              // from the whole request to the app's head
  std::uint64_t body_bytes_max = 16ULL << 20;  // above it 413
  bool cancel_disconnected = false;            // what runs ends when its client has left
  std::optional<webcache::Rules> cache = {};   // nothing: its answers are not kept
  std::vector<std::uint32_t> limits = {};      // places in Settings::limits, asked in this order
  // Which clients may ask at all, beside Settings::access; null: all.
  std::shared_ptr<const limits::AccessList> access = {};
  limits::Pace pace = {};         // of each answer
  HeaderRules headers{};          // of its answers, whatever their status
  HeaderRules request_headers{};  // as the app or the upstream sees its requests
  std::string early_hints{};      // lines of a 103 before its answers; empty: none

  std::uint32_t app = 0;  // one of Settings::apps

  // Who answers in the app's place: one of these at most.
  std::optional<StaticMount> files{};
  std::optional<Redirect> redirect{};
  std::optional<FixedAnswer> respond{};
  std::optional<std::uint32_t> upstream{};  // one of Settings::upstreams
};

inline constexpr std::size_t kRoutesMax = 256;  // of all sites together
inline constexpr std::uint32_t kEverySite = UINT32_MAX;

// One `[[route]]` or `[[site.route]]` of the file, or a prefix of `[static]`. The first that matches a
// request has it, and those of its site go before those of every site.
struct Route {
  std::string path;           // a PathPattern
  std::uint32_t methods = 0;  // bits of MethodBit(); 0: all
  RouteRules rules;
  std::uint32_t site = kEverySite;
  std::string proxy = {};  // the upstream, by name or URL, that RouteRules::upstream stands for
};

// Files that the app alone can have sent: X-Accel-Redirect, X-Sendfile.
struct ProtectedFolder {
  std::string prefix;  // begins and ends with "/"; no client's path
  StaticMount files;
};

// One `[[site]]`: what requests for these hosts get.
struct Site {
  std::vector<std::string> hosts;  // HostTable::Normal()
  RouteRules rest;                 // of what no route matches
};

// How many requests run at once.
struct ConcurrencySettings {
  enum class Kind : std::uint8_t {
    kAll,
    kFixed,
    kAuto
  } kind = Kind::kAll;      // all: as many as threads
  std::uint32_t count = 0;  // where it is fixed
};

inline constexpr std::size_t kErrorPageBytesMax = 64 << 10;

// An answer of our own that the operator has written.
struct ErrorPage {
  int status = 0;
  std::string body;
  std::string_view type;  // Content-Type
};

inline constexpr std::size_t kCertificateBytesMax = 256 << 10;  // of one file

// A certificate with its key, where they lie and what they were when the box was configured: the front may
// be another user, who cannot read the key.
struct CertificateFiles {
  std::string chain_path;
  std::string key_path;
  std::string staple_path = {};  // of an OCSP response; empty: none
  std::string chain_pem = {};
  std::string key_pem = {};
  std::string staple_der = {};
};

// Of the addresses that begin with https://.
struct TlsSettings {
  std::vector<CertificateFiles> certificates = {};  // the first for who names nobody we know
  std::string acme_folder = {};  // certificates that were obtained by themselves, and proofs
  std::vector<std::string> protocols = {"http/1.1"};  // ALPN, the preferred first
  tls::Version version_min = tls::Version::kTls12;
  tls::ClientCertificates client_certificates = tls::ClientCertificates::kOff;
  std::string client_ca_pem = {};
  std::shared_ptr<tls::TicketKeys> tickets = nullptr;  // null: off
  Duration handshake_timeout = seconds(10);
  std::string hsts = {};  // Strict-Transport-Security of answers over https; empty: none
  bool redirect = false;  // http to https
};

struct Settings {
  http::Limits head;
  std::uint64_t body_bytes_max = 16ULL << 20;     // of a request; above it 413
  std::uint64_t body_memory_max = 64ULL << 10;    // of one body; above it an unlinked file
  std::uint64_t buffer_bytes_max = 256ULL << 20;  // of all buffers together; above it 503
  std::uint64_t answer_ahead_max = 64ULL << 20;   // of one answer; above it the worker waits
  std::uint32_t requests_per_connection_max = 10'000;
  bool http2 = true;                      // whether who speaks it is answered in it
  std::uint32_t http2_streams_max = 128;  // at once, of one connection; above it REFUSED_STREAM
  std::uint32_t connections_max = 10'000;
  std::uint32_t connections_per_address_max = 0;  // 0: no limit
  Duration idle_timeout = seconds(75);
  Duration head_timeout = seconds(10);
  Duration body_timeout = seconds(30);   // without a single byte
  std::uint64_t body_rate_min = 256;     // bytes a second, over the whole body
  Duration write_timeout = seconds(30);  // without a single byte taken
  std::uint64_t write_rate_min = 256;
  std::uint32_t reactors = 1;
  Duration drain_timeout = seconds(30);
  bool trust_unix_sockets = false;
  std::vector<http::Network> trusted_proxies;
  http::ClientField client_field = http::ClientField::kXForwardedFor;  // theirs that is believed
  std::vector<http::Network> proxy_protocol;  // whose connections begin with a PROXY header

  std::vector<limits::LimitRule> limits;  // of all routes
  limits::AccessList access;              // which clients may come in at all
  std::vector<bool> secure;               // of the listeners, in their order: which speak TLS
  TlsSettings tls;

  std::vector<std::string> apps = {"main"};  // by name; each has a queue and workers of its own
  std::uint32_t queue_max = 2048;  // streams that wait for one app, of all routes; above it 503
  Duration queue_timeout = seconds(15);
  Duration request_timeout = seconds(30);
  std::uint64_t recycle_requests = 0;  // that a worker runs before it is replaced; 0: no limit
  std::uint64_t recycle_jitter = 0;    // up to as many more, by chance
  std::vector<Route> mounts;           // before routes; the longest first
  std::vector<Route> routes;           // in the file's order
  RouteRules rest;                     // of what no route matches
  std::vector<Site> sites;             // in the file's order
  std::optional<RouteRules> unknown_hosts{};  // where there are sites; nothing: as for every site
  ConcurrencySettings concurrency;
  std::uint32_t address_share_max = 100;  // per cent of queue and places; 100: no limit
  std::vector<ErrorPage> error_pages;
  std::vector<upstream::Settings> upstreams;

  std::vector<ProtectedFolder> protected_folders;  // the longest prefix first
  bool early_hints_http1 = false;  // 103 goes to clients of HTTP/1.1 too, not of HTTP/2 alone
  std::uint64_t static_memory_max = 64ULL << 20;        // cached files, all reactors together
  std::uint64_t static_file_memory_max = 256ULL << 10;  // of one file; larger are mapped
  CompressionSettings compression;
  std::uint64_t response_cache_bytes_max = 64ULL << 20;  // of all kept answers; 0: none are
  std::string purge_socket;  // where purges are asked for; empty: nowhere
  std::string purge_token;   // that a PURGE over HTTP has; empty: PURGE is a method like others
  std::shared_ptr<PurgeCount> purges;  // of all fronts of the box; null: there is no other

  std::string access_log;  // a path, "-" for standard output, empty for none
  LogPrivacy log_privacy;
  std::string access_format;  // "combined", "json" or a format of atoms
  std::string spool_folder;   // for the unlinked files
  std::string server_name = "onebox";
};

}  // namespace onebox::front
