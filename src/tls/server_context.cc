#include "tls/server_context.h"

#include <algorithm>
#include <array>
#include <utility>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "base/ascii.h"
#include "tls/session.h"

namespace onebox::tls {
namespace {

using Certificates = std::vector<std::shared_ptr<const Certificate>>;

// --- what OpenSSL asks in a handshake

// The bytes of an extension that a list of one length field wraps.
std::string_view ExtensionOf(SSL* ssl, unsigned type) {
  const unsigned char* bytes = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, type, &bytes, &size) != 1) return {};
  return {reinterpret_cast<const char*>(bytes), size};
}

// RFC 8737: the list of protocols holds that one alone.
int OnClientHello(SSL* ssl, int* /*alert*/, void* /*context*/) {
  Session& session = Session::Of(ssl);
  if (session.server_context()->settings().challenge == nullptr) return SSL_CLIENT_HELLO_SUCCESS;
  const std::string_view offered =
      ExtensionOf(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation);
  const std::string wanted = AlpnList({std::string(kChallengeProtocol)});
  if (offered.size() == 2 + wanted.size() && offered.substr(2) == wanted) session.SetChallenged();
  return SSL_CLIENT_HELLO_SUCCESS;
}

int UseChallenge(SSL* ssl, const ServerContext& context, const std::string& name) {
  const auto certificate = context.settings().challenge(name);
  if (certificate == nullptr) return SSL_TLSEXT_ERR_ALERT_FATAL;
  SSL_certs_clear(ssl);
  const int used =
      SSL_use_cert_and_key(ssl, certificate->leaf(), certificate->key(), certificate->chain(), 1);
  return used == 1 ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

int OnServerName(SSL* ssl, int* alert, void* /*argument*/) {
  const Session& session = Session::Of(ssl);
  const ServerContext& context = *session.server_context();
  const char* sent = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  const std::string_view name = sent == nullptr ? std::string_view() : sent;
  if (session.challenged()) {
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return UseChallenge(ssl, context, Lowered(name));
  }
  SSL_CTX* chosen = context.ContextFor(name);
  if (chosen != SSL_get_SSL_CTX(ssl)) SSL_set_SSL_CTX(ssl, chosen);
  return SSL_TLSEXT_ERR_OK;
}

int OnProtocols(SSL* ssl,
                const unsigned char** chosen,
                unsigned char* chosen_size,
                const unsigned char* offered,
                unsigned offered_size,
                void* /*argument*/) {
  const Session& session = Session::Of(ssl);
  const std::string_view list(reinterpret_cast<const char*>(offered), offered_size);
  const auto take = [&](std::string_view wanted) {
    for (std::size_t at = 0; at < list.size(); at += 1U + static_cast<unsigned char>(list[at])) {
      const std::string_view one = list.substr(at + 1, static_cast<unsigned char>(list[at]));
      if (one != wanted) continue;
      *chosen = offered + at + 1;
      *chosen_size = static_cast<unsigned char>(one.size());
      return true;
    }
    return false;
  };
  if (session.challenged() && take(kChallengeProtocol)) return SSL_TLSEXT_ERR_OK;
  const std::vector<std::string>& ours = session.server_context()->settings().protocols;
  return std::any_of(ours.begin(), ours.end(), take) ? SSL_TLSEXT_ERR_OK
                                                     : SSL_TLSEXT_ERR_ALERT_FATAL;
}

const Certificate* ShownBy(SSL* ssl, const Certificates& certificates) {
  const X509* leaf = SSL_get_certificate(ssl);
  for (const auto& certificate : certificates) {
    if (certificate->leaf() == leaf) return certificate.get();
  }
  return nullptr;
}

int OnStatusRequest(SSL* ssl, void* argument) {
  const Certificate* shown = ShownBy(ssl, *static_cast<const Certificates*>(argument));
  if (shown == nullptr || !shown->staple()) return SSL_TLSEXT_ERR_NOACK;
  const Staple& staple = *shown->staple();
  if (Session::Of(ssl).began() >= staple.valid_until) return SSL_TLSEXT_ERR_NOACK;
  void* copy = OPENSSL_memdup(staple.der.data(), staple.der.size());  // OpenSSL frees it
  if (copy == nullptr) return SSL_TLSEXT_ERR_NOACK;
  SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<long>(staple.der.size()));
  return SSL_TLSEXT_ERR_OK;
}

// --- tickets

const EVP_CIPHER* TicketCipher() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr);
  return cipher;
}

bool SetMac(EVP_MAC_CTX* mac, TicketKeys::Key& key) {
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac.data(), key.mac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end()};
  return EVP_MAC_CTX_set_params(mac, params) == 1;
}

constexpr int kTicketFailed = -1;
constexpr int kTicketUnknown = 0;
constexpr int kTicketTaken = 1;
constexpr int kTicketRenew = 2;

int SealTicket(TicketKeys::Key key,
               unsigned char* name,
               unsigned char* iv,
               EVP_CIPHER_CTX* cipher,
               EVP_MAC_CTX* mac) {
  if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(TicketCipher())) != 1) return kTicketFailed;
  std::copy(key.name.begin(), key.name.end(), name);
  const bool ready =
      EVP_EncryptInit_ex2(cipher, TicketCipher(), key.cipher.data(), iv, nullptr) == 1 &&
      SetMac(mac, key);
  return ready ? kTicketTaken : kTicketFailed;
}

