#include "schedule/properties.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  onebox::schedule::properties::CheckTrigger({reinterpret_cast<const char*>(data), size});
  return 0;
}
