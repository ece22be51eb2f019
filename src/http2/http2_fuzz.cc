#include "http2/properties.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  onebox::http2::properties::CheckSession({reinterpret_cast<const char*>(data), size});
  return 0;
}
