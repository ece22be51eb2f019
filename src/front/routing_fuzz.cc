#include "front/properties.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  onebox::front::properties::CheckRouting({reinterpret_cast<const char*>(data), size});
  return 0;
}
