#pragma once
// What a supervisor leaves to the program that takes its place: the same process and children, another
// image of the program (execve).

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "os/fd.h"
#include "supervise/process.h"

namespace onebox::supervise {

// Between versions: fields are added, never changed. See docs/internals/succession.md.
struct Succession {
  struct Left {
    Role role = Role::kAppWorker;
    Life life = Life::kReady;
    int number = 0;
    int pid = 0;
    bool goes = false;
    std::string app = {};  // of a worker or zygote, by name
    bool hooks = false;
    int control = -1;  // descriptors, as below; -1: none
    int output = -1;
    std::string attach_name = {};
    std::vector<int> attach = {};
    std::size_t first_lane = 0;
  };

  unsigned generation = 1;
  std::vector<std::pair<std::string, int>> listeners;  // as they were asked for
  int state_lock = -1;
  int control = -1;
  int broker = -1;          // the listener of its socket
  std::vector<int> askers;  // who waits for the upgrade's end
  std::vector<Left> processes;
};

// A file without a name that holds it.
Result<os::Fd> Leave(const Succession& succession);
// An Error where the file is not what Leave() writes.
Result<Succession> Inherit(const os::Fd& file);

}  // namespace onebox::supervise
