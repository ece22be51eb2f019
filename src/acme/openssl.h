#pragma once
// OpenSSL's objects of all kinds, owned, and its bytes.

#include <memory>
#include <string>
#include <string_view>

#include "tls/openssl.h"

namespace onebox::acme {

template <typename Object, auto kFree>
using Owned = std::unique_ptr<Object, tls::Freer<kFree>>;

inline const unsigned char* BytesIn(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
inline unsigned char* MutableBytes(std::string& bytes) {
  return reinterpret_cast<unsigned char*>(bytes.data());
}

}  // namespace onebox::acme
