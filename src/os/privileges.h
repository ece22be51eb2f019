#pragma once
// What a process may do: its user, its groups, its capabilities.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/result.h"

namespace onebox::os {

// A user with all groups that he is in.
struct User {
  std::string name = {}, home = {};  // empty: the system does not know him by name
  uid_t id = 0;
  gid_t group = 0;
  std::vector<gid_t> groups = {};
};

// By name or number; `group`, by name or number, instead of the one that the system gives him, where it
// is not empty. An Error where there is no such user or group. REQUIRES: this process has one thread.
Result<User> FindUser(const std::string& user, const std::string& group);

// What a child of ours becomes.
struct Confinement {
  std::optional<User> user = {};     // nothing: whoever we are
  std::optional<mode_t> umask = {};  // nothing: as ours
  bool no_new_privileges = true;     // programs that it starts have no more rights than it
};

// Makes this process so, for good; where it stays root it keeps its capabilities, else none is left. In
// a child that dies with its parent, which it goes on to do. REQUIRES: this process has one thread.
Status Confine(const Confinement& confinement);

// For a root that has others do the work as another user: keeps what it needs to start and signal
// them, to listen on any port, and to read settings and open logs wherever they are.
Status KeepWhatASupervisorNeeds();

// Makes an empty file of mode 0640 that is the user's, where none is; what is there stays as it is.
Status MakeFileFor(const User& user, const std::string& path);

// The folder, where it is not there, with mode 0750 and the user's; and those above it, which others
// may enter (0751). What is there stays as it is.
Status MakeFoldersFor(const User& user, const std::string& path);

// Opens standard output and error again where they are pipes or terminals, so that this process alone
// has them, and whoever it becomes need not be allowed to open them.
void OwnStandardOutput();

}  // namespace onebox::os
