#pragma once
// Media types by file name, with what can be said of them.

#include <span>
#include <string>
#include <string_view>

namespace onebox::http {

// Content-Type by the extension of the file's name, in any case; text types say charset=utf-8.
// "application/octet-stream" where it is not known.
std::string_view MediaTypeOf(std::string_view file_name);

// "text/html", "text/*" or "*+json": types that are alike, without parameters.
bool IsMediaRange(std::string_view text);

// Those that compression makes smaller, separated by commas.
inline constexpr std::string_view kCompressibleTypes =
    "text/*, *+json, *+xml, application/javascript, application/json, application/rtf, "
    "application/toml, application/vnd.apple.mpegurl, application/vnd.ms-fontobject, "
    "application/wasm, "
    "application/x-javascript, application/x-ndjson, application/x-tar, application/xml, "
    "application/yaml, font/otf, font/ttf, image/bmp";

// Whether content of that type is to be compressed: one of `ranges`, in any case and with any
// parameters. Never text/event-stream, where each event is to be sent at once.
bool IsCompressible(std::string_view content_type, std::span<const std::string> ranges);

}  // namespace onebox::http
