#include "supervise/lines.h"

#include <algorithm>
#include <utility>

namespace onebox::supervise {

void Lines::Feed(std::string_view bytes, const Take& take) {
  while (!bytes.empty()) {
    const std::size_t room = kLineBytesMax - begun_.size();
    const std::size_t end = bytes.find('\n');
    const std::size_t size = std::min({end, room, bytes.size()});
    begun_ += bytes.substr(0, size);
    bytes.remove_prefix(size);
    if (size == end) {
      bytes.remove_prefix(1);
      Emit(take);
    } else if (begun_.size() == kLineBytesMax) {
      Emit(take);
    }
  }
}

void Lines::Finish(const Take& take) {
  if (!begun_.empty()) Emit(take);
}

void Lines::Emit(const Take& take) {
  if (begun_.ends_with('\r')) begun_.pop_back();
  take(begun_);
  last_.push_back(std::exchange(begun_, {}));
  if (last_.size() > kLastMax) last_.pop_front();
}

}  // namespace onebox::supervise
