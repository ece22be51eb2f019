#pragma once
// Reader and Writer: fields in wire order, each read checked against what is left.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace onebox {

// Reads host-endian numbers and length-prefixed texts from bytes it does not own. The first read
// past the end marks it failed; from then on every read gives zero or an empty text, so a caller
// may read all fields and ask ok() once.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  std::string_view rest() const { return rest_; }

  template <typename Number>
  Number Read() {
    static_assert(std::is_trivially_copyable_v<Number>);
    Number value{};
    const std::string_view raw = ReadBytes(sizeof value);
    if (raw.size() == sizeof value) std::memcpy(&value, raw.data(), sizeof value);
    return value;
  }

  std::string_view ReadBytes(std::size_t count) {
    if (count > rest_.size()) {
      ok_ = false;
      rest_ = {};
    }
    if (!ok_) return {};
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  // A 32-bit length, then that many bytes.
  std::string_view ReadText() { return ReadBytes(Read<std::uint32_t>()); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

// Appends the same to a string that it borrows.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  template <typename Number>
  void Write(Number value) {
    static_assert(std::is_trivially_copyable_v<Number>);
    char raw[sizeof value];
    std::memcpy(raw, &value, sizeof value);
    out_.append(raw, sizeof raw);
  }
  void WriteText(std::string_view text) {
    Write(static_cast<std::uint32_t>(text.size()));
    out_.append(text);
  }

 private:
  std::string& out_;
};

}  // namespace onebox
