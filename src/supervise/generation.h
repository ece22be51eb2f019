#pragma once
// What one start or reload has made: settings, and the processes that serve by them.

#include <string>

#include "supervise/supervisor.h"

namespace onebox::supervise {

// A reload makes the next one, and takes it over when its first worker is ready. It shares the front
// with the one before where the front's settings are the same.
struct Generation {
  unsigned number = 1;
  BoxSettings settings;
  Process* front = nullptr;           // of the Box, as the zygote
  Process* zygote = nullptr;          // none: each worker imports the app by itself
  std::string app = {}, python = {};  // for people: "Flask 2.2.2", "3.11.2"
  std::string preloaded = {};         // likewise: "preloaded in 0.9 s, 61 MiB shared", or empty
};

}  // namespace onebox::supervise
