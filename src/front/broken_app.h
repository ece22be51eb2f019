#pragma once
// What is answered in the place of an app that cannot be loaded, while its files are watched.

#include <cstddef>
#include <string>
#include <string_view>

namespace onebox::front {

inline constexpr std::size_t kBrokenBytesMax = 64 << 10;  // of the story

struct BrokenApp {
  std::string story;   // what the app has said, and why it was given up
  std::string page;    // HTML: the story, and a script that loads the page anew when it is another
  std::string mark;    // another for another story
  std::string fields;  // of the head, whole lines; one has the mark, by which the script knows it
};

BrokenApp MakeBrokenApp(std::string story);

// The same for programs.
std::string BrokenAppJson(const BrokenApp& broken, std::string_view request_id);

}  // namespace onebox::front
