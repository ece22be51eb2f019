#pragma once
// What a Redis answers, read from bytes in whatever pieces they come (RESP2).

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

struct redisReader;  // hiredis'

namespace onebox::redis {

// One answer; a value. An answer of kind kError is the server's word on one command: "OOM command not
// allowed", "WRONGTYPE ..."; the connection goes on.
struct Reply {
  enum class Kind : std::uint8_t { kNil, kStatus, kError, kInteger, kBulk, kArray };

  bool is(Kind other) const { return kind == other; }
  bool is_status(std::string_view word) const { return kind == Kind::kStatus && text == word; }
  bool operator==(const Reply&) const = default;

  Kind kind = Kind::kNil;
  std::int64_t integer = 0;          // of kInteger
  std::string text = {};             // of kStatus, kError and kBulk: any bytes
  std::vector<Reply> elements = {};  // of kArray
};

// What a server can make us hold: whoever answers more than that is not a Redis that answers us.
struct ReplyLimits {
  std::size_t bytes_max = std::size_t{64} << 20;  // of one answer, as it is sent
  std::size_t elements_max = std::size_t{1}
                             << 16;  // of one answer, those of nested arrays counted too
};
inline constexpr int kReplyDepthMax = 8;  // arrays around a value; hiredis' own

// Bytes in, answers out. It holds at most bytes_max of an unfinished answer and what was made of them. After
// an Error it gives Errors for ever.
class ReplyReader final {
 public:
  explicit ReplyReader(const ReplyLimits& limits);
  ReplyReader(ReplyReader&&) noexcept;
  ReplyReader& operator=(ReplyReader&&) noexcept;
  ~ReplyReader();

  // Takes bytes as they came; Next() gives the answers, before more is fed.
  void Feed(std::string_view bytes);
  // Nothing where the next answer is not complete. An Error (EPROTO): these are no answers.
  Result<std::optional<Reply>> Next();
  // Whether there is no byte of an answer that Next() has not given.
  bool empty() const;

 private:
  struct Building;  // the answer that is being read, where hiredis' functions find it

  ReplyLimits limits_;
  std::unique_ptr<Building> building_;
  std::unique_ptr<redisReader, void (*)(redisReader*)> reader_;
  std::size_t unfinished_ = 0;  // bytes fed since the last answer was complete
};

}  // namespace onebox::redis
