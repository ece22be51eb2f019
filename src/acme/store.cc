#include "acme/store.h"

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "acme/name.h"
#include "base/check.h"
#include "base/json.h"
#include "os/file.h"
#include "os/replace.h"

namespace onebox::acme {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr std::size_t kFileBytesMax = 1 << 20;
constexpr const char* kFolders[] = {"certificates", "orders", "state", "http", "alpn"};

std::int64_t Written(WallTime time) {
  return std::chrono::floor<milliseconds>(time.time_since_epoch()).count();
}
WallTime ReadTime(const json& value) {
  constexpr std::uint64_t kMax = 253'402'300'799'000;  // the year 9999
  return WallTime(milliseconds(std::min(Number(value), kMax)));
}

unsigned ReadCount(const json& value) {
  constexpr std::uint64_t kMax = 1000;
  return static_cast<unsigned>(std::min(Number(value), kMax));
}

json ReadJson(const std::string& path) {
  const auto text = os::ReadFile(path, kFileBytesMax);
  return text.ok() ? json::parse(text.value(), nullptr, /*allow_exceptions=*/false) : json();
}

std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace) + '\n';
}

Result<Key> ReadKey(const std::string& path) {
  const std::string pem = TRY(os::ReadFile(path, kFileBytesMax));
  auto key = Key::FromPem(pem);
  if (!key.ok()) return OperatorError(fmt::format("{}: {}", path, key.error().message));
  return key;
}

void RemoveAll(const std::string& path) {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

Status MakePrivateFolder(const std::string& path) {
  TRY(os::MakeFolders(path));
  return os::SetMode(path, 0700);
}

}  // namespace

Status Store::Prepare() const {
  RemoveAll(At("http"));
  RemoveAll(At("alpn"));
  TRY(MakePrivateFolder(folder_));
  for (const char* folder : kFolders) {
    TRY(MakePrivateFolder(At(folder)));
  }
  return Done();
}

Result<Key> Store::AccountKey() const {
  const std::string path = At("account.pem");
  auto read = ReadKey(path);
  if (read.ok() && !read.value().IsP256()) {
    return OperatorError(fmt::format("{}: the key of an account is of the curve P-256", path));
  }
  if (read.ok() || read.error().system_error != ENOENT) return read;
  Key key = TRY(Key::New(KeyKind::kEcdsa));
  TRY(os::ReplaceFile(path, key.Pem()));  // before anybody hears of it: no account is lost
  return key;
}

Status Store::SetAccountAside() const {
  std::error_code failure;
  std::filesystem::rename(At("account.pem"), At("account.pem.refused"), failure);
  if (failure) return OperatorError(fmt::format("{}: {}", At("account.pem"), failure.message()));
  return Done();
}

Status Store::SaveCertificate(const std::string& name,
                              const std::string& chain,
                              const Key& key) const {
  const std::string made =
      At(".certificate");  // beside the names: whoever lists them does not see it
  RemoveAll(made);
  TRY(MakePrivateFolder(made));
  TRY(os::ReplaceFile(made + "/key.pem", key.Pem()));
  TRY(os::ReplaceFile(made + "/fullchain.pem", chain));
  TRY(os::ReplaceFolder(At("certificates/") + name, made));
  RemoveAll(made);
  return Done();
}

std::optional<Kept> Store::ReadCertificate(const std::string& name) const {
  const std::string folder = At("certificates/") + name;
  auto chain = os::ReadFile(folder + "/fullchain.pem", kFileBytesMax);
  const auto key = ReadKey(folder + "/key.pem");
  if (!chain.ok() || !key.ok()) return std::nullopt;
  auto facts = CheckChain(chain.value(), name, key.value());
  if (!facts.ok()) return std::nullopt;
  return Kept{std::move(chain).value(), std::move(facts).value()};
}

Status Store::SaveOrder(const std::string& name, const PendingOrder& order) const {
  const std::string folder = At("orders/") + name;
  TRY(MakePrivateFolder(folder));
  TRY(os::ReplaceFile(folder + "/key.pem", order.key.Pem()));
  return os::ReplaceFile(folder + "/order.json",
                         Dump({{"made_for", order.made_for}, {"url", order.url}}));
}

std::optional<PendingOrder> Store::ReadOrder(const std::string& name) const {
  const std::string folder = At("orders/") + name;
  const json order = ReadJson(folder + "/order.json");
  auto key = ReadKey(folder + "/key.pem");
  if (!key.ok() || !order.is_object()) return std::nullopt;
  return PendingOrder{
      Text(onebox::At(order, "made_for")), Text(onebox::At(order, "url")), std::move(key).value()};
}

void Store::ForgetOrder(const std::string& name) const {
  const std::string folder = At("orders/") + name;
  os::RemoveFile(folder + "/order.json");  // first: without it the key is nobody's
  RemoveAll(folder);
}

Status Store::SaveState(const std::string& name, const NameState& state) const {
  return os::ReplaceFile(At("state/") + name + ".json",
                         Dump({{"made_for", state.made_for},
                               {"renew_at", Written(state.renew_at)},
                               {"attempts", state.attempts},
                               {"attempted_at", Written(state.attempted_at)},
                               {"failures", state.failures},
                               {"refusals", state.refusals},
                               {"next_attempt", Written(state.next_attempt)},
                               {"error_kind", state.error_kind},
                               {"error", state.error}}));
}

NameState Store::ReadState(const std::string& name) const {
  using onebox::At;
  const json state = ReadJson(this->At("state/") + name + ".json");
  NameState read;
  read.made_for = Text(At(state, "made_for"));
  read.renew_at = ReadTime(At(state, "renew_at"));
  read.attempts = Number(At(state, "attempts"));
  read.attempted_at = ReadTime(At(state, "attempted_at"));
  read.failures = ReadCount(At(state, "failures"));
  read.refusals = ReadCount(At(state, "refusals"));
  read.next_attempt = ReadTime(At(state, "next_attempt"));
  read.error_kind = Text(At(state, "error_kind"));
  read.error = Text(At(state, "error"));
  return read;
}

Status Store::PublishHttp(const std::string& token, const std::string& key_authorization) const {
  CHECK(IsToken(token));
  return os::ReplaceFile(At("http/") + token, key_authorization);
}

Status Store::PublishAlpn(const std::string& name, const std::string& pem) const {
  return os::ReplaceFile(At("alpn/") + name + ".pem", pem);
}

void Store::WithdrawHttp(const std::string& token) const {
  os::RemoveFile(At("http/") + token);
}

void Store::WithdrawAlpn(const std::string& name) const {
  os::RemoveFile(At("alpn/") + name + ".pem");
}

}  // namespace onebox::acme
