#pragma once
// The listening sockets that a service manager opened for us (sd_listen_fds(3)).

#include <string>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "os/process.h"
#include "os/socket.h"

namespace onebox::os {

inline constexpr int kHandedOverMax = 64;

struct HandedOver {
  std::string name;  // FileDescriptorName= of its unit; may be empty
  SocketAddress address;
  int descriptor = -1;  // open; whoever serves it closes it
};

// Their names, of as many as LISTEN_FDS says; none where LISTEN_PID is not ours.
Result<std::vector<std::string>> ParseHandedOver(const Variables& environment, pid_t our_pid);

// The sockets themselves, from descriptor 3 on, as Listen() would have made them: non-blocking,
// close-on-exec. An Error where one is no listening stream socket.
Result<std::vector<HandedOver>> FindHandedOver(const Variables& environment, pid_t our_pid);

}  // namespace onebox::os
