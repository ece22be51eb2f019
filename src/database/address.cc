#include "database/address.h"

#include <optional>

#include <fmt/format.h>

#include "base/ascii.h"
#include "base/percent.h"
#include "os/file.h"
#include "os/process.h"

namespace onebox::database {
namespace {

constexpr std::string_view kForms =
    "mysql://USER[:PASSWORD]@HOST[:PORT]/DATABASE, or mysql://USER@/DATABASE?unix_socket=/PATH";
constexpr std::size_t kPasswordBytesMax = 4096;

Error Wrong(std::string_view what) {
  return OperatorError(fmt::format("a URL of a database: {}; expected {}", what, kForms));
}

// The part of `text` before the first `mark`, which is taken off with it.
std::string_view TakeUntil(char mark, std::string_view& text) {
  const std::size_t end = text.find(mark);
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return part;
}

Status SetLogin(std::string_view login, Address& address) {
  auto user = PercentDecoded(TakeUntil(':', login));
  auto password = PercentDecoded(login);
  if (!user || !password) return Wrong("a % in the user or the password is not followed by hex");
  if (user->empty()) return Wrong("there is no user");
  address.user = *std::move(user);
  address.password = *std::move(password);
  return Done();
}

Status SetPort(std::string_view digits, Address& address) {
  const auto number = ParseDecimal(digits, 65'535);
  if (!number || *number == 0) return Wrong("the port is a number from 1 to 65535");
  address.port = static_cast<std::uint16_t>(*number);
  return Done();
}

Status SetHost(std::string_view place, Address& address) {
  if (place.empty()) return Done();  // then there is a unix socket
  std::string_view port;
  if (place.starts_with('[')) {
    const std::size_t bracket = place.find(']');
    if (bracket == std::string_view::npos) return Wrong("a [ without a ]");
    address.host = place.substr(1, bracket - 1);
    port = place.substr(bracket + 1);
  } else {
    const std::size_t colon = std::min(place.find(':'), place.size());
    address.host = place.substr(0, colon);
    port = place.substr(colon);
    if (port.find(':', 1) != std::string_view::npos) {
      return Wrong("an IPv6 address stands in brackets");
    }
  }
  if (address.host.empty() || address.host.find_first_of("[]%/\\ \t\r\n") != std::string::npos ||
      address.host.find('\0') != std::string::npos) {
    return Wrong("the host is a name or an IP address");
  }
  address.port = kDefaultPort;
  if (port.empty()) return Done();
  return SetPort(port.starts_with(':') ? port.substr(1) : port, address);
}

Status SetPath(std::string path, Address& address) {
  constexpr std::size_t kPathMax = 107;  // sockaddr_un's
  if (!path.starts_with('/') || path.size() > kPathMax) {
    return Wrong(fmt::format("unix_socket is a path from /, of up to {} bytes", kPathMax));
  }
  address.path = std::move(path);
  return Done();
}

Status SetPasswordFile(std::string path, Address& address) {
  if (!path.starts_with('/')) return Wrong("password_file is a path from /");
  address.password_file = std::move(path);
  return Done();
}

Status SetPasswordVariable(std::string name, Address& address) {
  if (name.empty()) return Wrong("password_env is the name of a variable");
  address.password_env = std::move(name);
  return Done();
}

Status SetCharset(const std::string& name, Address&) {
  if (name != "utf8mb4") return Wrong("the charset is utf8mb4");
  return Done();
}

Status SetOption(std::string_view option, Address& address) {
  const std::string_view name = TakeUntil('=', option);
  const auto value = PercentDecoded(option);
  if (!value) return Wrong(fmt::format("a % in {} is not followed by hex", name));
  if (name == "unix_socket") return SetPath(*value, address);
  if (name == "password_file") return SetPasswordFile(*value, address);
  if (name == "password_env") return SetPasswordVariable(*value, address);
  if (name == "charset") return SetCharset(*value, address);
  // What was meant as part of a password may stand here: it is not shown.
  return Wrong(
      "behind the ? stand unix_socket, password_file, password_env and charset, with & between "
      "them");
}

bool IsScheme(std::string_view scheme) {
  const std::string name = Lowered(scheme.substr(0, scheme.find('+')));
  return name == "mysql" || name == "mariadb";
}

Status CheckWhole(const Address& address) {
  if (address.database.empty()) return Wrong("there is no database");
  if (address.host.empty() == address.path.empty()) {
    return Wrong(address.host.empty() ? "there is no host" : "there are a host and a unix_socket");
  }
  const int passwords = (address.password.empty() ? 0 : 1) +
                        (address.password_file.empty() ? 0 : 1) +
                        (address.password_env.empty() ? 0 : 1);
  if (passwords > 1) return Wrong("there is more than one password");
  return Done();
}

Result<std::string> PasswordIn(const std::string& file) {
  std::string text = TRY(os::ReadFile(file, kPasswordBytesMax));
  while (text.ends_with('\n') || text.ends_with('\r'))
    text.pop_back();
  if (text.empty()) return OperatorError(fmt::format("{} has no password in it", file));
  return text;
}

}  // namespace

Result<Address> Address::Parse(std::string_view url) {
  const std::size_t colon = url.find("://");
  if (colon == std::string_view::npos) return Wrong("there is no ://");
  if (!IsScheme(url.substr(0, colon))) return Wrong("the scheme is none of mysql and mariadb");
  std::string_view rest = url.substr(colon + 3);
  Address address;
  // A password may have a / or a ? in it that was not escaped; what stands behind it has no @.
  const std::size_t at = rest.rfind('@');
  if (at == std::string_view::npos) return Wrong("there is no user");
  TRY(SetLogin(rest.substr(0, at), address));
  rest.remove_prefix(at + 1);
  std::string_view place = TakeUntil('?', rest);
  TRY(SetHost(TakeUntil('/', place), address));
  auto database = PercentDecoded(place);
  if (!database) return Wrong("a % in the database is not followed by hex");
  address.database = *std::move(database);
  while (!rest.empty())
    TRY(SetOption(TakeUntil('&', rest), address));
  TRY(CheckWhole(address));
  return address;
}

std::string Address::text() const {
  if (is_unix()) return fmt::format("mysql:///{}?unix_socket={}", database, path);
  const bool brackets = host.find(':') != std::string::npos;
  return brackets ? fmt::format("mysql://[{}]:{}/{}", host, port, database)
                  : fmt::format("mysql://{}:{}/{}", host, port, database);
}

Result<std::string> Address::Password() const {
  if (!password_file.empty()) return PasswordIn(password_file);
  if (password_env.empty()) return password;
  const os::Variables variables = os::Environment();
  const auto found = variables.find(password_env);
  if (found == variables.end()) {
    return OperatorError(
        fmt::format("the variable {}, which has a database's password, is not set", password_env));
  }
  return found->second;
}

}  // namespace onebox::database
