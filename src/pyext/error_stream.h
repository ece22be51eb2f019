#pragma once
// wsgi.errors: lines of the app, and of us about the app, to the log with the request's id.

#include <string_view>

#include "pyext/python.h"

namespace onebox::pyext {

PyTypeObject* MakeErrorStreamType(PyObject* module);

// Text goes out line by line: `ID line`. An unfinished line goes with flush() or the object's end.
Ref NewErrorStream(std::string_view request_id);

// Each line of `text` to the log, with the id before it. Lets go of the GIL.
void LogLines(std::string_view request_id, std::string_view text);
// The same for who has no GIL.
void LogLinesWithoutGil(std::string_view request_id, std::string_view text);

// The exception that is set, with its traceback, below a line that says `what`; clears it.
void LogException(std::string_view request_id, std::string_view what);

}  // namespace onebox::pyext
