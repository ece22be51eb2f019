#include "os/error.h"

#include <system_error>

#include <fmt/format.h>

namespace onebox::os {

std::string ErrorText(int number) {
  return std::generic_category().message(number);
}

Error SystemError(std::string_view what, int number) {
  return {Blame::kSystem, Retry::kNever, number, fmt::format("{}: {}", what, ErrorText(number))};
}

}  // namespace onebox::os
