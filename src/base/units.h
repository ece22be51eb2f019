#pragma once
// Bytes and lengths of time as people write them: "16 MiB", "1.5s".

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace onebox {

// "512", "64k", "16 MiB", "1G": a number and an optional unit. k, M, G and T are powers of 1024,
// with or without "i" and "B". Nothing where it is not a size or does not fit.
std::optional<std::uint64_t> ParseBytes(std::string_view text);

// "30s", "250ms", "1.5 minutes", "2h", "1d"; a bare number is seconds. Never negative.
std::optional<Duration> ParseDuration(std::string_view text);

// The shortest of the forms above that reads back as the same value: "16 MiB", "1500 B".
std::string FormatBytes(std::uint64_t bytes);
std::string FormatDuration(Duration duration);

}  // namespace onebox
