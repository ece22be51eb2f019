#pragma once
// A file that the app has the front send in its answer's place: X-Accel-Redirect and X-Sendfile.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "channel/response.h"
#include "front/settings.h"
#include "front/static_files.h"

namespace onebox::front {

// The field by which an answer of the app asks for a file; null where it asks for none.
const channel::Field* FindFileField(const channel::ResponseHead& head);

struct ProtectedFile {
  const StaticMount* files;  // of the settings
  std::string name;          // below its folder
};

// The file that the field names: of X-Accel-Redirect by a path below one of the prefixes, percent-encoded
// or not; of X-Sendfile by its place on the disk, in one of the folders. Nothing where it is in none.
std::optional<ProtectedFile> LocateFile(const std::vector<ProtectedFolder>& folders,
                                        const channel::Field& field);

// Whole lines for an answer that sends `file`: what the app says, but for what only the file's own bytes
// can say (length, range, coding, validators), and what is said of the file. Without a word of the app on
// caching it is not for caches: who may see it, the app decides each time. Nothing where one of the app's
// fields is none.
std::optional<std::string> FieldsWithFile(const channel::ResponseHead& head,
                                          const StaticAnswer& file);

}  // namespace onebox::front
