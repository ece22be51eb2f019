#pragma once
// The table of options: everything that an operator can set, one row each.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace onebox::main {

enum class Kind : std::uint8_t {
  kText,
  kPath,  // relative ones count from the file's folder, or on the line from the current one
  kBool,
  kInteger,
  kBytes,
  kDuration,
  kChoice,
  kAddress,  // ADDR:PORT, [v6]:PORT, unix:PATH
  kNetwork,
  kPercent,  // "25%"
  kPattern,  // front::PathPattern
  kHours,    // plan::Hours
  kMediaRange,
  kHost,        // front::HostTable
  kFieldName,   // of an HTTP field that rules may be about
  kFieldValue,  // of such a field; of a map: its names are names of fields
};

enum class Shape : std::uint8_t {
  kOne,
  kList,
  kMap,     // names to values
  kMounts,  // prefixes to folders: rows "static.PREFIX.*" are what a folder may say
  kTable,  // a table: rows "NAME.*" are its keys; where the first must be given, it may stand for all
  kTables,  // an array of tables, in order: rows "NAME.*" are the keys of one, the first must be there
};

// What stands under `found` where there is no default and no other way.
inline constexpr std::string_view kMustBeGiven = "must be given";

struct Option {
  // "front.body_bytes_max", "app.peak.at": the table, a point, the key; no table: top level.
  std::string_view name;
  Kind kind = Kind::kText;
  std::string_view standard;   // the default, as one would write it; lists: separated by commas
  std::string_view help;       // one sentence
  std::string_view flag = {};  // "--workers", or empty: in the file and the environment alone
  std::string_view form = {};  // of the flag's value in --help: "N|auto"; kBool has none
  std::string_view min = {};   // as one would write them
  std::string_view max = {};
  std::string_view choices =
      {};  // separated by commas; kInteger, kAddress: words beside the values
  Shape shape = Shape::kOne;
  std::string_view found = {};  // where the default is empty: how it is found
  std::string_view keys = {};   // of a map: those that there are, separated by commas; empty: any
  std::string_view rows = {};   // of tables: whose rows theirs are, as "route"; empty: their own

  constexpr std::string_view table() const {
    const std::size_t point = name.starts_with("static.") ? name.find('.') : name.rfind('.');
    return point == std::string_view::npos ? std::string_view() : name.substr(0, point);
  }
  constexpr std::string_view key() const { return name.substr(name.rfind('.') + 1); }
  // Of a table, tables or mounts: what the names of its rows begin with, as "route."
  std::string prefix() const;
  // "ONEBOX_FRONT_BODY_BYTES_MAX"
  std::string variable() const;
  // What a value must be, for messages: "a size like \"16 MiB\", from 1 KiB to 1 TiB".
  std::string expected() const;
};

inline constexpr std::string_view kMountPrefix = "static.PREFIX.";

// Whether rows are its keys.
bool HasRows(const Option& option);
// The rows that are its keys, in their order.
std::vector<const Option*> RowsOf(const Option& option);
// Whether the row is a key of a table, of one of several, or of a mount, so that it has no value by itself.
bool IsPart(const Option& option);
// Whether it can be said outside of the file.
bool IsWritable(const Option& option);

// All rows; those of one table stand together.
std::span<const Option> Options();
const Option* FindOption(std::string_view name);
// Whether `onebox check` has its flag too.
bool IsOfCheck(const Option& option);

// The value as it is kept (sizes and times in their shortest form); nothing where it is not what is
// expected(). One value: of a list an element.
std::optional<std::string> CheckValue(const Option& option, std::string_view text);

// What to write instead of a value that is not what is expected, as the end of a message: empty, or
// "; did you mean \"auto\"?".
std::string AdviceOn(const Option& option, std::string_view text);

}  // namespace onebox::main
