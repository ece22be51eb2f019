#include <cstddef>
#include <cstdint>

#include "acme/properties.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  onebox::acme::properties::CheckConversation({reinterpret_cast<const char*>(data), size});
  return 0;
}
