#pragma once
// Which site a request is for, by the host that it names.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace onebox::front {

inline constexpr std::size_t kHostBytesMax = 253;  // of a name, without a point at its end

// The hosts of sites:
//   "game.example"    this one;
//   "*.game.example"  all below it, however deep, and not itself;
//   "*"               all that no other takes.
// Addresses are hosts too: "127.0.0.1", "[::1]". The exact one goes first, then the longest.
class HostTable {
 public:
  // As it is compared: in small letters, without a point at its end. Nothing where it is no such text;
  // names outside of ASCII are written as DNS has them ("xn--...").
  static std::optional<std::string> Normal(std::string_view pattern);

  // `pattern` is Normal(). False where it is there already.
  bool Add(std::string_view pattern, std::uint32_t site);

  // `host` as a request names it: in any case, with a port, with a point at its end, or empty.
  // Allocates nothing.
  std::optional<std::uint32_t> Find(std::string_view host) const;

  bool empty() const { return names_.empty() && below_.empty() && !any_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  using Map = std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>>;

  Map names_;
  Map below_;  // by what follows the "*."
  std::optional<std::uint32_t> any_;
};

// "game.example" of "game.example:8000", "[::1]" of "[::1]:80".
std::string_view WithoutPort(std::string_view host);

}  // namespace onebox::front
