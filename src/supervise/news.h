#pragma once
// What a fork tells the supervisor (heritage.h and broker/control.h have the messages).

#include <optional>
#include <string>
#include <string_view>

namespace onebox::supervise {

struct News {
  enum class Kind : unsigned char {
    kReady,  // who says it
    kAlive,
    kTasksWanted,
    kCertificate,
    kWorkerReady,
    kWorkerStuck,
    kWorkerSpent,
    kWorkerRetired,
  };

  Kind kind = Kind::kAlive;
  int worker = 0;              // its number, of the last four kinds
  int pid = 0;                 // of kWorkerReady; 0: not told
  std::string reason;          // of kWorkerStuck
  bool gil = false;            // of kWorkerStuck: nothing in it runs, so nothing is waited for
  std::string app;             // of kWorkerReady: "Flask 2.2.2", may be empty
  std::string python;          // "3.11.2", may be empty
  std::string upstreams = {};  // of kAlive: what the front knows of other servers, a JSON array
  std::string apps = {};       // of kAlive: how it is with each app, likewise
  std::string name = {};       // of kCertificate: what it is for
  std::string told = {};       // of kCertificate: all that was said of it, a JSON object
};

// Nothing where it is none of these.
std::optional<News> ParseNews(std::string_view message);

}  // namespace onebox::supervise
