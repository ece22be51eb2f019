// Any text as onebox.toml: no crash, every mistake has its place, and what is kept is right.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "main/reference.h"
#include "main/toml_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using onebox::main::ReadToml;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto layer = ReadToml(text, "onebox.toml", "/srv");
  for (const auto& mistake : layer.mistakes) {
    CHECK(mistake.starts_with("onebox.toml:"));
  }
  // What is in force can be printed, and read again as the same.
  auto settings = onebox::main::Defaults("/srv");
  onebox::main::Overlay(settings, layer.settings);
  const auto again = ReadToml(PrintSettings(settings), "onebox.toml", "/srv");
  CHECK(again.mistakes.empty());
  for (const auto& [name, elements] : again.settings) {
    CHECK(elements.size() == settings.at(name).size());
    for (std::size_t i = 0; i < elements.size(); ++i) {
      if (elements[i].name.empty()) CHECK(elements[i].text == settings.at(name)[i].text);
    }
  }
  return 0;
}
