#pragma once
// Files and folders that take the place of others, as a whole.

#include <string>
#include <string_view>

#include "base/result.h"

namespace onebox::os {

// Puts a file of these bytes, its owner's alone (mode 0600), in the place of `path`: whoever looks, after a
// crash or a power failure too, finds the whole of the one before or of this one. One writer at a time:
// it is first made as PATH.new.
Status ReplaceFile(const std::string& path, std::string_view bytes);

// The same with a whole folder: what is made at `made` has afterwards the name `path`, and what was there
// has the name `made`, or is nowhere where nothing was. Both lie in the same file system, and are synced.
Status ReplaceFolder(const std::string& path, const std::string& made);

}  // namespace onebox::os
