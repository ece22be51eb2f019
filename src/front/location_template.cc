#include "front/location_template.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/ascii.h"
#include "front/host_table.h"
#include "http/characters.h"

namespace onebox::front {
namespace {

// RFC 3986 3.3: pchar without "%", and "/".
bool IsOfPath(char c) {
  constexpr std::string_view kSigns = "-._~!$&'()*+,;=:@/";
  return IsAlpha(c) || IsDigit(c) || kSigns.find(c) != kSigns.npos;
}

// 3.4. What is there is encoded already.
bool IsOfQuery(char c) {
  return IsOfPath(c) || c == '?' || c == '%';
}

void AppendEncoded(std::string& out, std::string_view text, bool (*is_plain)(char)) {
  for (const char c : text) {
    if (is_plain(c)) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
}

bool IsOfUrl(char c) {
  constexpr std::string_view kSigns = "?#[]%";
  return IsOfPath(c) || kSigns.find(c) != kSigns.npos;
}

}  // namespace

Result<LocationTemplate> LocationTemplate::Parse(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, Part>, 4> kParts = {
      {{"host", Part::kHost},
       {"path", Part::kPath},
       {"rest", Part::kRest},
       {"query", Part::kQuery}}};
  std::vector<Piece> pieces;
  const bool names_a_host = text.starts_with("//");
  std::string plain;  // of what is read so far: each part is a "$", so that its place shows
  const auto literal = [&](char c) {
    if (pieces.empty() || !std::holds_alternative<std::string>(pieces.back()))
      pieces.emplace_back(std::string());
    std::get<std::string>(pieces.back()) += c;
    plain += c;
  };
  while (!text.empty()) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c != '$') {
      if (!IsOfUrl(c)) return OperatorError("a character in it is none of an URL");
      literal(c);
      continue;
    }
    if (text.starts_with('$')) {
      text.remove_prefix(1);
      literal('$');
      continue;
    }
    const auto end = std::find_if_not(text.begin(), text.end(), IsAlpha);
    const std::string_view name = text.substr(0, static_cast<std::size_t>(end - text.begin()));
    const auto part = std::find_if(
        kParts.begin(), kParts.end(), [name](const auto& one) { return one.first == name; });
    if (part == kParts.end()) {
      return OperatorError(
          fmt::format("there is no ${}: there are $host, $path, $rest and $query", name));
    }
    text.remove_prefix(name.size());
    const std::size_t scheme = plain.find("://");
    const bool in_host =
        scheme != plain.npos && plain.find_first_of("/?#", scheme + 3) == plain.npos;
    if (in_host && part->second == Part::kRest) {
      return OperatorError("a \"/\" is missing before $rest, which would be a part of the host");
    }
    // Where a request has none, what follows would be a part of the host.
    if (in_host && part->second == Part::kQuery && !text.empty()) {
      return OperatorError("a \"/\" is missing before $query, or something follows it");
    }
    if (plain.empty() && part->second != Part::kPath) {
      return OperatorError(fmt::format("it must not begin with ${}", name));
    }
    pieces.emplace_back(part->second);
    if (part->second == Part::kHost) plain += '$';
    if (part->second == Part::kPath) plain += '/';  // which ends the host
  }
  const bool is_url = plain.starts_with("http://") || plain.starts_with("https://");
  if (!is_url && (names_a_host || !plain.starts_with('/'))) {
    return OperatorError("it must begin with \"http://\", \"https://\", \"/\" or \"$path\"");
  }
  const std::size_t host = plain.find("://") + 3;
  if (is_url && (host == plain.size() ||
                 std::string_view("/?#").find(plain[host]) != std::string_view::npos)) {
    return OperatorError("it names no host");
  }
  return LocationTemplate(std::move(pieces));
}

bool LocationTemplate::Has(Part part) const {
  return std::find(pieces_.begin(), pieces_.end(), Piece(part)) != pieces_.end();
}

std::string LocationTemplate::For(const LocationParts& parts) const {
  std::string location;
  for (const Piece& piece : pieces_) {
    if (const auto* text = std::get_if<std::string>(&piece)) {
      location += *text;
      continue;
    }
    switch (std::get<Part>(piece)) {
      case Part::kHost:
        location += WithoutPort(parts.host);
        break;
      case Part::kPath:
        AppendEncoded(location, parts.path, IsOfPath);
        break;
      case Part::kRest:
        AppendEncoded(location, parts.rest, IsOfPath);
        break;
      case Part::kQuery:
        if (parts.query.empty()) break;
        location += '?';
        AppendEncoded(location, parts.query, IsOfQuery);
        break;
    }
  }
  // "//other.example" would be a host. Browsers take "\" for "/", but that is encoded above.
  const std::size_t slashes = std::min(location.find_first_not_of('/'), location.size());
  if (slashes > 1) location.erase(0, slashes - 1);
  return location;
}

}  // namespace onebox::front
