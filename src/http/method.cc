#include "http/method.h"

#include <array>

namespace onebox::http {
namespace {

struct Row {
  std::string_view name;
  Method method;
};
constexpr std::array kMethods = {
    Row{"GET", Method::kGet},
    Row{"POST", Method::kPost},
    Row{"HEAD", Method::kHead},
    Row{"PUT", Method::kPut},
    Row{"PATCH", Method::kPatch},
    Row{"DELETE", Method::kDelete},
    Row{"OPTIONS", Method::kOptions},
    Row{"TRACE", Method::kTrace},
    Row{"CONNECT", Method::kConnect},
};

}  // namespace

Method MethodOf(std::string_view name) {
  for (const Row& row : kMethods) {
    if (row.name == name) return row.method;
  }
  return Method::kOther;
}

}  // namespace onebox::http
