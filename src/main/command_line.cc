#include "main/command_line.h"

#include <algorithm>
#include <map>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/nearest.h"
#include "main/words.h"
#include "main/written.h"

namespace onebox::main {
namespace {

constexpr std::string_view kTarget = "TARGET";  // the one option that stands without a flag

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
  }
  void AddText(const std::string& names, std::string& target, std::string_view flag) {
    parser_.add_option(names, target);
    flags_.push_back(flag);
  }
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
    added->multi_option_policy(option.shape == Shape::kOne ? CLI::MultiOptionPolicy::Throw
                                                           : CLI::MultiOptionPolicy::TakeAll);
    added->allow_extra_args(false);
    flags_.push_back(option.flag);
  }

  void Parse(std::span<const std::string> words, Mistakes& mistakes) {
    std::vector<std::string> reversed(words.rbegin(), words.rend());
    try {
      parser_.parse(std::move(reversed));
    } catch (const CLI::ParseError& error) {
      mistakes.emplace_back(error.what());
    }
    for (const std::string& word : parser_.remaining()) {
      const bool is_target = target_ != nullptr && target_->empty() && !word.starts_with('-');
      if (is_target) {
        target_->push_back(word);
      } else {
        mistakes.push_back(Unknown(word));
      }
    }
  }

  const std::map<const Option*, std::vector<std::string>>& values() const { return values_; }

 private:
  std::string Unknown(const std::string& extra) const {
    if (!extra.starts_with('-')) return fmt::format("unexpected argument \"{}\"", extra);
    const std::string_view meant = NearestName(extra.substr(0, extra.find('=')), flags_);
    return meant.empty()
               ? fmt::format("{}: there is no such option", extra)
               : fmt::format("{}: there is no such option; did you mean {}?", extra, meant);
  }

  CLI::App parser_;
  std::map<const Option*, std::vector<std::string>> values_;
  std::vector<std::string>* target_ = nullptr;  // of values_, where there is such an option
  std::vector<std::string_view> flags_;
};

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
  for (const auto& [option, values] : parser.values()) {
    if (values.empty()) continue;
    const std::string flag(option->flag);
    TakeWritten(*option,
                std::vector<std::string_view>(values.begin(), values.end()),
                {.place = flag, .source = "command line " + flag, .folder = folder},
                line.layer);
  }
  return line;
}

StatusLine ReadStatusLine(std::span<const std::string> words, const std::string& folder) {
  StatusLine line;
  Parser parser;
  parser.AddText("--state", line.state, "--state");
  parser.AddSwitch("--json", line.json, "--json");
  parser.AddSwitch("-h,--help", line.help, "--help");
  parser.Parse(words, line.mistakes);
  if (!line.state.empty()) line.state = PathFrom(folder, line.state);
  return line;
}

}  // namespace onebox::main
