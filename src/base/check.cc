#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace onebox {
namespace {

thread_local constinit std::string_view current_story;
constinit std::string_view process_role = "onebox";

int Length(std::string_view text) {
  return static_cast<int>(text.size());
}

}  // namespace

CrashStory::CrashStory(std::string_view doing) : outer_(current_story) {
  current_story = doing;
}

CrashStory::~CrashStory() {
  current_story = outer_;
}

void SetCrashRole(std::string_view role) {
  process_role = role;
}

void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr,
               "onebox %.*s: CHECK failed: %s (%s:%d)%s%.*s\n",
               Length(process_role),
               process_role.data(),
               condition,
               file,
               line,
               current_story.empty() ? "" : " while: ",
               Length(current_story),
               current_story.data());
  std::abort();
}

}  // namespace onebox
