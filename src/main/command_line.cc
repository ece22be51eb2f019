#include "main/command_line.h"

#include <algorithm>
#include <array>
#include <map>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/ascii.h"
#include "base/nearest.h"
#include "main/words.h"
#include "main/written.h"

namespace onebox::main {
namespace {

constexpr std::string_view kTarget = "TARGET";  // the one option that stands without a flag

// Flags of Gunicorn that people have in their fingers, and ours.
struct Translation {
  std::string_view theirs, ours;
};
constexpr std::array kOfGunicorn = {
    Translation{"-w", "--workers"},
    Translation{"-b", "--listen"},
    Translation{"--bind", "--listen"},
    Translation{"-k", "--worker-class"},
    Translation{"-t", "--timeout"},
};

// Every value of every flag as it was written; CLI11 finds them, the table checks them.
class Parser {
 public:
  Parser() {
    parser_.set_help_flag();
    parser_.allow_extras();
  }

  void AddSwitch(const std::string& names, bool& target, std::string_view flag) {
    parser_.add_flag(names, target);
    flags_.push_back(flag);
    switches_.push_back(flag);
  }
  void AddText(const std::string& names, std::string& target, std::string_view flag) {
    auto& values = texts_[&target];
    auto* added = parser_.add_option(names, values)->expected(1);
    added->multi_option_policy(kAll);
    added->allow_extra_args(false);
    flags_.push_back(flag);
    single_.emplace_back(flag, &values);
  }
  // Every word that stands without a flag.
  void AddWords(std::vector<std::string>& target) { words_ = &target; }
  void AddOption(const Option& option) {
    auto& values = values_[&option];
    if (option.flag == kTarget) {
      target_ = &values;
      return;
    }
    if (option.kind == Kind::kBool) {  // --watch, or --watch=false against the file
      parser_.add_flag_function(std::string(option.flag), [&values](std::int64_t count) {
        values.assign(1, count > 0 ? "true" : "false");
      });
      flags_.push_back(option.flag);
      return;
    }
    auto* added = parser_.add_option(std::string(option.flag), values)->expected(1);
    added->multi_option_policy(kAll);
    added->allow_extra_args(false);
    if (option.shape == Shape::kOne) single_.emplace_back(option.flag, &values);
    flags_.push_back(option.flag);
  }

  void Parse(std::span<const std::string> words, Mistakes& mistakes) {
    if (!CheckSwitches(words, mistakes)) return;
    std::vector<std::string> reversed(words.rbegin(), words.rend());
    try {
      parser_.parse(std::move(reversed));
    } catch (const CLI::ArgumentMismatch& error) {  // it names the flag before a colon
      const std::string what = error.what();
      mistakes.push_back(
          fmt::format("{}: expected a value behind it", what.substr(0, what.find(':'))));
    } catch (const CLI::ParseError& error) {
      mistakes.emplace_back(error.what());
    }
    TakeTexts(mistakes);
    TakeRemaining(mistakes);
  }

  const std::map<const Option*, std::vector<std::string>>& values() const { return values_; }

 private:
  static constexpr auto kAll =
      CLI::MultiOptionPolicy::TakeAll;  // so that what is wrong is ours to say

  // What a switch has behind "=", which CLI11 would read as a number or throw at.
  bool CheckSwitches(std::span<const std::string> words, Mistakes& mistakes) const {
    bool right = true;
    for (const std::string& word : words) {
      const std::size_t equals = word.find('=');
      if (word == "--") break;
      if (equals == word.npos) continue;
      const std::string_view flag = std::string_view(word).substr(0, equals);
      const std::string value = word.substr(equals + 1);
      if (value == "true" || value == "false") continue;
      const Option* option = FindSwitch(flag);
      if (option != nullptr) {
        mistakes.push_back(
            fmt::format("{}: expected {}, got {}", flag, option->expected(), Quoted(value)));
      } else if (std::find(switches_.begin(), switches_.end(), flag) != switches_.end()) {
        mistakes.push_back(fmt::format("{}: it takes no value, got {}", flag, Quoted(value)));
      } else {
        continue;
      }
      right = false;
    }
    return right;
  }

