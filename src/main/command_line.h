#pragma once
// The command line of `onebox run`, read by the table of options.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "main/settings.h"

namespace onebox::main {

struct RunLine {
  Layer layer;
  std::string config;  // the file's path as given, or empty
  bool check_config = false;
  bool print_config = false;
  bool help = false;
};

// The words behind "run". Relative folders count from `folder`.
RunLine ReadRunLine(std::span<const std::string> words, const std::string& folder);

struct StatusLine {
  Mistakes mistakes;
  std::string state;  // absolute, or empty
  bool json = false;
  bool help = false;
};
StatusLine ReadStatusLine(std::span<const std::string> words, const std::string& folder);

struct CacheLine : StatusLine {
  std::string name_space;
  std::vector<std::string> words;
};
CacheLine ReadCacheLine(std::span<const std::string> words, const std::string& folder);

struct PurgeLine : StatusLine {
  std::string url;
  std::string prefix;
  std::string tag;
};
PurgeLine ReadPurgeLine(std::span<const std::string> words, const std::string& folder);

struct TasksLine : StatusLine {
  std::string queue;
  bool all = false;
  bool dead = false;
  bool yes = false;
  std::vector<std::string> words;
};
TasksLine ReadTasksLine(std::span<const std::string> words, const std::string& folder);

struct JobsLine : StatusLine {
  static constexpr std::uint32_t kLinesMax = 1000;

  std::optional<std::uint32_t> lines;  // 1 to kLinesMax
  std::vector<std::string> words;
};
JobsLine ReadJobsLine(std::span<const std::string> words, const std::string& folder);

struct CertificatesLine : StatusLine {
  std::vector<std::string> words;
};
CertificatesLine ReadCertificatesLine(std::span<const std::string> words,
                                      const std::string& folder);

struct CheckLine {
  RunLine run;  // what of it bears upon which Python, and how many workers
  std::vector<std::string> paths;
  bool json = false;
  bool help = false;
};
CheckLine ReadCheckLine(std::span<const std::string> words, const std::string& folder);

}  // namespace onebox::main
