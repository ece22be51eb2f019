#pragma once
// What names a kept answer: its URL, and what else of a request the operator said makes a difference.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/ascii.h"

namespace onebox::webcache {

// "https://a.example/prices?x=1", then for each part a separator that no request can hold and
// "cookie:country=de". Made anew for each request; the memory is kept.
class Key {
 public:
  // The host in any case. `target` is the path, as it is sent, and the query with its "?", without what does not matter.
  void Begin(std::string_view scheme, std::string_view host) {
    text_.assign(scheme).append("://");
    for (const char c : host)
      text_.push_back(ToLower(c));
    path_begin_ = text_.size();
  }
  void AppendTarget(std::string_view target) { text_.append(target); }
  void EndUrl() { url_end_ = text_.size(); }
  void AppendPart(std::string_view name, std::string_view value) {
    text_.append(1, kSeparator).append(name).append(1, '=').append(value);
  }

  std::string_view text() const { return text_; }
  std::string_view url() const { return text().substr(0, url_end_); }
  std::string_view target() const { return url().substr(path_begin_); }
  std::size_t path_begin() const { return path_begin_; }

 private:
  static constexpr char kSeparator = '\n';

  std::string text_;
  std::size_t path_begin_ = 0;
  std::size_t url_end_ = 0;
};

}  // namespace onebox::webcache
