#include "tls/staple.h"

#include <utility>

#include <openssl/err.h>

#include "tls/certificate.h"

namespace onebox::tls {
namespace {

using ResponseHandle = std::unique_ptr<OCSP_RESPONSE, Freer<OCSP_RESPONSE_free>>;
using BasicHandle = std::unique_ptr<OCSP_BASICRESP, Freer<OCSP_BASICRESP_free>>;
using IdHandle = std::unique_ptr<OCSP_CERTID, Freer<OCSP_CERTID_free>>;

// A responder may be a day late and is fine; its clock may be a little ahead of ours.
constexpr Duration kClockSkew = std::chrono::minutes(5);

Status CheckSigner(OCSP_BASICRESP* basic, STACK_OF(X509) * chain, WallTime now) {
  const StoreHandle store(X509_STORE_new());
  CHECK(store != nullptr);
  CHECK(X509_STORE_add_cert(store.get(), sk_X509_value(chain, 0)) == 1);
  X509_VERIFY_PARAM* rules = X509_STORE_get0_param(store.get());
  X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN);  // the issuer is trust enough
  X509_VERIFY_PARAM_set_time(
      rules,
      std::chrono::system_clock::to_time_t(
          std::chrono::time_point_cast<std::chrono::system_clock::duration>(now)));
  if (OCSP_basic_verify(basic, chain, store.get(), 0) == 1) return Done();
  return OpensslError("it is not signed by the issuer of the certificate");
}

Result<WallTime> CheckSaid(OCSP_BASICRESP* basic, X509* leaf, X509* issuer, WallTime now) {
  const IdHandle id(OCSP_cert_to_id(nullptr, leaf, issuer));
  int status = 0;
  int reason = 0;
  ASN1_GENERALIZEDTIME* revoked = nullptr;
  ASN1_GENERALIZEDTIME* from = nullptr;
  ASN1_GENERALIZEDTIME* until = nullptr;
  if (OCSP_resp_find_status(basic, id.get(), &status, &reason, &revoked, &from, &until) != 1) {
    return OperatorError("it is about another certificate");
  }
  if (status != V_OCSP_CERTSTATUS_GOOD) {
    return OperatorError(std::string("it says that the certificate is ") +
                         OCSP_cert_status_str(status));
  }
  if (now + kClockSkew < TimeOf(from)) return OperatorError("it is not valid yet");
  if (until == nullptr) return OperatorError("it does not say until when it is valid");
  if (now >= TimeOf(until)) return OperatorError("it is out of date");
  return TimeOf(until);
}

}  // namespace

Result<Staple> ParseStaple(std::string_view der, X509* leaf, STACK_OF(X509) * chain, WallTime now) {
  ERR_clear_error();
  const auto* next = reinterpret_cast<const unsigned char*>(der.data());
  const ResponseHandle response(d2i_OCSP_RESPONSE(nullptr, &next, static_cast<long>(der.size())));
  if (response == nullptr) return OpensslError("it is no OCSP response");
  const int status = OCSP_response_status(response.get());
  if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
    return OperatorError(std::string("the responder had none: ") +
                         OCSP_response_status_str(status));
  }
  const BasicHandle basic(OCSP_response_get1_basic(response.get()));
  if (basic == nullptr) return OpensslError("it is no basic OCSP response");
  if (sk_X509_num(chain) == 0) {
    return OperatorError("the certificate of the issuer is not in the certificate's file");
  }
  TRY(CheckSigner(basic.get(), chain, now));
  const WallTime until = TRY(CheckSaid(basic.get(), leaf, sk_X509_value(chain, 0), now));
  return Staple{std::string(der), until};
}

}  // namespace onebox::tls
