#pragma once
// The control socket of a box: others of the same user ask it, it answers.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/fd.h"

namespace onebox::supervise {

// One question a connection, one message each way (SEQPACKET).
class ControlSocket {
 public:
  static constexpr std::size_t kClientsMax = 16;  // the oldest leaves for a newer one

  using Client = std::uint64_t;  // never the same again
  struct Answered {
    std::string text;     // JSON
    int descriptor = -1;  // that is sent with it, and stays ours
    os::Fd given = {};    // that is sent with it, and closed here
  };
  // Answers a question, or promises to Reply().
  using Answer = std::function<std::optional<Answered>(std::string_view question, Client from)>;

  // REQUIRES: the state folder is locked by this process.
  static Result<ControlSocket> Open(const std::string& state);

  // In a program that takes another's place: that one's socket, and those who wait for a reply.
  static ControlSocket Adopt(const std::string& state,
                             os::Fd listener,
                             std::vector<os::Fd> waiting);
  std::vector<Client> clients() const;  // all that are connected
  int listener() const { return listener_.get(); }
  int SocketOf(Client client) const;  // -1: has left

  void Wanted(std::vector<int>& fds) const;        // appends what to wait for
  void Serve(const Answer& answer);                // whatever waits now
  void Reply(Client to, std::string_view answer);  // who has left hears nothing
  void Close();                                    // here alone; the path stays
  const std::string& path() const { return path_; }

 private:
  struct Caller {
    Client name;
    os::Fd socket;
  };

  ControlSocket(os::Fd listener, std::string path)
      : listener_(std::move(listener)), path_(std::move(path)) {}

  os::Fd listener_;
  std::string path_;
  std::vector<Caller> callers_;
  Client last_ = 0;
};

}  // namespace onebox::supervise
