#pragma once
// Replays the inputs of a fuzz target, for the tests of any room.

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "base/check.h"

namespace onebox {

// The seeds in fuzz/<target>/ and what fuzzing found in fuzz/<target>/regression/: each is checked whole
// and cut at each byte; a property that does not hold aborts and names the file. Gives their number.
// Tests run in the repository's folder (cmake/room.cmake).
inline int ReplayFuzzed(std::string_view target, void (*check)(std::string_view)) {
  int replayed = 0;
  const std::filesystem::path folder = std::filesystem::path("fuzz") / target;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const std::string name = entry.path().string();
    const CrashStory story(name);
    std::ifstream file(name, std::ios::binary);
    const std::string input{std::istreambuf_iterator<char>(file), {}};
    for (std::size_t size = 0; size <= input.size(); ++size)
      check({input.data(), size});
    ++replayed;
  }
  return replayed;
}

}  // namespace onebox
