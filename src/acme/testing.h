#pragma once
// An authority in the test's own memory, which fails where it is told to.

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "acme/base64url.h"
#include "acme/certificate.h"
#include "acme/key.h"
#include "acme/openssl.h"
#include "acme/transport.h"
#include "base/check.h"
#include "base/json.h"
#include "tls/certificate.h"

namespace onebox::acme {

// Of the questions that it knows: the last part of each URL says which one it is.
//   /directory  /nonce  /account  /account/1  /order  /order/N  /authz/N  /challenge/N/TYPE  /finalize/N
//   /certificate/N
// Time passes in Wait() alone.
class FakeAuthority final : public Transport {
 public:
  using json = nlohmann::json;

  explicit FakeAuthority(FakeClock& clock)
      : clock_(clock), key_(Key::New(KeyKind::kEcdsa).value()) {}

  // What the test may set.
  std::function<bool(const std::string& name, const std::string& type)> validate =
      [](const std::string&, const std::string&) { return true; };
  std::function<Result<HttpAnswer>(const HttpRequest&, HttpAnswer)>
      disturb =  // each answer on its way
      [](const HttpRequest&, HttpAnswer answer) { return Result<HttpAnswer>(std::move(answer)); };
  Duration lifetime = std::chrono::hours(24 * 90);
  int nonces_to_refuse = 0;
  bool external_required = false;
  std::set<std::string> deactivated;  // accounts, by their jwk
  std::vector<std::string> offered = {"http-01", "tls-alpn-01", "dns-01"};
  int asks_until_end = -1;  // then we are told to end
  int polls = 1;            // so often a thing is "processing" or "pending" before it is concluded

  // What it has seen.
  std::vector<std::string> asked;  // "POST /order"
  std::set<std::string> accounts;  // by their jwk
  json contact;
  json binding;
  int orders = 0, issued = 0;
  std::function<void()> on_wait = [] {};

  Result<HttpAnswer> Ask(const HttpRequest& request) override {
    if (asks_until_end >= 0 && asks_until_end-- == 0) ended_ = true;
    if (ended_) return Gone("told to end");
    asked.push_back(fmt::format("{} {}", NameOf(request.method), PathOf(request.url)));
    HttpAnswer answer = Answer(request);
    answer.nonce = fmt::format("nonce-{}", ++nonces_);
    fresh_.insert(answer.nonce);
    return disturb(request, std::move(answer));
  }
  void Wait(Duration duration) override {
    on_wait();
    clock_.Advance(duration);
  }
  bool ended() const override { return ended_; }
  void GoOn() { ended_ = false; }

  static Error Gone(std::string message) {
    return {Blame::kSystem, Retry::kYes, 0, std::move(message)};
  }
  static HttpAnswer Refusal(int status, const std::string& type, std::string retry_after = {}) {
    return {
        status,
        json{{"type", "urn:ietf:params:acme:error:" + type}, {"detail", "says the test"}}.dump(),
        {},
        {},
        std::move(retry_after)};
  }

 private:
  struct Order {
    std::string name, status = "pending", chain;
    std::string token;
    json error;
    int polls = 0;
    bool judged = false;
    std::string type;  // of the challenge that was answered
  };

  static const char* NameOf(HttpRequest::Method method) {
    if (method == HttpRequest::Method::kHead) return "HEAD";
    return method == HttpRequest::Method::kGet ? "GET" : "POST";
  }
  static std::string PathOf(const std::string& url) {
    constexpr std::string_view kHost = "https://ca.test";
    return url.starts_with(kHost) ? url.substr(kHost.size()) : url;
  }
  static std::string Url(const std::string& path) { return "https://ca.test" + path; }
  static HttpAnswer Say(int status, const json& body, std::string location = {}) {
    return {status, body.dump(), {}, std::move(location), {}};
  }

  HttpAnswer Answer(const HttpRequest& request) {
    const std::string path = PathOf(request.url);
    if (path == "/directory") return Directory();
    if (path == "/nonce") return {204, {}, {}, {}, {}};
    const json jws = json::parse(request.body, nullptr, false);
    const json head =
        json::parse(FromBase64Url(Text(At(jws, "protected"))).value_or(""), nullptr, false);
    const json payload =
        json::parse(FromBase64Url(Text(At(jws, "payload"))).value_or(""), nullptr, false);
    if (Text(At(head, "alg")) != "ES256" || Text(At(head, "url")) != request.url) {
      return Refusal(400, "malformed");
    }
    if (fresh_.erase(Text(At(head, "nonce"))) == 0 || nonces_to_refuse-- > 0) {
      return Refusal(400, "badNonce");
    }
    if (path == "/account") return Account(At(head, "jwk"), payload);
    if (Text(At(head, "kid")) != Url("/account/1")) return Refusal(400, "accountDoesNotExist");
    if (path == "/account/1") {
      contact = At(payload, "contact");
      return Say(200, {{"status", "valid"}});
    }
    if (path == "/order") return NewOrder(payload);
    return OfOrder(path, payload);
  }

  HttpAnswer Directory() const {
    return Say(
        200,
        {{"newNonce", Url("/nonce")},
         {"newAccount", Url("/account")},
         {"newOrder", Url("/order")},
         {"meta",
          {{"termsOfService", Url("/terms")}, {"externalAccountRequired", external_required}}}});
  }

