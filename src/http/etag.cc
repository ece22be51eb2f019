#include "http/etag.h"

#include <algorithm>

#include "http/characters.h"

namespace onebox::http {
namespace {

// etagc: VCHAR without the quote, or obs-text.
bool IsEntityTagCharacter(char c) {
  return c != '"' && (Is(kVisibleCharacter, c) || static_cast<unsigned char>(c) >= 0x80);
}

void SkipBlanks(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
}

// Takes a tag off the front of `text`, or leaves it as it is.
std::optional<EntityTag> TakeOne(std::string_view& text) {
  EntityTag tag;
  std::string_view rest = text;
  tag.weak = rest.starts_with("W/");
  if (tag.weak) rest.remove_prefix(2);
  if (!rest.starts_with('"')) return std::nullopt;
  rest.remove_prefix(1);
  const auto* end = std::find_if_not(rest.begin(), rest.end(), IsEntityTagCharacter);
  if (end == rest.end() || *end != '"') return std::nullopt;
  tag.opaque = rest.substr(0, static_cast<std::size_t>(end - rest.begin()));
  rest.remove_prefix(tag.opaque.size() + 1);
  text = rest;
  return tag;
}

}  // namespace

std::optional<EntityTag> ParseEntityTag(std::string_view text) {
  const auto tag = TakeOne(text);
  return text.empty() ? tag : std::nullopt;
}

void AppendEntityTag(std::string& out, const EntityTag& tag) {
  out.append(tag.weak ? "W/\"" : "\"");
  out.append(tag.opaque);
  out.push_back('"');
}

std::optional<EntityTag> TakeEntityTag(std::string_view& list) {
  std::string_view rest = list;
  SkipBlanks(rest);
  while (rest.starts_with(',')) {  // empty elements: RFC 9110 5.6.1.2
    rest.remove_prefix(1);
    SkipBlanks(rest);
  }
  if (rest.empty()) {
    list = rest;
    return std::nullopt;
  }
  const auto tag = TakeOne(rest);
  SkipBlanks(rest);
  if (!tag || !(rest.empty() || rest.front() == ',')) return std::nullopt;
  list = rest;
  return tag;
}

}  // namespace onebox::http
