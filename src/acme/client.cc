#include "acme/client.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "acme/base64url.h"
#include "acme/jws.h"
#include "acme/name.h"
#include "base/ascii.h"
#include "base/check.h"
#include "base/json.h"
#include "http/date.h"

namespace onebox::acme {
namespace {

using nlohmann::json;

constexpr int kNonceTriesMax = 6;  // of one question whose nonce is refused
constexpr std::size_t kUrlBytesMax = 2048;
constexpr std::size_t kDetailBytesMax = 300;
constexpr std::string_view kErrorPrefix = "urn:ietf:params:acme:error:";

// Whether it can stand in a header and in our log.
bool IsWord(std::string_view text) {
  return text.size() <= kUrlBytesMax &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

// Whether it can be asked.
bool IsUrl(std::string_view text) {
  return text.starts_with("https://") && IsWord(text);
}

std::string UrlIn(const json& object, const char* key) {
  std::string url = Text(At(object, key));
  return IsUrl(url) ? url : std::string();
}

// A word for a label: what a server calls an error is its own.
std::string KindOf(std::string_view type) {
  if (type.starts_with(kErrorPrefix)) type.remove_prefix(kErrorPrefix.size());
  const bool is_word =
      !type.empty() && type.size() <= 40 && std::all_of(type.begin(), type.end(), IsAlpha);
  return is_word ? std::string(type) : "other";
}

// One line, not too long.
std::string DetailOf(const json& document) {
  std::string detail = Text(At(document, "detail"));
  const json& parts = At(document, "subproblems");
  if (parts.is_array() && !parts.empty()) {
    detail += fmt::format(" ({})", Text(At(parts.front(), "detail")));
  }
  if (detail.size() > kDetailBytesMax) {
    std::size_t end = kDetailBytesMax;
    while (end > 0 && (static_cast<unsigned char>(detail[end]) & 0xC0U) == 0x80U)
      --end;  // not within a character
    detail.resize(end);
  }
  return detail;
}

}  // namespace

Duration ParseRetryAfter(std::string_view text, WallTime now) {
  const auto seconds = ParseDecimal(Trimmed(text), 1'000'000'000);
  if (seconds) return std::min<Duration>(std::chrono::seconds(*seconds), kRetryAfterMax);
  const auto since = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  const auto date = http::ParseDate(Trimmed(text), since);
  if (!date) return {};
  return std::clamp<Duration>(std::chrono::seconds(*date - since), Duration(), kRetryAfterMax);
}

Error Client::Fail(std::string kind, std::string message, Duration retry_after) {
  problem_ = {std::move(kind), retry_after};
  return {Blame::kSystem, Retry::kYes, 0, std::move(message)};
}

Error Client::FailBy(const json& document, std::string_view while_what, Duration retry_after) {
  std::string kind = KindOf(Text(At(document, "type")));
  std::string message = fmt::format("{}: {}: {}", while_what, kind, DetailOf(document));
  return Fail(std::move(kind), std::move(message), retry_after);
}

// --- one question

Result<HttpAnswer> Client::Ask(const HttpRequest& request) {
  auto answer = transport_.Ask(request);
  if (!answer.ok()) return Fail("noAnswer", answer.error().message);
  if (IsToken(answer.value().nonce)) nonce_ = answer.value().nonce;
  return answer;
}

Client::Answer Client::Read(HttpAnswer answer) const {
  return {.status = answer.status,
          .json = json::parse(answer.body, nullptr, /*allow_exceptions=*/false),
          .body = std::move(answer.body),
          .location = IsUrl(answer.location) ? std::move(answer.location) : std::string(),
          .retry_after = ParseRetryAfter(answer.retry_after, clock_.WallNow())};
}

Result<std::string> Client::TakeNonce() {
  if (nonce_.empty()) {
    TRY(Ask({.method = HttpRequest::Method::kHead, .url = new_nonce_, .body = {}}));
    if (nonce_.empty()) return Fail("protocol", fmt::format("{} gave no nonce", new_nonce_));
  }
  return std::exchange(nonce_, {});
}

// A nonce may be refused at any time (RFC 8555 section 6.5); the answer then has another.
Result<Client::Answer> Client::PostSigned(const std::string& url, const std::string& payload) {
  if (!IsUrl(url)) return Fail("protocol", "the authority has left out a URL that it owes us");
  for (int tries = 1;; ++tries) {
    const std::string nonce = TRY(TakeNonce());
    json head = {{"nonce", nonce}, {"url", url}};
    account_url_.empty() ? head["jwk"] = PublicJwk(*account_) : head["kid"] = account_url_;
    HttpAnswer raw = TRY(Ask({.method = HttpRequest::Method::kPost,
                              .url = url,
                              .body = Signed(std::move(head), payload, *account_)}));
    const int status = raw.status;
    Answer answer = Read(std::move(raw));
    if (status >= 200 && status < 300) {
      if (answer.json.is_discarded()) answer.json = nullptr;
      problem_ = {};
      return answer;
    }
    const Error failed =
        answer.json.is_object()
            ? FailBy(answer.json, url, answer.retry_after)
            : Fail("protocol", fmt::format("{}: status {}", url, status), answer.retry_after);
    if (problem_.kind != "badNonce" || tries == kNonceTriesMax) return failed;
  }
}

Result<Client::Answer> Client::Post(const std::string& url, const json& payload) {
  return PostSigned(url, payload.dump(-1, ' ', false, json::error_handler_t::replace));
}

Result<Client::Answer> Client::PostAsGet(const std::string& url) {
  return PostSigned(url, "");
}

// --- directory and account

Status Client::ReadDirectory() {
  HttpAnswer raw =
      TRY(Ask({.method = HttpRequest::Method::kGet, .url = settings_.directory, .body = {}}));
  const int status = raw.status;
  const Answer answer = Read(std::move(raw));
  if (status != 200) {
    return Fail(
        "protocol", fmt::format("{}: status {}", settings_.directory, status), answer.retry_after);
  }
  new_nonce_ = UrlIn(answer.json, "newNonce");
  new_account_ = UrlIn(answer.json, "newAccount");
  new_order_ = UrlIn(answer.json, "newOrder");
  if (new_nonce_.empty() || new_account_.empty() || new_order_.empty()) {
    return Fail("protocol", fmt::format("{} is no directory of ACME", settings_.directory));
  }
  terms_ = Text(At(At(answer.json, "meta"), "termsOfService"));  // a URL for people
  if (!IsWord(terms_)) terms_.clear();
  external_required_ = IsTrue(At(At(answer.json, "meta"), "externalAccountRequired"));
  return Done();
}

json Client::Contact() const {
  if (settings_.email.empty()) return json::array();
  return json::array({fmt::format("mailto:{}", settings_.email)});
}

Status Client::Register() {
  json payload = {{"termsOfServiceAgreed", true}, {"contact", Contact()}};
  if (const ExternalAccount& external = settings_.external; !external.kid.empty()) {
    const auto mac_key = FromBase64Url(external.hmac);
    CHECK(mac_key.has_value());  // main/ has looked
    payload["externalAccountBinding"] =
        SignedBinding({external.kid, *mac_key, new_account_}, *account_);
  } else if (external_required_) {
    return Fail("externalAccountRequired",
                "the authority wants an account that is bound to one with it: [tls] auto_eab_kid "
                "and auto_eab_hmac");
  }
  const Answer answer = TRY(Post(new_account_, payload));
  if (answer.location.empty()) return Fail("protocol", "the account has no URL");
  account_url_ = answer.location;
  account_is_new_ = answer.status == 201;
  return account_is_new_ ? Done() : UpdateContact(answer.json);
}

// An account that was there keeps the address that it had.
Status Client::UpdateContact(const json& account) {
  const json& has = At(account, "contact");
  if (!has.is_array() || has == Contact()) return Done();
  TRY(Post(account_url_, {{"contact", Contact()}}));
  return Done();
}

Status Client::Open(const Key& account) {
  account_ = &account;
  TRY(ReadDirectory());
  return Register();
}

Result<Client::Answer> Client::NewOrder(const std::string& name) {
  json identifiers = json::array({{{"type", "dns"}, {"value", name}}});
  Answer order = TRY(Post(new_order_, {{"identifiers", std::move(identifiers)}}));
  if (order.location.empty()) return Fail("protocol", "the order has no URL");
  return order;
}

std::string Client::KeyAuthorization(std::string_view token) const {
  CHECK(account_ != nullptr);
  return fmt::format("{}.{}", token, Thumbprint(*account_));
}

}  // namespace onebox::acme
