#include "redis/address.h"

#include <fmt/format.h>

#include "base/ascii.h"
#include "base/percent.h"

namespace onebox::redis {
namespace {

constexpr std::string_view kForms =
    "redis://[[USER]:PASSWORD@]HOST[:PORT][/DB] or unix:///PATH[?db=N]";

Error Wrong(std::string_view what) {
  return OperatorError(fmt::format("a URL of Redis: {}; expected {}", what, kForms));
}

// Takes what stands before the last @ of `authority`.
Status TakeLogin(std::string_view& authority, Address& address) {
  const std::size_t at = authority.rfind('@');
  if (at == std::string_view::npos) return Done();
  const std::string_view login = authority.substr(0, at);
  authority.remove_prefix(at + 1);
  const std::size_t colon = login.find(':');
  if (colon == std::string_view::npos) return Wrong("there is a user without a password");
  auto user = PercentDecoded(login.substr(0, colon));
  auto password = PercentDecoded(login.substr(colon + 1));
  if (!user || !password) return Wrong("a % in the user or the password is not followed by hex");
  if (password->empty()) return Wrong("the password is empty");
  address.user = std::move(*user);
  address.password = std::move(*password);
  return Done();
}

Status SetDatabase(std::string_view digits, Address& address) {
  const auto number = ParseDecimal(digits, kDatabaseMax);
  if (!number) return Wrong(fmt::format("the database is a number up to {}", kDatabaseMax));
  address.database = static_cast<std::uint32_t>(*number);
  return Done();
}

Status SetHost(std::string_view authority, Address& address) {
  std::size_t host_end = authority.rfind(':');
  if (authority.starts_with('[')) {
    const std::size_t bracket = authority.find(']');
    if (bracket == std::string_view::npos) return Wrong("a [ without a ]");
    address.host = authority.substr(1, bracket - 1);
    host_end = bracket + 1;
    if (host_end == authority.size()) host_end = std::string_view::npos;
  } else {
    address.host = authority.substr(0, host_end);
    if (address.host.find(':') != std::string::npos) {
      return Wrong("an IPv6 address stands in brackets");
    }
  }
  if (address.host.empty()) return Wrong("there is no host");
  if (address.host.find_first_of("[]@%/\\ \t\r\n") != std::string::npos ||
      address.host.find('\0') != std::string::npos) {
    return Wrong("the host is a name or an IP address");
  }
  address.port = kDefaultPort;
  if (host_end == std::string_view::npos) return Done();
  const std::string_view port = authority.substr(host_end);
  const auto number = port.starts_with(':') ? ParseDecimal(port.substr(1), 65'535) : std::nullopt;
  if (!number || *number == 0) return Wrong("the port is a number from 1 to 65535");
  address.port = static_cast<std::uint16_t>(*number);
  return Done();
}

Result<Address> ParseTcp(std::string_view rest) {
  Address address;
  if (rest.find_first_of("?#") != std::string_view::npos) {
    return Wrong("nothing can be set behind a ?; the database stands behind the /");
  }
  // A password may have a / in it that was not escaped; a host has none.
  const std::size_t at = rest.rfind('@');
  const std::size_t slash = rest.find('/', at == std::string_view::npos ? 0 : at);
  std::string_view authority = rest.substr(0, slash);
  TRY(TakeLogin(authority, address));
  TRY(SetHost(authority, address));
  if (slash != std::string_view::npos && slash + 1 < rest.size()) {
    TRY(SetDatabase(rest.substr(slash + 1), address));
  }
  return address;
}

Result<Address> ParseUnix(std::string_view rest) {
  Address address;
  const std::size_t question = rest.find('?');
  const std::string_view query =
      question == std::string_view::npos ? std::string_view() : rest.substr(question + 1);
  std::string_view place = rest.substr(0, question);
  TRY(TakeLogin(place, address));
  const auto path = PercentDecoded(place);
  if (!path || !path->starts_with('/') || path->size() < 2) {
    return Wrong("the path of a unix socket begins with a /");
  }
  constexpr std::size_t kPathMax = 107;  // sockaddr_un's
  if (path->size() > kPathMax || path->find('\0') != std::string::npos) {
    return Wrong(fmt::format("the path of a unix socket has up to {} bytes", kPathMax));
  }
  address.path = *path;
  if (query.empty()) return address;
  constexpr std::string_view kDatabase = "db=";
  if (!query.starts_with(kDatabase)) return Wrong("behind the ? stands db=N alone");
  TRY(SetDatabase(query.substr(kDatabase.size()), address));
  return address;
}

}  // namespace

Result<Address> Address::Parse(std::string_view url) {
  const std::size_t colon = url.find("://");
  if (colon == std::string_view::npos) return Wrong("there is no ://");
  const std::string scheme = Lowered(url.substr(0, colon));
  const std::string_view rest = url.substr(colon + 3);
  if (scheme == "redis") return ParseTcp(rest);
  if (scheme == "unix" || scheme == "redis+unix") return ParseUnix(rest);
  if (scheme == "rediss") {
    return Wrong(
        "rediss:// is Redis over TLS, which is not spoken; let stunnel or a private network "
        "carry it");
  }
  return Wrong("the scheme is none of redis, unix and redis+unix");
}

std::string Address::text() const {
  if (is_unix()) {
    return database == 0 ? fmt::format("unix://{}", path)
                         : fmt::format("unix://{}?db={}", path, database);
  }
  const bool brackets = host.find(':') != std::string::npos;
  const std::string place =
      brackets ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
  return database == 0 ? fmt::format("redis://{}", place)
                       : fmt::format("redis://{}/{}", place, database);
}

}  // namespace onebox::redis
