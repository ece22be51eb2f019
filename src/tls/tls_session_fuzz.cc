// What a client may send, into a session of a server: it fails or waits, and decrypts nothing that was not
// sealed for it.
#include <cstddef>
#include <cstdint>
#include <string>

#include "tls/testing.h"

namespace {

using onebox::tls::Certificate;
using onebox::tls::ClientCertificates;
using onebox::tls::ServerContext;
using onebox::tls::ServerSettings;

const std::shared_ptr<const ServerContext>& Server() {
  static const auto* const server = [] {
    const auto issued = onebox::tls::testing::Issue(
        {.common_name = "game.example", .alternatives = "DNS:game.example,DNS:*.example"});
    const auto certificate = Certificate::Parse(issued.CertificatePem(), issued.KeyPem()).value();
    ServerSettings settings;
    settings.protocols = {"h2", "http/1.1"};
    settings.client_certificates = ClientCertificates::kRequest;
    settings.client_ca_pem = issued.CertificatePem();
    settings.tickets = std::make_shared<onebox::tls::TicketKeys>(
        onebox::tls::TicketKeys::Secret{}, std::chrono::hours(1), onebox::tls::testing::kNow);
    settings.challenge = [certificate](const std::string& name) {
      return name == "proof.example" ? certificate : nullptr;
    };
    return new std::shared_ptr<const ServerContext>(
        ServerContext::Make(settings, {certificate}).value());
  }();
  return *server;
}

}  // namespace

// The first byte says in what pieces the rest arrives.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  onebox::tls::Session session(Server(), onebox::tls::testing::kNow);
  std::string plaintext;
  std::string answer;
  onebox::tls::testing::Deliver(session,
                                {reinterpret_cast<const char*>(data) + 1, size - 1},
                                1U + data[0],
                                plaintext,
                                answer);
  CHECK(plaintext.empty());
  session.End(answer);
  return 0;
}
