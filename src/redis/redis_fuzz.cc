#include <cstddef>
#include <cstdint>

#include "redis/properties.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  onebox::redis::properties::CheckRedis({reinterpret_cast<const char*>(data), size});
  return 0;
}
