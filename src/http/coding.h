#pragma once
// Content codings that the server can send.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace onebox::http {

enum class Coding : std::uint8_t { kIdentity, kGzip, kBrotli, kZstd };

struct CodingRow {
  Coding coding;
  std::string_view name;       // in Content-Encoding and Accept-Encoding
  std::string_view extension;  // of a precompressed neighbour of a static file
};
inline constexpr std::array kCodings = {
    CodingRow{Coding::kIdentity, "identity", ""},
    CodingRow{Coding::kGzip, "gzip", ".gz"},
    CodingRow{Coding::kBrotli, "br", ".br"},
    CodingRow{Coding::kZstd, "zstd", ".zst"},
};

constexpr std::string_view NameOf(Coding coding) {
  return kCodings[static_cast<std::size_t>(coding)].name;
}
constexpr std::string_view ExtensionOf(Coding coding) {
  return kCodings[static_cast<std::size_t>(coding)].extension;
}

// In any case; "x-gzip" is gzip (RFC 9110 8.4.1.3).
std::optional<Coding> CodingOf(std::string_view name);

}  // namespace onebox::http
