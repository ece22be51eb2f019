#pragma once
// What holds whatever an operator writes and a client or app says of places: for the fuzz target, and its
// inputs as tests.

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/ascii.h"
#include "base/check.h"
#include "front/host_table.h"
#include "front/location_template.h"
#include "front/protected_file.h"
#include "http/path.h"
#include "http/request_head.h"

namespace onebox::front::properties {

inline std::string_view TakeLine(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(text.size(), end + 1));
  return line;
}

// The text up to where the path begins; of a template as it is written.
inline std::string_view AuthorityOf(std::string_view url) {
  const std::size_t scheme = url.find("://");
  return url.substr(0, url.find_first_of("/?#$", scheme == url.npos ? 0 : scheme + 3));
}

// A template, then host, path and query of a request: it leads to no other host than the template says.
inline void CheckLocation(std::string_view text) {
  const auto made = LocationTemplate::Parse(TakeLine(text));
  const std::string_view written = text;
  std::string_view host = TakeLine(text);
  std::string storage;
  http::NormalPath path;
  const bool asked = !http::NormalizePath(TakeLine(text), storage, path);
  if (!made.ok() || !asked || written.empty()) return;
  if (!http::IsValidHost(host)) host = {};
  const std::size_t rest = std::min<std::size_t>(path.path.size(), 1);
  const std::string location = made.value().For(
      {.host = host, .path = path.path, .rest = path.path.substr(rest), .query = text});
  for (const char c : location)
    CHECK(c > ' ' && c < '\x7f' && c != '\\' && c != '"' && c != '<');
  const bool local = location.starts_with('/');
  CHECK(local || location.starts_with("http://") || location.starts_with("https://"));
  CHECK(!location.starts_with("//"));
  if (local || made.value().has_host()) return;
  const LocationParts nothing{.host = {}, .path = "/", .rest = {}, .query = {}};
  CHECK(AuthorityOf(location) == AuthorityOf(made.value().For(nothing)));
}

// Patterns of hosts, a line each, and in the last one the host that a request names: what is found is what
// looking at one after the other finds.
inline void CheckHosts(std::string_view text) {
  HostTable table;
  std::vector<std::string> patterns;
  while (text.find('\n') != text.npos && patterns.size() < 16) {
    const auto pattern = HostTable::Normal(TakeLine(text));
    if (!pattern || !table.Add(*pattern, static_cast<std::uint32_t>(patterns.size()))) continue;
    CHECK(HostTable::Normal(*pattern) == pattern);
    patterns.push_back(*pattern);
  }
  if (!http::IsValidHost(text)) return;
  std::string host = Lowered(WithoutPort(text));
  if (host.ends_with('.')) host.pop_back();
  const std::string* best = nullptr;
  const auto is_better = [&](const std::string& pattern) {
    if (host.size() > kHostBytesMax || host.empty()) return pattern == "*";
    if (best != nullptr && *best == host) return false;
    if (pattern == host) return true;
    const bool below =
        pattern.starts_with("*.") && std::string_view(host).ends_with(pattern.substr(1));
    return (pattern == "*" || below) && (best == nullptr || pattern.size() > best->size());
  };
  for (const std::string& pattern : patterns)
    if (is_better(pattern)) best = &pattern;
  const auto found = table.Find(text);
  CHECK(found.has_value() == (best != nullptr));
  if (best != nullptr) CHECK(patterns[*found] == *best);
}

// The field by which an app names a file: by a path it is in a protected folder and never above it. What it
// names on the disk is looked for below the folder by the kernel (os::OpenBelow).
inline void CheckProtected(std::string_view text) {
  const std::vector<ProtectedFolder> folders = {
      {.prefix = "/protected/", .files = {.folder = "/srv/files"}},
      {.prefix = "/other/", .files = {.folder = "/srv/other/"}}};
  for (const std::string_view name : {"X-Accel-Redirect", "x-sendfile"}) {
    const auto file = LocateFile(folders, {name, text});
    if (!file) continue;
    CHECK(file->files == &folders[0].files || file->files == &folders[1].files);
    if (name == "x-sendfile") {
      CHECK(text.ends_with(file->name) && text.starts_with("/srv/"));
      continue;
    }
    std::string_view left = file->name;
    while (!left.empty()) {
      const std::string_view segment = left.substr(0, left.find('/'));
      CHECK(segment != ".." && segment != "." && segment.find('\0') == segment.npos);
      left.remove_prefix(std::min(left.size(), segment.size() + 1));
    }
  }
}

// The first byte chooses.
inline void CheckRouting(std::string_view data) {
  if (data.empty()) return;
  const std::string_view text = data.substr(1);
  switch (data[0]) {
    case 'l':
      return CheckLocation(text);
    case 'h':
      return CheckHosts(text);
    default:
      return CheckProtected(text);
  }
}

}  // namespace onebox::front::properties
