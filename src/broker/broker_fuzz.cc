// Whatever a client says, the broker lives on and answers the next who asks.
#include "broker/testing.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using onebox::broker::TestBroker;
  using onebox::broker::TestClient;
  static TestBroker* const broker = new TestBroker;  // NOLINT(cppcoreguidelines-owning-memory)
  constexpr std::size_t kBytesMax = 60 << 10;        // what a socket takes at once
  const std::string_view bytes(reinterpret_cast<const char*>(data), std::min(size, kBytesMax));
  TestClient client(*broker);
  std::string message;
  onebox::Writer(message).WriteText(bytes);
  client.Send(message);
  (void)client.Hear();
  TestClient other(*broker);
  CHECK(other.Ask({{"op", "queues"}}).contains("queues"));
  return 0;
}
