#pragma once
// Request methods and what RFC 9110 9.2 promises of them.

#include <cstdint>
#include <string_view>

namespace onebox::http {

enum class Method : std::uint8_t {
  kOther,
  kGet,
  kHead,
  kPost,
  kPut,
  kPatch,
  kDelete,
  kOptions,
  kTrace,
  kConnect,
};

// Methods are case-sensitive: "get" is kOther.
Method MethodOf(std::string_view name);

constexpr bool IsSafe(Method method) {
  return method == Method::kGet || method == Method::kHead || method == Method::kOptions ||
         method == Method::kTrace;
}

// Doing it twice is like doing it once: such a request may run again on another worker.
constexpr bool IsIdempotent(Method method) {
  return IsSafe(method) || method == Method::kPut || method == Method::kDelete;
}

}  // namespace onebox::http
