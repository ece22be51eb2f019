#pragma once
// The two fields by which both ends of a WebSocket see that the other one means it (RFC 6455 4.1, 4.2.2),
// for a client that does not say them itself: over HTTP/2 it cannot (RFC 8441 5).

#include <string>
#include <string_view>

namespace onebox::upstream {

// Sec-WebSocket-Key: 16 random bytes in base64.
std::string NewWebSocketKey();
// Sec-WebSocket-Accept: what a server that has understood the key answers.
std::string WebSocketAcceptFor(std::string_view key);

}  // namespace onebox::upstream
