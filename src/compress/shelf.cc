#include "compress/shelf.h"

#include <utility>

#include "base/check.h"

namespace onebox::compress {

std::unique_ptr<Compressor> Shelf::Take(http::Coding coding) {
  auto& idle = idle_[static_cast<std::size_t>(coding)];
  if (idle.empty()) return NewCompressor(coding, levels_);
  auto compressor = std::move(idle.back());
  idle.pop_back();
  return compressor;
}

void Shelf::PutBack(std::unique_ptr<Compressor> compressor) {
  CHECK(compressor != nullptr);
  auto& idle = idle_[static_cast<std::size_t>(compressor->coding())];
  if (idle.size() == kIdleMax) return;
  compressor->Reset();
  idle.push_back(std::move(compressor));
}

}  // namespace onebox::compress
