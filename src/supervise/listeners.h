#pragma once
// The sockets that clients come to: opened once or handed over, shared by all fronts, closed at the end.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "os/fd.h"
#include "os/handed_over.h"
#include "os/socket.h"

namespace onebox::supervise {

// Where to listen.
struct Addresses {
  std::vector<os::SocketAddress> app;
  std::optional<os::SocketAddress> admin;
  std::vector<bool> secure = {};  // of `app`, in its order: which are shown as https
};

class Listeners {
 public:
  // Takes sockets that were opened for us, if the program before has not left them: Open() finds them.
  // Closing them leaves their paths.
  void Adopt(const std::vector<os::HandedOver>& handed_over);
  // Opens what is not open yet. Where one cannot be opened, all is as it was.
  Status Open(const Addresses& addresses);
  // Closes what is none of them; paths of unix sockets go.
  void Keep(const Addresses& addresses);
  void Close() { Keep({}); }

  // For the program that takes our place: the addresses as they were asked for, with their sockets.
  std::vector<std::pair<std::string, int>> ForSuccessor() const;
  // In that program.
  Status Adopt(const std::string& asked, os::Fd socket);

  // As people type it, with the port that was given: "http://127.0.0.1:8000". What is not open is
  // left out.
  std::vector<std::string> Shown(const Addresses& addresses) const;
  std::string ShownAdmin(const Addresses& addresses) const;

  // For a front, in its own process after the fork: the sockets in the order of `addresses`, which
  // are open. Closes here what is none of them; the paths stay.
  struct Sockets {
    std::vector<os::Fd> app;
    os::Fd admin;  // not valid: none is wanted
  };
  Sockets Take(const Addresses& addresses);

 private:
  struct Listener {
    os::SocketAddress asked;  // as it was asked for: the port may be 0
    os::Fd socket;
    std::string shown;
    bool handed_over = false;
  };

  static void RemovePath(const Listener& listener);

  // Each address with its own listener, also where one is asked for twice: -1 where it has none.
  std::vector<int> Match(const Addresses& addresses) const;

  std::vector<Listener> open_;
};

}  // namespace onebox::supervise
