#pragma once
// What holds for any bytes: the fuzz target tries it, regression_test.cc replays it.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "redis/address.h"
#include "redis/reply.h"

namespace onebox::redis::properties {

struct Read {
  std::vector<Reply> replies;
  std::optional<std::string> error;
};

inline void CheckShape(const Reply& reply, int depth, std::size_t& elements) {
  CHECK(depth <= kReplyDepthMax);
  CHECK(reply.is(Reply::Kind::kArray) || reply.elements.empty());
  CHECK(reply.is(Reply::Kind::kInteger) || reply.integer == 0);
  elements += reply.elements.size();
  for (const Reply& element : reply.elements)
    CheckShape(element, depth + 1, elements);
}

// In pieces of `step` bytes.
inline Read ReadAll(std::string_view bytes, std::size_t step, const ReplyLimits& limits) {
  Read read;
  ReplyReader reader(limits);
  while (!bytes.empty() && !read.error) {
    reader.Feed(bytes.substr(0, step));
    bytes.remove_prefix(std::min(step, bytes.size()));
    while (true) {
      auto next = reader.Next();
      if (!next.ok()) {
        CHECK(!reader.Next().ok());
        read.error = next.error().message;
        break;
      }
      if (!next.value()) break;
      std::size_t elements = 0;
      CheckShape(*next.value(), 0, elements);
      CHECK(elements <= limits.elements_max);
      read.replies.push_back(*std::move(next).value());
    }
  }
  return read;
}

// The answers are the same, however the bytes are cut.
inline void CheckReplies(std::string_view bytes) {
  const ReplyLimits limits{.bytes_max = 1 << 20, .elements_max = 100};
  const Read whole = ReadAll(bytes, std::max<std::size_t>(bytes.size(), 1), limits);
  for (const std::size_t step : {1U, 2U, 7U}) {
    const Read cut = ReadAll(bytes, step, limits);
    CHECK(cut.replies == whole.replies);
    CHECK(cut.error == whole.error);
  }
}

// What is read from a URL is written as one that says the same.
inline void CheckAddress(std::string_view url) {
  auto address = Address::Parse(url);
  if (!address.ok()) return;
  CHECK(address.value().is_unix() == address.value().host.empty());
  CHECK(address.value().user.empty() || !address.value().password.empty());
  if (address.value().path.find_first_of("%?@") != std::string::npos)
    return;  // text() is to be read
  const auto again = Address::Parse(address.value().text());
  CHECK(again.ok());
  address.value().user.clear();
  address.value().password.clear();
  CHECK(again.value() == address.value());
}

// The first byte chooses.
inline void CheckRedis(std::string_view input) {
  if (input.empty()) return;
  if (input[0] == 'u') CheckAddress(input.substr(1));
  if (input[0] == 'r') CheckReplies(input.substr(1));
}

}  // namespace onebox::redis::properties
