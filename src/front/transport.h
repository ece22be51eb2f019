#pragma once
// The bytes to and from one client.

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "front/body.h"
#include "front/tls_link.h"
#include "os/fd.h"
#include "os/stream_socket.h"

namespace onebox::front {

// A connected socket that does not block, with or without TLS on it. What is said here of a try is what
// os::Moved says. Who was told that bytes have not left comes again with the same.
class Transport {
 public:
  explicit Transport(os::Fd socket, std::unique_ptr<TlsLink> link = nullptr)
      : link_(std::move(link)), socket_(std::move(socket)) {}

  const os::Fd& socket() const { return socket_; }
  os::Fd TakeSocket() { return std::move(socket_); }

  os::Moved Receive(std::span<char> buffer) {
    if (link_ != nullptr) return link_->Receive(socket_, buffer);
    const os::Moved moved = os::Receive(socket_, buffer);
    emptied_ = moved.bytes < buffer.size();
    return moved;
  }
  // Whether the last Receive() has left nothing to be read: what comes later is a new edge.
  bool emptied() const { return link_ != nullptr ? link_->emptied() : emptied_; }
  // As much of `first` and the pieces behind it as one system call takes.
  os::Moved Send(std::string_view first, std::span<const Piece> pieces);
  // The socket has room again: what it had none for, and nobody comes again with.
  void OnWritable() {
    if (link_ != nullptr) link_->Flush(socket_);
  }
  // The last that was to be sent has been: whoever reads it knows that it is whole.
  void SayGoodbye() {
    if (link_ != nullptr) link_->SayGoodbye(socket_);
  }
  // The same, and what the client still sends can be read.
  void EndSending() {
    SayGoodbye();
    os::EndSending(socket_);
  }

  TlsLink* link() { return link_.get(); }
  // None without TLS.
  const tls::Session* session() const { return link_ == nullptr ? nullptr : &link_->session(); }

 private:
  std::unique_ptr<TlsLink> link_;  // none: the bytes go as they are
  os::Fd socket_;
  bool emptied_ = false;
};

}  // namespace onebox::front
