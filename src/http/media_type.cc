#include "http/media_type.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "http/characters.h"

namespace onebox::http {
namespace {

constexpr std::string_view kUnknownType = "application/octet-stream";

struct Row {
  std::string_view extension;
  std::string_view type;
};

// Sorted by extension.
constexpr std::array kTypes = {
    Row{"7z", "application/x-7z-compressed"},
    Row{"aac", "audio/aac"},
    Row{"apng", "image/apng"},
    Row{"atom", "application/atom+xml; charset=utf-8"},
    Row{"avi", "video/x-msvideo"},
    Row{"avif", "image/avif"},
    Row{"bmp", "image/bmp"},
    Row{"br", "application/x-brotli"},
    Row{"bz2", "application/x-bzip2"},
    Row{"cjs", "text/javascript; charset=utf-8"},
    Row{"css", "text/css; charset=utf-8"},
    Row{"csv", "text/csv; charset=utf-8"},
    Row{"doc", "application/msword"},
    Row{"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    Row{"eot", "application/vnd.ms-fontobject"},
    Row{"epub", "application/epub+zip"},
    Row{"flac", "audio/flac"},
    Row{"geojson", "application/geo+json"},
    Row{"gif", "image/gif"},
    Row{"glb", "model/gltf-binary"},
    Row{"gltf", "model/gltf+json"},
    Row{"gz", "application/gzip"},
    Row{"htm", "text/html; charset=utf-8"},
    Row{"html", "text/html; charset=utf-8"},
    Row{"ico", "image/vnd.microsoft.icon"},
    Row{"ics", "text/calendar; charset=utf-8"},
    Row{"jpeg", "image/jpeg"},
    Row{"jpg", "image/jpeg"},
    Row{"js", "text/javascript; charset=utf-8"},
    Row{"json", "application/json"},
    Row{"jsonld", "application/ld+json"},
    Row{"jxl", "image/jxl"},
    Row{"m3u8", "application/vnd.apple.mpegurl"},
    Row{"m4a", "audio/mp4"},
    Row{"m4v", "video/mp4"},
    Row{"map", "application/json"},
    Row{"md", "text/markdown; charset=utf-8"},
    Row{"mjs", "text/javascript; charset=utf-8"},
    Row{"mov", "video/quicktime"},
    Row{"mp3", "audio/mpeg"},
    Row{"mp4", "video/mp4"},
    Row{"mpeg", "video/mpeg"},
    Row{"mpg", "video/mpeg"},
    Row{"ndjson", "application/x-ndjson"},
    Row{"odp", "application/vnd.oasis.opendocument.presentation"},
    Row{"ods", "application/vnd.oasis.opendocument.spreadsheet"},
    Row{"odt", "application/vnd.oasis.opendocument.text"},
    Row{"oga", "audio/ogg"},
    Row{"ogg", "audio/ogg"},
    Row{"ogv", "video/ogg"},
    Row{"opus", "audio/ogg"},
    Row{"otf", "font/otf"},
    Row{"pdf", "application/pdf"},
    Row{"png", "image/png"},
    Row{"ppt", "application/vnd.ms-powerpoint"},
    Row{"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    Row{"rss", "application/rss+xml; charset=utf-8"},
    Row{"rtf", "application/rtf"},
    Row{"svg", "image/svg+xml"},
    Row{"svgz", "application/gzip"},  // what it is; a browser shows one only as Content-Encoding
    Row{"tar", "application/x-tar"},
    Row{"tif", "image/tiff"},
    Row{"tiff", "image/tiff"},
    Row{"toml", "application/toml"},
    Row{"ts", "video/mp2t"},
    Row{"ttc", "font/collection"},
    Row{"ttf", "font/ttf"},
    Row{"txt", "text/plain; charset=utf-8"},
    Row{"vtt", "text/vtt; charset=utf-8"},
    Row{"wasm", "application/wasm"},
    Row{"wav", "audio/wav"},
    Row{"weba", "audio/webm"},
    Row{"webm", "video/webm"},
    Row{"webmanifest", "application/manifest+json"},
    Row{"webp", "image/webp"},
    Row{"woff", "font/woff"},
    Row{"woff2", "font/woff2"},
    Row{"xhtml", "application/xhtml+xml"},
    Row{"xls", "application/vnd.ms-excel"},
    Row{"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    Row{"xml", "application/xml"},
    Row{"yaml", "application/yaml"},
    Row{"yml", "application/yaml"},
    Row{"zip", "application/zip"},
    Row{"zst", "application/zstd"},
};

constexpr bool Before(const Row& a, const Row& b) {
  return a.extension < b.extension;
}
static_assert(std::is_sorted(kTypes.begin(), kTypes.end(), Before));

constexpr std::size_t LongestExtension() {
  std::size_t longest = 0;
  for (const Row& row : kTypes)
    longest = std::max(longest, row.extension.size());
  return longest;
}

bool StartsWithIgnoreCase(std::string_view text, std::string_view start) {
  return EqualsIgnoreCase(text.substr(0, start.size()), start);
}
bool EndsWithIgnoreCase(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && EqualsIgnoreCase(text.substr(text.size() - end.size()), end);
}

}  // namespace

std::string_view MediaTypeOf(std::string_view file_name) {
  const std::size_t point = file_name.find_last_of("./");
  if (point == file_name.npos || file_name[point] == '/') return kUnknownType;
  const std::string_view extension = file_name.substr(point + 1);
  if (extension.size() > LongestExtension()) return kUnknownType;
  const std::string lowered = Lowered(extension);
  const auto* row = std::lower_bound(kTypes.begin(), kTypes.end(), Row{lowered, {}}, Before);
  return row != kTypes.end() && row->extension == lowered ? row->type : kUnknownType;
}

bool IsMediaRange(std::string_view text) {
  const auto is_name = [](std::string_view part) {
    return IsToken(part) && part.find('*') == part.npos;
  };
  if (text.starts_with("*+")) return is_name(text.substr(2));
  const std::size_t slash = text.find('/');
  if (slash == text.npos || !is_name(text.substr(0, slash))) return false;
  const std::string_view rest = text.substr(slash + 1);
  return rest == "*" || is_name(rest);
}

bool IsCompressible(std::string_view content_type, std::span<const std::string> ranges) {
  const std::string_view type = Trimmed(content_type.substr(0, content_type.find(';')));
  if (EqualsIgnoreCase(type, "text/event-stream")) return false;
  return std::any_of(ranges.begin(), ranges.end(), [&](std::string_view range) {
    if (range.starts_with('*')) return EndsWithIgnoreCase(type, range.substr(1));
    if (range.ends_with('*')) return StartsWithIgnoreCase(type, range.substr(0, range.size() - 1));
    return EqualsIgnoreCase(type, range);
  });
}

}  // namespace onebox::http
