#pragma once
// Answers from folders: files by their path, from memory where they are small.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "front/body.h"
#include "front/file_cache.h"
#include "front/settings.h"
#include "front/static_file.h"
#include "http/path.h"
#include "http/request_head.h"
#include "os/folder.h"

namespace onebox::front {

// What one reactor may use: its part of the whole.
struct StaticLimits {
  std::uint64_t memory_max = 64ULL << 20;        // of all cached files
  std::uint64_t file_memory_max = 256ULL << 10;  // of one; larger files are mapped
  std::size_t mappings_max = 512;                // kept; those under way come on top
};

struct StaticAnswer {
  int status = 0;

  // Whole lines, each with its CRLF, without the empty line after the last; readable while `owner`
  // lives. 200 and 206: all but Date, Server and the connection's own, Content-Length among them.
  // 304: those of RFC 9110 15.4.5. 405: Allow. 416: Content-Range. Others: none.
  std::string_view fields{};
  std::shared_ptr<const void> owner{};

  // For 200 and 206 to GET. Empty for HEAD and 304, and for errors, whose page is the caller's.
  Body body{};

  enum class Cache : std::uint8_t { kNotAsked, kHit, kMiss } cache = Cache::kNotAsked;
};

// One for each reactor; nothing is shared. The clock outlives it.
//
// A file in the cache is looked at again at most once in kCheckEvery: that is how long a change, a
// deletion or a new neighbour may go unnoticed. Between two looks a hit makes no system call.
class StaticFiles {
 public:
  static constexpr Duration kCheckEvery = std::chrono::seconds(1);

  StaticFiles(const CompressionSettings& compression,
              const StaticLimits& limits,
              const Clock& clock);
  StaticFiles(const StaticFiles&) = delete;
  StaticFiles& operator=(const StaticFiles&) = delete;

  // The file `name` of the mount, which outlives this; `name` is the last part of `path`, or all of it
  // but its "/". 404 for what is not there, not readable, not a regular file or hidden (a segment begins
  // with "."), and for a path that others might read in another way: encoded slashes, backslashes, empty
  // segments. 405 for other methods than GET and HEAD. 503 where the machine has run out of something.
  // 308 for a folder that has an index, where the "/" at its end is missing.
  StaticAnswer Answer(const http::RequestHead& head,
                      const http::NormalPath& path,
                      const StaticMount& mount,
                      std::string_view name);

  // The same for what the app lets be sent: a name that no client has written, for any method.
  StaticAnswer AnswerForApp(const http::RequestHead& head,
                            const StaticMount& mount,
                            std::string_view name);

  const FileCache& cache() const { return cache_; }

 private:
  // The entry of the cache, or a new one; an error where there is no such file.
  struct Found {
    StaticFile* file = nullptr;
    StaticAnswer::Cache cache = StaticAnswer::Cache::kMiss;
  };
  Result<Found> Find(const StaticMount& mount, std::string_view name);
  Result<Found> FindNamed(const StaticMount& mount, std::string_view name);
  Result<Found> FindFirst(const StaticMount& mount, std::string_view name);
  StaticAnswer Send(const http::RequestHead& head, const Found& found);
  StaticFile* FindChecked(std::string_view key);
  Result<StaticFile*> Load(const StaticMount& mount, std::string_view name);
  Result<SharedRepresentation> Read(const StaticFile& file, http::Coding coding) const;
  SharedRepresentation Compressed(const StaticFile& file, http::Coding coding) const;
  std::vector<http::Coding> AvailableFor(const StaticFile& file) const;
  const SharedRepresentation& Choose(const http::RequestHead& head, StaticFile& file);
  bool Make(StaticFile& file, http::Coding coding);

  CompressionSettings compression_;
  StaticLimits limits_;
  const Clock& clock_;
  FileCache cache_;
  std::string key_;   // of the file that is looked for
  std::string name_;  // likewise, where it is not as the request has it
};

}  // namespace onebox::front
