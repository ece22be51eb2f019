#include "tls/client_context.h"

#include <utility>

namespace onebox::tls {

Result<std::shared_ptr<const ClientContext>> ClientContext::Make(const ClientSettings& settings) {
  ContextHandle context = TRY(NewProfileContext(TLS_client_method(), settings.version_min));
  if (settings.verify == Verify::kHostAndChain) {
    TRY(TrustBundle(context.get(), settings.ca_pem));
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  }
  if (settings.certificate != nullptr) TRY(UseCertificate(context.get(), *settings.certificate));
  const std::string alpn = AlpnList(settings.protocols);
  if (!alpn.empty() && SSL_CTX_set_alpn_protos(context.get(),
                                               reinterpret_cast<const unsigned char*>(alpn.data()),
                                               static_cast<unsigned>(alpn.size())) != 0) {
    return OpensslError("OpenSSL does not take the protocols");
  }
  return std::shared_ptr<const ClientContext>(
      new ClientContext(std::move(context), settings.verify));
}

}  // namespace onebox::tls
