#include "os/process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {  // glibc 2.36 forgets to say so itself
#include <sys/pidfd.h>
}

#include "os/error.h"
#include "os/signal.h"

namespace onebox::os {
namespace {

constexpr int kOrphaned = 125;  // exit status of a child whose parent died before it could be told
constexpr timespec kAdoptionPause = {0, 200'000};  // between two looks at who our parent is
constexpr int kAdoptionPausesMax = 25'000;         // 5 s

void DieWith(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(kOrphaned);
  ::setpgid(0, 0);
}

// In an orphan, or one that is about to be.
void AwaitAdoption(pid_t parent, const Fd& parent_ended) {
  for (int pauses = 0; ::getppid() != parent; ++pauses) {
    pollfd ended = {parent_ended.get(), POLLIN, 0};
    const bool gone = ::ppoll(&ended, 1, &kAdoptionPause, nullptr) == 1;
    if (gone || pauses == kAdoptionPausesMax) ::_exit(kOrphaned);
  }
  DieWith(parent);
}

// What a child does first: it has no part in its parent's signals, and does not outlive it.
void BeginChild(pid_t parent) {
  DieWith(parent);
  for (int number = 1; number < NSIG; ++number) {
    if (number != SIGKILL && number != SIGSTOP) ::signal(number, SIG_DFL);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

// The pid of a child in the parent, 0 in the child.
Result<pid_t> ForkProcess() {
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return SystemError("fork", errno);
  if (pid == 0) BeginChild(parent);
  return pid;
}

Result<Child> Watch(pid_t pid) {
  Fd pidfd(::pidfd_open(pid, 0));
  if (pidfd.valid()) return Child(pid, std::move(pidfd));
  const int number = errno;
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  return SystemError("pidfd_open", number);
}

Result<OutputPipe> NewPipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return SystemError("pipe", errno);
  return OutputPipe{Fd(ends[0]), Fd(ends[1])};
}

// One read, whatever signals come meanwhile. What one write has put into a pipe comes whole.
ssize_t ReadOnce(const Fd& fd, void* into, std::size_t bytes) {
  ssize_t size = -1;
  do {
    size = ::read(fd.get(), into, bytes);
  } while (size < 0 && errno == EINTR);
  return size;
}

// Made before the fork: the child allocates nothing.
std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) {
    pointers.push_back(word.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

struct Descriptors {
  int output, failure, control, memory;
};

// What a child says that cannot become the program.
struct Failure {
  int number = 0;  // errno
  bool confined = false;
};

struct Program {
  char* const* words;
  char* const* variables;
  const Confinement& confinement;
};

// What stands where the program's are to be goes out of their way.
int OutOfTheWay(int descriptor) {
  return descriptor < 0 ? descriptor : ::fcntl(descriptor, F_DUPFD_CLOEXEC, kMemoryFd + 1);
}

[[noreturn]] void Execute(Descriptors fds, const Program& program) {
  fds.failure = OutOfTheWay(fds.failure);
  fds.control = OutOfTheWay(fds.control);
  fds.memory = OutOfTheWay(fds.memory);
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (nothing >= 0) ::dup2(nothing, STDIN_FILENO);
  ::dup2(fds.output, STDOUT_FILENO);
  ::dup2(fds.output, STDERR_FILENO);
  if (fds.control >= 0) ::dup2(fds.control, kControlFd);
  if (fds.memory >= 0) ::dup2(fds.memory, kMemoryFd);
  const Status confined = Confine(program.confinement);
  if (confined.ok()) ::execvpe(program.words[0], program.words, program.variables);
  const Failure failure{confined.ok() ? errno : confined.error().system_error, confined.ok()};
  const auto told = ::write(fds.failure, &failure, sizeof failure);
  ::_exit(told == sizeof failure ? 126 : 127);
}

}  // namespace

Variables Environment() {
  Variables found;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    found.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return found;
}

std::string ExitStatus::text() const {
  return signal != 0 ? fmt::format("killed by {}", SignalName(signal))
                     : fmt::format("exit status {}", status);
}

void Child::Signal(int number) const {
  ::pidfd_send_signal(pidfd_.get(), number, nullptr, 0);
}

bool Child::is_ours() const {
  siginfo_t state{};
  return ::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &state, WEXITED | WNOHANG | WNOWAIT) ==
         0;
}

std::optional<ExitStatus> Child::Reap() {
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  if (WIFSIGNALED(status)) return ExitStatus{0, WTERMSIG(status)};
  return ExitStatus{WEXITSTATUS(status), 0};
}

Result<Spawned> Spawn(const Command& command) {
  OutputPipe output = TRY(NewOutputPipe());
  OutputPipe failure = TRY(NewPipe());
  std::vector<std::string> words = command.words;
  std::vector<std::string> variables;
  for (const auto& [name, value] : command.environment) {
    variables.push_back(fmt::format("{}={}", name, value));
  }
  const std::vector<char*> word_pointers = Pointers(words);
  const std::vector<char*> variable_pointers = Pointers(variables);

  const pid_t pid = TRY(ForkProcess());
  if (pid == 0) {
    Execute({output.writer.get(), failure.writer.get(), command.control.get(), command.memory},
            {word_pointers.data(), variable_pointers.data(), command.confinement});
  }
  Child child = TRY(Watch(pid));
  output.writer.Reset();
  failure.writer.Reset();
  Failure told;
  // Ends when the program has begun: the pipe closes at exec.
  const ssize_t size = ReadOnce(failure.reader, &told, sizeof told);
  if (size == sizeof told) {
    ::waitpid(pid, nullptr, 0);
    return SystemError(told.confined ? words.front() : "becoming the app's user", told.number);
  }
  return Spawned{std::move(child), std::move(output.reader)};
}

void AdoptOrphans() {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
}

Result<Child> Adopt(pid_t pid) {
  Fd pidfd(::pidfd_open(pid, 0));
  if (!pidfd.valid()) return SystemError("pidfd_open", errno);
  return Child(pid, std::move(pidfd));
}

void ReapStrangers(std::span<const pid_t> ours) {
  for (;;) {
    siginfo_t ended{};
    if (::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == 0) return;
    // The kernel shows the same one until it is reaped; ours are reaped by their pidfds.
    if (std::find(ours.begin(), ours.end(), ended.si_pid) != ours.end()) return;
    ::waitpid(ended.si_pid, nullptr, WNOHANG);
  }
}

Result<pid_t> ForkChildOf(pid_t ancestor) {
  const Fd alive(::pidfd_open(ancestor, 0));
  if (!alive.valid()) return SystemError("pidfd_open", errno);
  OutputPipe pipe = TRY(NewPipe());
  const pid_t between = ::fork();
  if (between < 0) return SystemError("fork", errno);
  if (between == 0) {
    const pid_t child = ::fork();
    if (child == 0) {
      AwaitAdoption(ancestor, alive);
      return 0;
    }
    const bool told = child > 0 && ::write(pipe.writer.get(), &child, sizeof child) > 0;
    ::_exit(told ? 0 : 1);
  }
  pipe.writer.Reset();
  pid_t child = 0;
  const ssize_t size = ReadOnce(pipe.reader, &child, sizeof child);
  ::waitpid(between, nullptr, 0);
  if (size != sizeof child) return SystemError("fork", EAGAIN);
  return child;
}

Result<OutputPipe> NewOutputPipe() {
  OutputPipe pipe = TRY(NewPipe());
  const int flags = ::fcntl(pipe.reader.get(), F_GETFL);
  ::fcntl(pipe.reader.get(), F_SETFL, flags | O_NONBLOCK);
  return pipe;
}

Result<Child> Fork(const std::function<int()>& role) {
  const pid_t pid = TRY(ForkProcess());
  if (pid == 0) ::_exit(role());
  return Watch(pid);
}

Error Execute(const Command& command) {
  std::vector<std::string> words = command.words;
  std::vector<std::string> variables;
  for (const auto& [name, value] : command.environment) {
    variables.push_back(fmt::format("{}={}", name, value));
  }
  ::execve(words.front().c_str(), Pointers(words).data(), Pointers(variables).data());
  return SystemError(words.front(), errno);
}

void KeepAtExecute(int descriptor) {
  ::fcntl(descriptor, F_SETFD, 0);
}

void CloseAtExecute(int descriptor) {
  ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
}

pid_t ThisProcess() {
  return ::getpid();
}

bool IsAlive(pid_t pid) {
  return pid > 0 && (::kill(pid, 0) == 0 || errno != ESRCH);
}

bool IsExecutable(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         ::access(path.c_str(), X_OK) == 0;
}

std::string FindInPath(const std::string& name, std::string_view path) {
  while (!path.empty()) {
    const std::string_view folder = path.substr(0, path.find(':'));
    path.remove_prefix(std::min(folder.size() + 1, path.size()));
    std::string candidate = fmt::format("{}/{}", folder, name);
    if (!folder.empty() && IsExecutable(candidate)) return candidate;
  }
  return {};
}

void RaiseDescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

std::string ReadAvailable(const Fd& fd) {
  std::string bytes(64 << 10, '\0');
  const ssize_t size = ReadOnce(fd, bytes.data(), bytes.size());
  bytes.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  return bytes;
}

}  // namespace onebox::os
