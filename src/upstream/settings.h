#pragma once
// What the operator may decide about the servers behind us.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "upstream/server_address.h"

namespace onebox::upstream {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline constexpr std::size_t kServersMax = 64;  // of one upstream

// kLeast: of two by chance, the one that is asked less at the moment. kHash: the same server for the
// same key.
enum class Balance : std::uint8_t { kLeast, kRoundRobin, kHash };

// What tells one client, or one page, from the other.
struct HashKey {
  enum class Kind : std::uint8_t { kAddress, kPath, kHeader, kCookie } kind = Kind::kAddress;
  std::string name = {};  // of the header or the cookie

  // "address", "path", "header:NAME" or "cookie:NAME".
  static std::optional<HashKey> Parse(std::string_view text);
};

// Asked again and again whether it works; not, where there is no path.
struct ProbeSettings {
  std::string path = {};
  Duration interval = seconds(5);
  Duration timeout = seconds(2);
  int status_min = 200;
  int status_max = 399;
};

struct PassiveSettings {
  std::uint32_t fails_max = 3;  // within `window`, then nobody asks it for a while; 0: never
  Duration window = seconds(10);
  Duration pause_min = seconds(5);  // doubled each time, up to pause_max
  Duration pause_max = seconds(60);
  Duration slow_start{};  // after a pause its share rises over this time
};

struct TlsSettings {
  std::string ca = {};    // a file of certificates that vouch; empty: the system's
  std::string name = {};  // that the certificate must be for; empty: the server's host
  bool verify = true;
};

// Of the Host field.
enum class HostPolicy : std::uint8_t { kClient, kServer, kFixed };

struct Settings {
  std::string name;
  std::vector<ServerAddress> servers;
  Balance balance = Balance::kLeast;
  HashKey key;
  std::uint32_t keepalive = 128;  // idle connections kept, of a reactor and a server
  Duration keepalive_timeout = seconds(60);
  Duration connect_timeout = seconds(3);
  Duration send_timeout = seconds(30);     // without a single byte taken
  Duration head_timeout = seconds(60);     // from the whole request to the answer's head
  Duration read_timeout = seconds(60);     // of an answer, without a single byte
  Duration tunnel_timeout = seconds(600);  // of a tunnel, without a single byte either way
  std::uint32_t retries = 2;               // further servers that a request is given to
  std::uint64_t head_bytes_max = 32 << 10;
  HostPolicy host_policy = HostPolicy::kClient;
  std::string host = {};  // where it is fixed
  PassiveSettings passive;
  ProbeSettings probe;
  TlsSettings tls;
};

}  // namespace onebox::upstream