int OpenTicket(TicketKeys::Found found,
               const unsigned char* iv,
               EVP_CIPHER_CTX* cipher,
               EVP_MAC_CTX* mac) {
  const bool ready =
      SetMac(mac, found.key) &&
      EVP_DecryptInit_ex2(cipher, TicketCipher(), found.key.cipher.data(), iv, nullptr) == 1;
  if (!ready) return kTicketFailed;
  return found.age == TicketKeys::Age::kCurrent ? kTicketTaken : kTicketRenew;
}

int OnTicket(SSL* ssl,
             unsigned char* name,
             unsigned char* iv,
             EVP_CIPHER_CTX* cipher,
             EVP_MAC_CTX* mac,
             int sealing) {
  const TicketKeys& keys = *Session::Of(ssl).server_context()->settings().tickets;
  if (sealing == 1) return SealTicket(keys.current(), name, iv, cipher, mac);
  const auto found = keys.Find(std::span<const std::uint8_t, 16>(name, 16));
  return found ? OpenTicket(*found, iv, cipher, mac) : kTicketUnknown;
}

void AllowTickets(SSL_CTX* context, const TicketKeys* keys) {
  if (keys == nullptr) {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
    return;
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(keys->rotation()).count();
  SSL_CTX_set_timeout(context, static_cast<long>(seconds));
  SSL_CTX_set_tlsext_ticket_key_evp_cb(context, OnTicket);
}

// A session may go on only where the same is asked of clients: else a ticket of before the CA was
// changed would pass by it.
Status NameSessions(SSL_CTX* context, const ServerSettings& settings) {
  std::string asked = settings.client_ca_pem;
  asked += static_cast<char>(settings.client_certificates);
  std::array<unsigned char, SHA256_DIGEST_LENGTH> id{};
  SHA256(reinterpret_cast<const unsigned char*>(asked.data()), asked.size(), id.data());
  static_assert(SHA256_DIGEST_LENGTH <= SSL_MAX_SID_CTX_LENGTH);
  if (SSL_CTX_set_session_id_context(context, id.data(), id.size()) != 1) {
    return OpensslError("OpenSSL does not take the name of the sessions");
  }
  return Done();
}

}  // namespace

Result<std::shared_ptr<const ServerContext>> ServerContext::Make(const ServerSettings& settings,
                                                                 const Certificates& certificates) {
  CHECK(!certificates.empty());
  const std::shared_ptr<ServerContext> made(new ServerContext(settings));
  TRY(made->Add(certificates));
  return std::shared_ptr<const ServerContext>(made);
}

Status ServerContext::Add(const Certificates& certificates) {
  std::unordered_map<std::string, Certificates> by_name;
  for (const auto& certificate : certificates) {
    for (const std::string& name : certificate->names()) {
      Certificates& same = by_name[name];
      const bool taken = std::any_of(same.begin(), same.end(), [&](const auto& other) {
        return other->kind() == certificate->kind();
      });
      if (!taken) same.push_back(certificate);
    }
  }
  for (const auto& [name, same] : by_name)
    by_name_[name] = TRY(ContextOf(same));
  const Certificate& first = *certificates.front();
  default_ = first.names().empty() ? TRY(ContextOf({certificates.front()}))
                                   : by_name_.at(first.names().front());
  return Done();
}

Result<SSL_CTX*> ServerContext::ContextOf(Certificates certificates) {
  for (const auto& bundle : bundles_) {
    if (bundle->certificates == certificates) return bundle->context.get();
  }
  auto bundle = std::make_unique<Bundle>(Bundle{std::move(certificates), TRY(NewContext())});
  SSL_CTX* context = bundle->context.get();
  for (const auto& certificate : bundle->certificates)
    TRY(UseCertificate(context, *certificate));
  SetCallback(context, SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB, OnStatusRequest);
  SSL_CTX_set_tlsext_status_arg(context, &bundle->certificates);
  bundles_.push_back(std::move(bundle));
  return context;
}

Result<ContextHandle> ServerContext::NewContext() const {
  ContextHandle context = TRY(NewProfileContext(TLS_server_method(), settings_.version_min));
  SSL_CTX_set_client_hello_cb(context.get(), OnClientHello, nullptr);
  SetCallback(context.get(), SSL_CTRL_SET_TLSEXT_SERVERNAME_CB, OnServerName);
  SSL_CTX_set_alpn_select_cb(context.get(), OnProtocols, nullptr);
  AllowTickets(context.get(), settings_.tickets.get());
  TRY(NameSessions(context.get(), settings_));
  TRY(AskClients(context.get()));
  return context;
}

Status ServerContext::AskClients(SSL_CTX* context) const {
  if (settings_.client_certificates == ClientCertificates::kOff) return Done();
  TRY(TrustBundle(context, settings_.client_ca_pem));
  const X509Stack named = TRY(ParseBundle(settings_.client_ca_pem));
  for (int i = 0; i < sk_X509_num(named.get()); ++i) {
    if (SSL_CTX_add_client_CA(context, sk_X509_value(named.get(), i)) != 1) {
      return OpensslError("OpenSSL does not take a certificate of the clients' bundle");
    }
  }
  const bool required = settings_.client_certificates == ClientCertificates::kRequire;
  SSL_CTX_set_verify(
      context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
  return Done();
}

SSL_CTX* ServerContext::ContextFor(std::string_view name) const {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty()) return default_;
  const std::string wanted = Lowered(name);
  if (const auto found = by_name_.find(wanted); found != by_name_.end()) return found->second;
  const std::size_t dot = wanted.find('.');
  if (dot == std::string::npos) return default_;
  const auto found = by_name_.find("*" + wanted.substr(dot));
  return found == by_name_.end() ? default_ : found->second;
}

}  // namespace onebox::tls