  HttpAnswer Account(const json& jwk, const json& payload) {
    if (deactivated.contains(jwk.dump())) return Refusal(403, "unauthorized");
    if (!IsTrue(At(payload, "termsOfServiceAgreed"))) return Refusal(403, "userActionRequired");
    binding = At(payload, "externalAccountBinding");
    const bool is_new = accounts.insert(jwk.dump()).second;
    if (is_new) contact = At(payload, "contact");
    return Say(is_new ? 201 : 200, {{"status", "valid"}, {"contact", contact}}, Url("/account/1"));
  }

  HttpAnswer NewOrder(const json& payload) {
    const std::string id = std::to_string(++orders);
    Order& order = orders_[id];
    order.name = Text(At(At(payload, "identifiers").at(0), "value"));
    order.token = fmt::format("token-{}", id);
    return Show(id, order, 201);
  }

  HttpAnswer Show(const std::string& id, const Order& order, int status = 200) const {
    json body = {{"status", order.status},
                 {"authorizations", {Url("/authz/" + id)}},
                 {"finalize", Url("/finalize/" + id)}};
    if (order.status == "valid") body["certificate"] = Url("/certificate/" + id);
    if (!order.error.is_null()) body["error"] = order.error;
    return Say(status, body, Url("/order/" + id));
  }

  // /WHAT/ID or /WHAT/ID/TYPE
  HttpAnswer OfOrder(const std::string& path, const json& payload) {
    const std::size_t slash = path.find('/', 1);
    if (slash == std::string::npos) return Refusal(404, "malformed");
    const std::string what = path.substr(1, slash - 1);
    const std::string rest = path.substr(slash + 1);
    const std::string id = rest.substr(0, rest.find('/'));
    const auto found = orders_.find(id);
    if (found == orders_.end()) return Refusal(404, "malformed");
    Order& order = found->second;
    if (what == "order") {
      if (order.status == "processing" && order.polls++ >= polls) order.status = "valid";
      return Show(id, order);
    }
    if (what == "authz") return Authorization(id, order);
    if (what == "challenge") {
      order.judged = true;
      order.polls = 0;
      order.type = rest.substr(rest.find('/') + 1);
      return Say(200, {{"status", "processing"}});
    }
    if (what == "finalize" && order.status == "ready") return Finalize(id, order, payload);
    if (what == "certificate" && order.status == "valid") {
      return {200, order.chain, {}, {}, {}};
    }
    return Refusal(403, "orderNotReady");
  }

  HttpAnswer Authorization(const std::string& id, Order& order) {
    if (order.judged && order.status == "pending" && order.polls++ >= polls) {
      const bool valid = validate(order.name, order.type);
      order.status = valid ? "ready" : "invalid";
    }
    const bool invalid = order.status == "invalid";
    json challenges = json::array();
    for (const std::string& type : offered) {
      challenges.push_back(
          {{"type", type},
           {"status", order.judged && type == order.type ? "processing" : "pending"},
           {"token", order.token},
           {"url", Url(fmt::format("/challenge/{}/{}", id, type))}});
      if (!invalid) continue;
      challenges.back()["error"] = {{"type", "urn:ietf:params:acme:error:connection"},
                                    {"detail", "nobody is there"}};
    }
    const bool open = order.status == "pending";
    return Say(200,
               {{"status",
                 open      ? "pending"
                 : invalid ? "invalid"
                           : "valid"},
                {"challenges", challenges}});
  }

  HttpAnswer Finalize(const std::string& id, Order& order, const json& payload) {
    const std::string der = FromBase64Url(Text(At(payload, "csr"))).value_or("");
    order.chain = Sign(der, order.name);
    if (order.chain.empty()) return Refusal(400, "badCSR");
    order.status = "processing";
    order.polls = 0;
    ++issued;
    return Show(id, order);
  }

  // By the authority's own certificate, which is self-signed and stands below it in the chain.
  std::string Sign(const std::string& der, const std::string& name) const {
    const unsigned char* at = BytesIn(der);
    const Owned<X509_REQ, X509_REQ_free> request(
        d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size())));
    if (request == nullptr ||
        X509_REQ_verify(request.get(), X509_REQ_get0_pubkey(request.get())) != 1) {
      return {};
    }
    const std::string root_pem =
        MakeChallengeCertificate("ca.test", "", key_, clock_.WallNow()).value();
    const tls::X509Stack root = tls::ParseBundle(root_pem).value();
    const tls::X509Handle leaf(X509_new());
    const std::time_t now =
        std::chrono::floor<std::chrono::seconds>(clock_.WallNow().time_since_epoch()).count();
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(lifetime).count();
    X509_set_version(leaf.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(leaf.get()), issued + 1);
    ASN1_TIME_set(X509_getm_notBefore(leaf.get()), now);
    ASN1_TIME_set(X509_getm_notAfter(leaf.get()), now + seconds);
    X509_set_issuer_name(leaf.get(), X509_get_subject_name(sk_X509_value(root.get(), 0)));
    X509_set_pubkey(leaf.get(), X509_REQ_get0_pubkey(request.get()));
    const std::string names = "DNS:" + name;
    X509_EXTENSION* extension =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
    X509_add_ext(leaf.get(), extension, -1);
    X509_EXTENSION_free(extension);
    CHECK(X509_sign(leaf.get(), key_.get(), EVP_sha256()) > 0);
    const tls::BioHandle bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(bio.get(), leaf.get());
    return tls::TextOf(bio.get()) + root_pem;
  }

  FakeClock& clock_;
  const Key key_;
  std::map<std::string, Order> orders_;
  std::set<std::string> fresh_;  // nonces
  int nonces_ = 0;
  bool ended_ = false;
};

}  // namespace onebox::acme
