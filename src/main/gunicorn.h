#pragma once
// A gunicorn.conf.py as a source of settings.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "main/settings.h"
#include "os/inquiry.h"
#include "os/process.h"

namespace onebox::main {

// What became of one of Gunicorn's settings.
struct GunicornLine {
  std::string source;   // "gunicorn.conf.py:3", "GUNICORN_CMD_ARGS --workers"
  std::string name;     // "timeout"
  std::string value;    // as Python shows it
  std::string verdict;  // honoured, mapped, ignored, refused
  std::string why;
  bool tells = false;  // the start says it too
};

struct GunicornRemark {
  std::string source;
  std::string text;
};

struct GunicornFile {
  Layer layer;
  std::vector<GunicornLine> lines;
  std::vector<GunicornRemark> advice;
  std::vector<GunicornRemark> unknown;  // names that look like a setting and are none
  std::string printed;                  // by the file
};

// Whether what -c names is for Gunicorn: FILE.py, file:FILE or python:MODULE.
bool IsGunicornFile(std::string_view asked_for);

// A file: "/srv/game/gunicorn.conf.py"; a module: "python:game.conf". Relative ones from `folder`.
std::string GunicornLocation(const std::string& asked_for, const std::string& folder);

// Who executes the file.
struct GunicornReader {
  std::string python;
  std::string python_side;
  std::string chdir;  // it runs there, and what is relative in it counts from there
  os::Variables environment;
};

// Executes the file in a process of its own. The Error has what it printed, and its traceback.
os::Asked<Result<GunicornFile>> AskGunicornFile(const std::string& asked_for,
                                                const std::string& folder,
                                                const GunicornReader& reader);

// The answer of the Python side, checked strictly.
Result<GunicornFile> ParseGunicornAnswer(std::string_view answer, const std::string& chdir);

// For --print-config: comments behind the settings, a line for each of Gunicorn's.
std::string PrintGunicorn(const GunicornFile& file);

// For the start: how many, and a line for each that is ignored or means something else here.
std::vector<std::string> GunicornStartLines(const GunicornFile& file, const std::string& shown);

// docs/use/gunicorn-settings.md.
Result<std::string> GunicornPage(const GunicornReader& reader);

}  // namespace onebox::main
