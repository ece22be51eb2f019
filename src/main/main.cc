// The program: finds the command and runs it.

#include <algorithm>
#include <array>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/nearest.h"
#include "main/cache_command.h"
#include "main/certificates_command.h"
#include "main/check_command.h"
#include "main/jobs_command.h"
#include "main/purge_command.h"
#include "main/reference.h"
#include "main/run_command.h"
#include "main/status_command.h"
#include "main/tasks_command.h"
#include "main/version.h"

namespace {

using onebox::main::Caller;
using Words = std::span<const std::string>;

constexpr int kMistaken = 2;

int ShowReference(Words words, const Caller& caller) {
  const std::string asked_for = words.size() == 1 ? words.front() : "";
  if (asked_for == "options") {
    std::cout << onebox::main::OptionsPage();
    return 0;
  }
  if (asked_for == "gunicorn") return onebox::main::ShowGunicornPage(caller);
  if (asked_for == "check") return onebox::main::ShowCheckPage(caller);
  std::cerr << "onebox reference options: prints every option, in Markdown\n"
               "onebox reference gunicorn: prints what becomes of each of Gunicorn's settings\n"
               "onebox reference check: prints what onebox check finds\n";
  return kMistaken;
}

int ShowVersion(Words /*words*/, const Caller& /*caller*/) {
  std::cout << "onebox " << onebox::main::kVersion << '\n';
  return 0;
}

int ShowHelp(Words /*words*/, const Caller& /*caller*/) {
  std::cout << onebox::main::Help();
  return 0;
}

struct Command {
  std::string_view name;
  int (*run)(Words words, const Caller& caller);
};
constexpr std::array kCommands = {
    Command{"run",
            [](Words words, const Caller& caller) { return onebox::main::Run(words, caller); }},
    Command{"check", onebox::main::CheckApp},
    Command{"status", onebox::main::ShowStatus},
    Command{"reload", onebox::main::ReloadBox},
    Command{"upgrade", onebox::main::UpgradeBox},
    Command{"stop", onebox::main::StopBox},
    Command{"cache", onebox::main::ShowCache},
    Command{"purge", onebox::main::PurgeAnswers},
    Command{"tasks", onebox::main::ShowTasks},
    Command{"jobs", onebox::main::ShowJobs},
    Command{"certificates", onebox::main::ShowCertificates},
    Command{"reference", ShowReference},
    Command{"version", ShowVersion},
    Command{"help", ShowHelp},
    Command{"--version", ShowVersion},
    Command{"--help", ShowHelp},
    Command{"-h", ShowHelp},
};

int RefuseCommand(const std::string& name) {
  std::vector<std::string_view> names(std::size(kCommands));
  std::transform(std::begin(kCommands), std::end(kCommands), names.begin(), [](const Command& one) {
    return one.name;
  });
  const std::string_view meant = onebox::NearestName(name, names);
  std::cerr << fmt::format("onebox: there is no command \"{}\"", name)
            << (meant.empty() ? std::string("; onebox help lists them")
                              : fmt::format("; did you mean \"{}\"?", meant))
            << '\n';
  return kMistaken;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + std::max(argc, 1));
  if (words.empty()) {
    std::cerr << onebox::main::Help();
    return kMistaken;
  }
  std::error_code ignored;
  const Caller caller{.program = "/proc/self/exe",
                      .name = argv[0],
                      .words = words,
                      .folder = std::filesystem::current_path(ignored).string(),
                      .environment = onebox::os::Environment()};
  for (const Command& command : kCommands) {
    if (command.name == words.front()) return command.run(Words(words).subspan(1), caller);
  }
  return RefuseCommand(words.front());
}
