#pragma once
// OpenSSL's objects with owners, and its errors as sentences.

#include <memory>
#include <string>
#include <string_view>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/result.h"

namespace onebox::tls {

template <auto kFree>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};

using BioHandle = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using KeyHandle = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using KeyContextHandle = std::unique_ptr<EVP_PKEY_CTX, Freer<EVP_PKEY_CTX_free>>;
using X509Handle = std::unique_ptr<X509, Freer<X509_free>>;
using StoreHandle = std::unique_ptr<X509_STORE, Freer<X509_STORE_free>>;
using ContextHandle = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;
using SessionHandle = std::unique_ptr<SSL_SESSION, Freer<SSL_SESSION_free>>;
using SslHandle = std::unique_ptr<SSL, Freer<SSL_free>>;

inline void FreeStack(STACK_OF(X509) * stack) {
  sk_X509_pop_free(stack, X509_free);
}
using X509Stack = std::unique_ptr<STACK_OF(X509), Freer<FreeStack>>;

// What OpenSSL's macros for callbacks do, without their casts.
template <typename Callback>
void SetCallback(SSL_CTX* context, int which, Callback* callback) {
  SSL_CTX_callback_ctrl(context, which, reinterpret_cast<void (*)()>(callback));
}

// What OpenSSL said last, in its words; empties its queue.
std::string LastReason();

// `what`, and what OpenSSL said last: the operator's to mend.
Error OpensslError(std::string what);

// A BIO that reads `text`, which must outlive it.
BioHandle ReadFrom(std::string_view text);

// All that was written into a memory BIO.
std::string TextOf(BIO* bio);

}  // namespace onebox::tls