  const Option* FindSwitch(std::string_view flag) const {
    for (const auto& [option, values] : values_) {
      if (option->kind == Kind::kBool && option->flag == flag) return option;
    }
    return nullptr;
  }

  void TakeTexts(Mistakes& mistakes) {
    for (const auto& [flag, values] : single_) {
      if (values->size() < 2) continue;
      mistakes.push_back(fmt::format("{}: expected once, got {} and {}",
                                     flag,
                                     Quoted(values->front()),
                                     Quoted(values->back())));
      values->resize(1);
    }
    for (auto& [target, values] : texts_) {
      if (!values.empty()) *target = values.front();
    }
  }

  void TakeRemaining(Mistakes& mistakes) {
    bool after_unknown = false;  // then a word is what it seems to be the value of, and no target
    for (const std::string& word : parser_.remaining()) {
      const bool is_flag = word.starts_with('-');
      if (is_flag) mistakes.push_back(Unknown(word));
      if (!is_flag && !after_unknown) TakeWord(word, mistakes);
      after_unknown = is_flag && word.find('=') == word.npos;
    }
  }

  void TakeWord(const std::string& word, Mistakes& mistakes) {
    if (words_ != nullptr) {
      words_->push_back(word);
    } else if (target_ != nullptr && target_->empty()) {
      target_->push_back(word);
    } else {
      mistakes.push_back(fmt::format("unexpected argument {}", Quoted(word)));
    }
  }

  std::string Unknown(const std::string& extra) const {
    const std::string_view flag = std::string_view(extra).substr(0, extra.find('='));
    for (const auto& [theirs, ours] : kOfGunicorn) {
      const bool is_short = theirs.size() == 2;  // its value may follow at once: "-w3"
      const bool is_it = is_short ? flag.starts_with(theirs) : flag == theirs;
      if (!is_it || std::find(flags_.begin(), flags_.end(), ours) == flags_.end()) continue;
      return fmt::format(
          "{}: there is no such option; Gunicorn's {} is {} here", extra, theirs, ours);
    }
    const std::string_view meant = NearestName(flag, flags_);
    return meant.empty()
               ? fmt::format("{}: there is no such option", extra)
               : fmt::format("{}: there is no such option; did you mean {}?", extra, meant);
  }

