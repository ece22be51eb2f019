#include "front/transport.h"

#include <array>

namespace onebox::front {

os::Moved Transport::Send(std::string_view first, std::span<const Piece> pieces) {
  if (link_ != nullptr) return link_->Send(socket_, first, pieces);
  if (first.empty() && !pieces.empty() && pieces.front().file != nullptr) {
    const Piece& piece = pieces.front();
    return os::SendFile(socket_, *piece.file, piece.offset(), piece.bytes.size());
  }
  std::array<std::string_view, os::kSendPartsMax> parts;
  std::size_t count = 0;
  if (!first.empty()) parts[count++] = first;
  os::More more = os::More::kNo;
  for (const Piece& piece : pieces) {
    if (piece.file != nullptr || count == parts.size()) {
      more = os::More::kFollows;
      break;
    }
    parts[count++] = piece.bytes;
  }
  return os::Send(socket_, {parts.data(), count}, more);
}

}  // namespace onebox::front
