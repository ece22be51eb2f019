#pragma once
// A file descriptor that closes itself.

#include <utility>

namespace onebox::os {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int number) : number_(number) {}
  Fd(Fd&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) Reset(std::exchange(other.number_, -1));
    return *this;
  }
  ~Fd() { Reset(); }

  bool valid() const { return number_ >= 0; }
  int get() const { return number_; }
  int Release() { return std::exchange(number_, -1); }
  void Reset(int number = -1);  // closes what it held

 private:
  int number_ = -1;
};

}  // namespace onebox::os
