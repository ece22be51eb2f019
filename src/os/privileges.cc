#include "os/privileges.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/ascii.h"
#include "os/error.h"
#include "os/fd.h"

namespace onebox::os {
namespace {

constexpr uid_t kRoot = 0;
constexpr std::uint64_t kIdMax = 0xFFFF'FFFE;  // the one above means nobody at all to the kernel
constexpr int kOrphaned = 125;                 // as in BeginChild()

// Each is used: by signals to children of another user; by becoming that user without a way back; by
// listening below 1024 in a reload; by settings, apps and logs in folders of that user, and by logs that
// are given to him; by reading how much memory his processes have.
constexpr std::array kKept = {CAP_KILL,
                              CAP_SETUID,
                              CAP_SETGID,
                              CAP_SETPCAP,
                              CAP_NET_BIND_SERVICE,
                              CAP_DAC_OVERRIDE,
                              CAP_CHOWN,
                              CAP_SYS_PTRACE};

using Capabilities = std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3>;

Result<Capabilities> ReadCapabilities() {
  __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
  Capabilities now{};
  if (::syscall(SYS_capget, &head, now.data()) != 0) return SystemError("capget", errno);
  return now;
}

Status SetCapabilities(const Capabilities& wanted) {
  __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
  if (::syscall(SYS_capset, &head, wanted.data()) != 0) return SystemError("capset", errno);
  return Done();
}

// Asks for nothing where there is nothing to drop: a service's filter of system calls may forbid it.
Status DropCapabilities() {
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  const Capabilities now = TRY(ReadCapabilities());
  const bool any = std::any_of(now.begin(), now.end(), [](const __user_cap_data_struct& word) {
    return word.permitted != 0 || word.inheritable != 0;
  });
  return any ? SetCapabilities({}) : Done();
}

bool IsKept(int capability) {
  return std::find(kKept.begin(), kKept.end(), capability) != kKept.end();
}

// What no program that is executed from here on can get.
template <typename Predicate>
Status DropFromBounds(const Predicate& drops) {
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability) {
    if (!drops(capability) || ::prctl(PR_CAPBSET_READ, capability) == 0) continue;
    if (::prctl(PR_CAPBSET_DROP, capability) != 0) return SystemError("PR_CAPBSET_DROP", errno);
  }
  return Done();
}

Status Become(const User& user) {
  if (::setgroups(user.groups.size(), user.groups.data()) != 0) {
    return SystemError("setgroups", errno);
  }
  if (::setresgid(user.group, user.group, user.group) != 0) return SystemError("setgid", errno);
  if (::setresuid(user.id, user.id, user.id) != 0) return SystemError("setuid", errno);
  return Done();
}

// NOLINTBEGIN(concurrency-mt-unsafe): the supervisor asks, which has one thread
Result<gid_t> FindGroup(const std::string& group) {
  if (const ::group* found = ::getgrnam(group.c_str())) return found->gr_gid;
  if (const auto number = ParseDecimal(group, kIdMax)) return static_cast<gid_t>(*number);
  return OperatorError(fmt::format("there is no group \"{}\"", group));
}

}  // namespace

Result<User> FindUser(const std::string& user, const std::string& group) {
  User found;
  const auto number = ParseDecimal(user, kIdMax);
  const ::passwd* entry = ::getpwnam(user.c_str());
  if (entry == nullptr && number) entry = ::getpwuid(static_cast<uid_t>(*number));
  // NOLINTEND(concurrency-mt-unsafe)
  if (entry == nullptr && !number) {
    return OperatorError(fmt::format("there is no user \"{}\"", user));
  }
  if (entry == nullptr && group.empty()) {
    return OperatorError(
        fmt::format("user {} has no entry in /etc/passwd: give a group too", user));
  }
  if (entry != nullptr) {
    found = {.name = entry->pw_name,
             .home = entry->pw_dir,
             .id = entry->pw_uid,
             .group = entry->pw_gid,
             .groups = {}};
  } else {
    found.id = static_cast<uid_t>(*number);
  }
  if (!group.empty()) found.group = TRY(FindGroup(group));
  found.groups = {found.group};
  if (found.name.empty()) return found;
  int count = 0;  // asked first how many there are
  ::getgrouplist(found.name.c_str(), found.group, nullptr, &count);
  found.groups.resize(static_cast<std::size_t>(count));
  if (::getgrouplist(found.name.c_str(), found.group, found.groups.data(), &count) < 0) {
    return OperatorError(fmt::format("the groups of user \"{}\" cannot be read", user));
  }
  found.groups.resize(static_cast<std::size_t>(count));
  return found;
}

Status Confine(const Confinement& confinement) {
  // Dying with the parent ends with a change of user. Until then it holds, so this is still he.
  const pid_t parent = ::getppid();
  if (confinement.umask) ::umask(*confinement.umask);
  if (confinement.user) {
    // Where programs may have more rights than who starts them, the bounds would take those away.
    if (confinement.no_new_privileges) TRY(DropFromBounds([](int) { return true; }));
    TRY(Become(*confinement.user));
  }
  if (::geteuid() != kRoot) TRY(DropCapabilities());
  if (confinement.no_new_privileges && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return SystemError("PR_SET_NO_NEW_PRIVS", errno);
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(kOrphaned);
  return Done();
}

Status KeepWhatASupervisorNeeds() {
  TRY(DropFromBounds([](int capability) { return !IsKept(capability); }));
  const Capabilities now = TRY(ReadCapabilities());
  Capabilities kept{};
  for (const int capability : kKept) {
    // Of those that there are: a container may have given fewer.
    const auto word = static_cast<std::size_t>(CAP_TO_INDEX(capability));
    const std::uint32_t bit = CAP_TO_MASK(capability) & now[word].permitted;
    kept[word].effective |= bit;
    kept[word].permitted |= bit;
  }
  return SetCapabilities(kept);
}

// O_EXCL: nobody's link to another file can make that his.
Status MakeFileFor(const User& user, const std::string& path) {
  const Fd made(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
  if (!made.valid() && errno == EEXIST) return Done();
  if (!made.valid()) return SystemError(path, errno);
  if (::fchown(made.get(), user.id, user.group) != 0) return SystemError(path, errno);
  return Done();
}

Status MakeFoldersFor(const User& user, const std::string& path) {
  for (std::size_t slash = path.find('/', 1); slash != path.npos;
       slash = path.find('/', slash + 1)) {
    const std::string above = path.substr(0, slash);
    if (::mkdir(above.c_str(), 0751) == 0 && ::chmod(above.c_str(), 0751) == 0) continue;
    if (errno != EEXIST) return SystemError(above, errno);
  }
  if (::mkdir(path.c_str(), 0750) != 0) {
    return errno == EEXIST ? Done() : Status(SystemError(path, errno));
  }
  // No link: it was made a moment ago.
  if (::lchown(path.c_str(), user.id, user.group) != 0) return SystemError(path, errno);
  return Done();
}

void OwnStandardOutput() {
  for (const int descriptor : {STDOUT_FILENO, STDERR_FILENO}) {
    struct stat status {};
    if (::fstat(descriptor, &status) != 0) continue;
    if (!S_ISFIFO(status.st_mode) && !S_ISCHR(status.st_mode)) continue;
    const std::string path = fmt::format("/proc/self/fd/{}", descriptor);
    const Fd opened(::open(path.c_str(), O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (opened.valid()) ::dup2(opened.get(), descriptor);
  }
}

}  // namespace onebox::os
