#pragma once
// The control socket of a box: others of the same user ask it, it answers.

#include <functional>
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

  // Answers a question with JSON.
  using Answer = std::function<std::string(std::string_view question)>;

  // REQUIRES: the state folder is locked by this process.
  static Result<ControlSocket> Open(const std::string& state);

  void Wanted(std::vector<int>& fds) const;  // appends what to wait for
  void Serve(const Answer& answer);          // whatever waits now
  void Close();                              // here alone; the path stays
  const std::string& path() const { return path_; }

 private:
  ControlSocket(os::Fd listener, std::string path)
      : listener_(std::move(listener)), path_(std::move(path)) {}

  os::Fd listener_;
  std::string path_;
  std::vector<os::Fd> clients_;
};

}  // namespace onebox::supervise
