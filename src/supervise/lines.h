#pragma once
// The lines that a process writes, and the last of them.

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

namespace onebox::supervise {

// Bytes in any pieces become whole lines, without their ends. A line of more than kLineBytesMax is
// cut there; the rest is a line of its own.
class Lines {
 public:
  static constexpr std::size_t kLineBytesMax = 8192;
  static constexpr std::size_t kLastMax = 20;

  using Take = std::function<void(std::string_view line)>;

  void Feed(std::string_view bytes, const Take& take);
  void Finish(const Take& take);  // a last line without an end, if there is one

  // Up to kLastMax, the newest last.
  const std::deque<std::string>& last() const { return last_; }

 private:
  void Emit(const Take& take);

  std::string begun_;
  std::deque<std::string> last_;
};

}  // namespace onebox::supervise
