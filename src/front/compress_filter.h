#pragma once
// The filter that compresses an app's answer on its way out.

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "compress/shelf.h"

namespace onebox::front {

// One body. The shelf outlives it.
class CompressFilter {
 public:
  CompressFilter(compress::Shelf& shelf, http::Coding coding)
      : shelf_(shelf), compressor_(shelf.Take(coding)) {}
  ~CompressFilter() { shelf_.PutBack(std::move(compressor_)); }
  CompressFilter(const CompressFilter&) = delete;
  CompressFilter& operator=(const CompressFilter&) = delete;

  void Append(std::string_view bytes, std::string& out) { compressor_->Append(bytes, out); }
  void Flush(std::string& out) { compressor_->Flush(out); }
  void Finish(std::string& out) { compressor_->Finish(out); }

 private:
  compress::Shelf& shelf_;
  std::unique_ptr<compress::Compressor> compressor_;
};

}  // namespace onebox::front
