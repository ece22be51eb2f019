#pragma once
// Compressors that wait for their next body.

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "compress/compressor.h"

namespace onebox::compress {

// One for each reactor. Setting a compressor up costs more than a small body does.
class Shelf {
 public:
  explicit Shelf(const Levels& levels) : levels_(levels) {}

  std::unique_ptr<Compressor> Take(http::Coding coding);

  // Its body may have ended or been given up. At most kIdleMax of each coding are kept.
  void PutBack(std::unique_ptr<Compressor> compressor);

  std::size_t idle(http::Coding coding) const {
    return idle_[static_cast<std::size_t>(coding)].size();
  }

  static constexpr std::size_t kIdleMax = 8;

 private:
  Levels levels_;
  std::array<std::vector<std::unique_ptr<Compressor>>, http::kCodings.size()> idle_;
};

}  // namespace onebox::compress
