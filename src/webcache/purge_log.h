#pragma once
// What was purged lately, so that what was asked for before is not kept after.

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

namespace onebox::webcache {

// From any thread. An answer that was asked for before a purge may come after it, with what held before;
// so each purge has a number, and an answer that is to be kept says which was the last one when it was
// asked for.
class PurgeLog {
 public:
  static constexpr std::size_t kRemembered = 4096;

  enum class Kind : std::uint8_t { kUrl, kPrefix, kTag };

  std::uint64_t number() const { return number_.load(std::memory_order_acquire); }
  // `hash`: of the target or of the tag; `text`: the prefix, else empty. Returns its number.
  std::uint64_t Add(Kind kind, std::uint64_t hash, std::string_view text);

  struct Named {
    std::string_view url;
    std::string_view target;  // of it
    std::uint64_t target_hash = 0;
    std::span<const std::uint64_t> tag_hashes;
  };
  // Whether a purge since `number` may have meant it; true too where that is not known any more.
  bool Touched(std::uint64_t number, const Named& named) const;

 private:
  struct Row {
    Kind kind = Kind::kUrl;
    std::uint64_t hash = 0;
    std::string text;
  };
  static bool Means(const Row& row, const Named& named);

  mutable std::mutex mutex_;
  std::atomic<std::uint64_t> number_{0};  // of the last; written under mutex_
  std::array<Row, kRemembered> rows_;     // by number; under mutex_
};

// A prefix is of a path ("/api/") or of a whole URL ("https://a.example/api/").
bool HasPrefix(std::string_view url, std::string_view target, std::string_view prefix);

}  // namespace onebox::webcache
