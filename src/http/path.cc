#include "http/path.h"

#include <algorithm>
#include <cstddef>

#include "http/characters.h"

namespace onebox::http {
namespace {

// A segment that is "." or "..", after decoding.
bool HasDotSegment(std::string_view path) {
  for (std::size_t at = path.find("/."); at != path.npos; at = path.find("/.", at + 1)) {
    std::string_view rest = path.substr(at + 2);
    if (rest.starts_with('.')) rest.remove_prefix(1);
    if (rest.empty() || rest.front() == '/') return true;
  }
  return false;
}

std::optional<RefusalKind> Decode(std::string_view raw, std::string& decoded, NormalPath& normal) {
  decoded.clear();
  decoded.reserve(raw.size());
  for (std::size_t at = 0; at < raw.size(); ++at) {
    if (raw[at] != '%') {
      decoded += raw[at];
      continue;
    }
    if (raw.size() - at < 3) return RefusalKind::kBadPercentEncoding;
    const auto high = HexValue(raw[at + 1]);
    const auto low = HexValue(raw[at + 2]);
    if (!high || !low) return RefusalKind::kBadPercentEncoding;
    const char byte = static_cast<char>(*high << 4 | *low);
    normal.encoded_slash |= byte == '/';
    decoded += byte;
    at += 2;
  }
  return std::nullopt;
}

// RFC 3986 5.2.4, in place: what is written never overtakes what is read. False where ".." has
// nothing to take away.
bool ResolveDotSegments(std::string& path) {
  std::size_t written = 0;
  for (std::size_t at = 0; at < path.size();) {  // at a "/"
    const std::size_t end = std::min(path.find('/', at + 1), path.size());
    const std::string_view segment(path.data() + at + 1, end - at - 1);
    const bool last = end == path.size();
    if (segment == "..") {
      if (written == 0) return false;
      written = path.rfind('/', written - 1);
    }
    if (segment == "." || segment == "..") {
      if (last) path[written++] = '/';  // "/a/." is the folder "/a/"
    } else {
      std::copy(path.begin() + static_cast<std::ptrdiff_t>(at),
                path.begin() + static_cast<std::ptrdiff_t>(end),
                path.begin() + static_cast<std::ptrdiff_t>(written));
      written += end - at;
    }
    at = end;
  }
  path.resize(written);
  return true;
}

}  // namespace

std::optional<RefusalKind> NormalizePath(std::string_view raw,
                                         std::string& storage,
                                         NormalPath& normal) {
  normal = {.path = raw};
  if (!raw.starts_with('/')) return RefusalKind::kBadTarget;
  if (raw.find('%') != raw.npos) {
    if (const auto refused = Decode(raw, storage, normal)) return refused;
    normal.path = storage;
  }
  if (normal.path.find('\0') != raw.npos) return RefusalKind::kNulInPath;
  normal.backslash = normal.path.find('\\') != raw.npos;
  if (!HasDotSegment(normal.path)) return std::nullopt;
  if (normal.path.data() == raw.data()) storage.assign(raw);
  if (!ResolveDotSegments(storage)) return RefusalKind::kPathAboveRoot;
  normal.resolved = true;
  normal.path = storage;
  return std::nullopt;
}

}  // namespace onebox::http
