#pragma once
// The body of an answer, as pieces that others own.

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "os/fd.h"

namespace onebox::front {

// Bytes that stay readable while `owner` lives. They may be a mapped file: give them to writev
// alone. Reading them here is a SIGBUS if somebody truncates the file; writev returns EFAULT then,
// and the connection is closed, since the promised length can no longer be kept.
struct Piece {
  std::shared_ptr<const void> owner;
  std::string_view bytes;
  // Where they are a mapped file's: that file, which is sent from instead, and where it is mapped.
  const os::Fd* file = nullptr;
  const char* mapped_at = nullptr;

  std::uint64_t offset() const { return static_cast<std::uint64_t>(bytes.data() - mapped_at); }
};

// Pieces in the order they are sent. One piece, the common case, needs no memory of its own.
class Body {
 public:
  void Append(Piece piece) {
    size_ += piece.bytes.size();
    if (many_.empty() && !has_one_) {
      one_ = std::move(piece);
      has_one_ = true;
      return;
    }
    if (many_.empty()) many_.push_back(std::move(one_));
    many_.push_back(std::move(piece));
  }

  std::span<const Piece> pieces() const {
    if (!many_.empty()) return many_;
    return {&one_, has_one_ ? 1U : 0U};
  }

  // Drops the first `bytes`: they were sent.
  void Advance(std::uint64_t bytes) {
    size_ -= bytes;
    if (many_.empty()) {
      one_.bytes.remove_prefix(bytes);
      return;
    }
    std::size_t gone = 0;
    while (gone < many_.size() && bytes >= many_[gone].bytes.size()) {
      bytes -= many_[gone++].bytes.size();
    }
    many_.erase(many_.begin(), many_.begin() + static_cast<std::ptrdiff_t>(gone));
    if (!many_.empty()) many_.front().bytes.remove_prefix(bytes);
    if (many_.empty()) has_one_ = false;
  }

  std::uint64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  Piece one_;
  std::vector<Piece> many_;  // holds all pieces if it holds any
  bool has_one_ = false;
  std::uint64_t size_ = 0;
};

}  // namespace onebox::front
