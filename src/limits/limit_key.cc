#include "limits/limit_key.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "http/characters.h"
#include "http/cookie.h"

namespace onebox::limits {
namespace {

using Kind = KeyPart::Kind;

struct NamedKind {
  std::string_view name;
  Kind kind;
};
constexpr std::array kNamed = {NamedKind{"address", Kind::kAddress},
                               NamedKind{"path", Kind::kPath},
                               NamedKind{"host", Kind::kHost},
                               NamedKind{"all", Kind::kAll}};
constexpr std::string_view kHeader = "header:";
constexpr std::string_view kCookie = "cookie:";

std::optional<std::string_view> FindHeader(const http::RequestHead& head, std::string_view name) {
  for (const http::Field& field : head.fields()) {
    if (EqualsIgnoreCase(field.name, name)) return field.value;
  }
  return std::nullopt;
}

// What is hashed: never two parts as one, whatever they hold.
class Text {
 public:
  explicit Text(const SipKey& secret) : hash_(secret) {}

  void Add(Kind kind, std::string_view value) {
    const std::uint64_t begin =
        std::uint64_t{static_cast<unsigned char>(kind)} << 56 | value.size();
    hash_.Add({reinterpret_cast<const char*>(&begin), sizeof begin});
    hash_.Add(value);
  }
  void AddAddress(const std::optional<http::Address>& address, unsigned v6_bits) {
    if (!address) return Add(Kind::kAddress, {});  // by a unix socket
    std::array<char, 16> bytes{};
    const std::size_t size = address->IsV4() ? 4 : 16;
    std::copy_n(address->data(), size, bytes.begin());
    if (!address->IsV4()) {
      for (std::size_t bit = v6_bits; bit < 128; ++bit)
        bytes[bit / 8] =
            static_cast<char>(static_cast<unsigned char>(bytes[bit / 8]) & ~(0x80U >> bit % 8));
    }
    Add(Kind::kAddress, {bytes.data(), size});
  }
  std::uint64_t Finish() { return hash_.Finish(); }

 private:
  SipHash hash_;
};

}  // namespace

std::optional<KeyPart> ParseKeyPart(std::string_view text) {
  for (const NamedKind& named : kNamed) {
    if (text == named.name) return KeyPart{.kind = named.kind};
  }
  const bool header = text.starts_with(kHeader);
  if (!header && !text.starts_with(kCookie)) return std::nullopt;
  const std::string_view name = text.substr(header ? kHeader.size() : kCookie.size());
  if (!http::IsToken(name)) return std::nullopt;
  if (header) return KeyPart{.kind = Kind::kHeader, .name = Lowered(name)};
  return KeyPart{.kind = Kind::kCookie, .name = std::string(name)};
}

std::uint64_t KeyOf(std::span<const KeyPart> parts,
                    const Asked& asked,
                    unsigned v6_bits,
                    const SipKey& secret) {
  Text text(secret);
  for (const KeyPart& part : parts) {
    switch (part.kind) {
      case Kind::kAddress:
        text.AddAddress(asked.client, v6_bits);
        break;
      case Kind::kHeader:
      case Kind::kCookie: {
        const auto value = part.kind == Kind::kHeader ? FindHeader(asked.head, part.name)
                                                      : http::FindCookie(asked.head, part.name);
        if (value) {
          text.Add(part.kind, *value);
        } else {
          text.AddAddress(asked.client, v6_bits);
        }
        break;
      }
      case Kind::kPath:
        text.Add(part.kind, asked.path);
        break;
      case Kind::kHost:
        text.Add(part.kind, asked.head.host);
        break;
      case Kind::kAll:
        text.Add(part.kind, {});
        break;
    }
  }
  return text.Finish();
}

}  // namespace onebox::limits