  CLI::App parser_;
  std::map<const Option*, std::vector<std::string>> values_;
  std::vector<std::string>* target_ = nullptr;  // of values_, where there is such an option
  std::vector<std::string>* words_ = nullptr;
  std::map<std::string*, std::vector<std::string>> texts_;  // those of AddText(), to be taken over
  std::vector<std::string_view> flags_;
  std::vector<std::string_view> switches_;  // of flags_, those of AddSwitch()
  // Of flags_, those that may stand there once.
  std::vector<std::pair<std::string_view, std::vector<std::string>*>> single_;
};

// What every line about a running box may say, beside what was added before.
void ParseOfBox(Parser& parser,
                std::span<const std::string> words,
                const std::string& folder,
                StatusLine& line) {
  parser.AddText("--state", line.state, "--state");
  parser.AddSwitch("--json", line.json, "--json");
  parser.AddSwitch("-h,--help", line.help, "--help");
  parser.Parse(words, line.mistakes);
  if (!line.state.empty()) line.state = PathFrom(folder, line.state);
}

// The lines that -n asks for.
std::optional<std::uint32_t> LinesOf(const std::string& text, Mistakes& mistakes) {
  if (text.empty()) return std::nullopt;
  const auto lines = ParseDecimal(text, JobsLine::kLinesMax);
  if (!lines || *lines == 0) {
    mistakes.push_back(fmt::format(
        "-n: expected a number from 1 to {}, got {}", JobsLine::kLinesMax, Quoted(text)));
    return std::nullopt;
  }
  return static_cast<std::uint32_t>(*lines);
}

void TakeValues(const Parser& parser, const std::string& folder, Layer& layer) {
  for (const auto& [option, values] : parser.values()) {
    if (values.empty()) continue;
    const std::string flag(option->flag);
    TakeWritten(*option,
                std::vector<std::string_view>(values.begin(), values.end()),
                {.place = flag, .source = "command line " + flag, .folder = folder},
                layer);
  }
}

}  // namespace

RunLine ReadRunLine(std::span<const std::string> words, const std::string& folder) {
  RunLine line;
  Parser parser;
  parser.AddText("-c,--config", line.config, "--config");
  parser.AddSwitch("--check-config", line.check_config, "--check-config");
  parser.AddSwitch("--print-config", line.print_config, "--print-config");
  parser.AddSwitch("-h,--help", line.help, "--help");
  for (const Option& option : Options()) {
    if (!option.flag.empty()) parser.AddOption(option);
  }
  parser.Parse(words, line.layer.mistakes);
  TakeValues(parser, folder, line.layer);
  return line;
}

StatusLine ReadStatusLine(std::span<const std::string> words, const std::string& folder) {
  StatusLine line;
  Parser parser;
  ParseOfBox(parser, words, folder, line);
  return line;
}

CacheLine ReadCacheLine(std::span<const std::string> words, const std::string& folder) {
  CacheLine line;
  Parser parser;
  parser.AddText("--namespace", line.name_space, "--namespace");
  parser.AddWords(line.words);
  ParseOfBox(parser, words, folder, line);
  if (line.name_space.empty()) line.name_space = "app";
  return line;
}

PurgeLine ReadPurgeLine(std::span<const std::string> words, const std::string& folder) {
  PurgeLine line;
  std::vector<std::string> urls;
  Parser parser;
  parser.AddText("--prefix", line.prefix, "--prefix");
  parser.AddText("--tag", line.tag, "--tag");
  parser.AddWords(urls);
  ParseOfBox(parser, words, folder, line);
  if (urls.size() > 1) line.mistakes.emplace_back("expected one URL");
  if (!urls.empty()) line.url = urls.front();
  return line;
}

TasksLine ReadTasksLine(std::span<const std::string> words, const std::string& folder) {
  TasksLine line;
  Parser parser;
  parser.AddText("--queue", line.queue, "--queue");
  parser.AddSwitch("--all", line.all, "--all");
  parser.AddSwitch("--dead", line.dead, "--dead");
  parser.AddSwitch("--yes", line.yes, "--yes");
  parser.AddWords(line.words);
  ParseOfBox(parser, words, folder, line);
  return line;
}

JobsLine ReadJobsLine(std::span<const std::string> words, const std::string& folder) {
  JobsLine line;
  std::string lines;
  Parser parser;
  parser.AddText("-n", lines, "-n");
  parser.AddWords(line.words);
  ParseOfBox(parser, words, folder, line);
  line.lines = LinesOf(lines, line.mistakes);
  return line;
}

CertificatesLine ReadCertificatesLine(std::span<const std::string> words,
                                      const std::string& folder) {
  CertificatesLine line;
  Parser parser;
  parser.AddWords(line.words);
  ParseOfBox(parser, words, folder, line);
  return line;
}

CheckLine ReadCheckLine(std::span<const std::string> words, const std::string& folder) {
  CheckLine line;
  Parser parser;
  parser.AddText("-c,--config", line.run.config, "--config");
  parser.AddSwitch("--json", line.json, "--json");
  parser.AddSwitch("-h,--help", line.help, "--help");
  for (const Option& option : Options()) {
    if (IsOfCheck(option)) parser.AddOption(option);
  }
  parser.AddWords(line.paths);
  parser.Parse(words, line.run.layer.mistakes);
  TakeValues(parser, folder, line.run.layer);
  return line;
}

}  // namespace onebox::main
