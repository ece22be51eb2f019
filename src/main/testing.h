#pragma once
// What tests of the configuration begin with.

#include <string_view>

#include <gmock/gmock.h>

#include "main/config.h"
#include "main/toml_file.h"

namespace onebox::main {

// Of an onebox.toml that is right in its form, with all that it does not say.
inline Settings SettingsOf(std::string_view toml) {
  Settings settings = Defaults("/");
  const Layer layer = ReadToml(toml, "onebox.toml", "/");
  EXPECT_THAT(layer.mistakes, testing::IsEmpty());
  Overlay(settings, layer.settings);
  FillIn(settings, {});
  return settings;
}

}  // namespace onebox::main
