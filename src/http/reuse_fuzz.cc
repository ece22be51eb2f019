#include "http/properties.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  onebox::http::properties::CheckReuse({reinterpret_cast<const char*>(data), size});
  return 0;
}
