#pragma once
// CHECK: an assertion that stays in release, and leaves its story when it fails.

#include <string_view>

namespace onebox {

// What this thread is doing, for the crash report; the text must outlive the scope.
// Nested scopes restore the outer story.
class CrashStory {
 public:
  explicit CrashStory(std::string_view doing);
  ~CrashStory();
  CrashStory(const CrashStory&) = delete;
  CrashStory& operator=(const CrashStory&) = delete;

 private:
  std::string_view outer_;
};

// Names the process in crash reports ("front", "supervisor"); the text must be a literal.
void SetCrashRole(std::string_view role);

// Writes role, story and the failed condition to standard error, then aborts.
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);

}  // namespace onebox

// Bugs end the process: the supervisor starts a new one, and the front retries what it may.
#define CHECK(condition)                               \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::onebox::CheckFailed(#condition, __FILE__, __LINE__))
