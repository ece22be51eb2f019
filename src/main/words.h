#pragma once
// Words, taken apart.

#include <string>
#include <string_view>
#include <vector>

namespace onebox::main {

// The parts between the separators, without blanks at their ends; empty text has none.
std::vector<std::string_view> SplitWords(std::string_view text, char separator);

// An address to listen on, "https://ADDR:PORT": what remains without the scheme, and whether it is https.
std::string_view WithoutScheme(std::string_view address);
inline bool IsHttps(std::string_view address) {
  return address.starts_with("https://");
}

// As TOML has it between quotes, so that a message or a file stays one line: "a\u000ab".
std::string Quoted(std::string_view text);

}  // namespace onebox::main
