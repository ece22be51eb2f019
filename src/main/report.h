#pragma once
// What a command prints for people: tables, times, and text of the app made harmless.

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace onebox::main {

enum class Align : unsigned char { kLeft, kRight };
struct Column {
  std::string_view name;
  Align align = Align::kLeft;
};

// Columns as wide as what is in them; no blanks at the ends of lines.
class Table {
 public:
  Table(std::initializer_list<Column> columns) : columns_(columns) {}

  // REQUIRES: a cell for each column; "" stays empty.
  void Add(std::vector<std::string> row);
  bool empty() const { return rows_.empty(); }
  // With a line of the columns' names.
  std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// Of unix seconds, in the machine's time zone: "2026-11-27 21:35:04". "-" where it is no number.
std::string ShowTime(const nlohmann::json& unix_seconds);
// "340ms", "12s", "4m 10s", "3h 5m", "2d 4h"; below zero as zero. "-" where it is no number.
std::string ShowSpan(const nlohmann::json& seconds);
// Between two unix times, where both are numbers.
std::string ShowSpan(const nlohmann::json& from, double to);

// What an app has put into a name or an error, on one line of a terminal.
std::string ShowText(const nlohmann::json& text);
// Of a traceback: its last line that is not blank.
std::string ShowLastLine(const nlohmann::json& text);
// Line by line, each behind `indent`.
std::string ShowLines(const nlohmann::json& text, std::string_view indent);

// One line of JSON.
std::string Dump(const nlohmann::json& value);

}  // namespace onebox::main
