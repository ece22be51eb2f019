#include "os/random.h"

#include <sys/random.h>

#include "base/check.h"

namespace onebox::os {

std::uint64_t Random64() {
  std::uint64_t number = 0;
  CHECK(::getrandom(&number, sizeof number, 0) == sizeof number);
  return number;
}

}  // namespace onebox::os
