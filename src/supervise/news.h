#pragma once
// What the front tells the supervisor (heritage.h has the messages).

#include <optional>
#include <string>
#include <string_view>

namespace onebox::supervise {

struct News {
  enum class Kind : unsigned char {
    kFrontReady,
    kFrontAlive,
    kWorkerReady,
    kWorkerStuck,
    kWorkerSpent,
    kWorkerRetired,
  };

  Kind kind = Kind::kFrontAlive;
  int worker = 0;      // its number, of the last four kinds
  int pid = 0;         // of kWorkerReady; 0: not told
  std::string reason;  // of kWorkerStuck
  bool gil = false;    // of kWorkerStuck: nothing in it runs, so nothing is waited for
  std::string app;     // of kWorkerReady: "Flask 2.2.2", may be empty
  std::string python;  // "3.11.2", may be empty
};

// Nothing where it is none of these.
std::optional<News> ParseNews(std::string_view message);

}  // namespace onebox::supervise
