#pragma once
// Child processes: started, signalled, reaped.

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "os/fd.h"
#include "os/privileges.h"

namespace onebox::os {

using Variables = std::map<std::string, std::string>;

// The environment of this process.
Variables Environment();

// How a process ended.
struct ExitStatus {
  int status = 0;  // of exit(), where `signal` is 0
  int signal = 0;  // that killed it

  // "exit status 3", "killed by SIGSEGV"
  std::string text() const;
};

// A process that is our child and that we have not yet reaped; the pid stays its own until then.
// Those that we start die (SIGKILL) with the thread that started them, begin with no signal blocked
// or handled, and are in a process group of their own: Ctrl-C on the terminal is the supervisor's
// alone.
class Child {
 public:
  Child(pid_t pid, Fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}

  pid_t pid() const { return pid_; }
  const Fd& pidfd() const { return pidfd_; }  // readable when the process has ended
  // Whether it is a child of this process, as one that was adopted becomes.
  bool is_ours() const;

  // No error where the process has ended already.
  void Signal(int number) const;
  // How it ended, once; nothing while it runs.
  std::optional<ExitStatus> Reap();

 private:
  pid_t pid_;
  Fd pidfd_;
};

inline constexpr int kControlFd = 3;  // of a program that is given a control socket
inline constexpr int kMemoryFd = 4;   // of one that is given memory

struct Command {
  std::vector<std::string> words;  // the first is the program's path, or a name in PATH
  Variables environment;           // the whole of it
  Fd control = {};                 // the program's kControlFd; not valid: it has none
  int memory = -1;                 // its kMemoryFd, which stays ours too; -1: it has none
  Confinement confinement = {};
};

struct Spawned {
  Child child;
  Fd output;  // what it writes to stdout and stderr; non-blocking
};
// Starts a program; that it cannot be executed is an Error here, not an exit status there.
Result<Spawned> Spawn(const Command& command);

// Runs `role` in a copy of this process, which ends with its value and never returns from here.
// REQUIRES: this process has one thread.
Result<Child> Fork(const std::function<int()>& role);

// From now on the orphans among our descendants become our children (PR_SET_CHILD_SUBREAPER), so a
// child may fork others for us. Each is to be reaped: by Adopt(), or by ReapStrangers().
void AdoptOrphans();
// A descendant that has become our child, or is about to.
Result<Child> Adopt(pid_t pid);
// Reaps what has ended and is none of `ours`.
void ReapStrangers(std::span<const pid_t> ours);
// Forks a child of `ancestor`, which adopts orphans: its pid, and 0 in the child, which has a process
// group of its own, dies with `ancestor`, and ends at once where that is gone. As with fork(), other
// threads of this process are not in it.
Result<pid_t> ForkChildOf(pid_t ancestor);

// A pipe for what a child writes: its reader does not block.
struct OutputPipe {
  Fd reader, writer;
};
Result<OutputPipe> NewOutputPipe();

// Another program in this process: its children and the descriptors that are kept are that one's.
// Returns only where that cannot be.
Error Execute(const Command& command);
// Whether a descriptor is there after Execute(). Those that are opened here are not.
void KeepAtExecute(int descriptor);
void CloseAtExecute(int descriptor);

pid_t ThisProcess();
// Whether there is a process of that number, whoever's it is; one that was not yet reaped counts.
bool IsAlive(pid_t pid);

// Whether it is a file that this process may execute.
bool IsExecutable(const std::string& path);

// The first such file of that name in the folders of `path`, which colons separate; empty where there
// is none.
std::string FindInPath(const std::string& name, std::string_view path);

// Lets this process have as many descriptors open as the system allows it.
void RaiseDescriptorLimit();

// Up to 64 KiB that wait in a non-blocking pipe or socket; empty where none do or at its end.
std::string ReadAvailable(const Fd& fd);

}  // namespace onebox::os
