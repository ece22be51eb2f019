#pragma once
// A static file in the cache: what was seen of it, and the ways in which it can be sent.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "front/body.h"
#include "front/settings.h"
#include "http/coding.h"
#include "http/etag.h"
#include "os/folder.h"
#include "os/mapping.h"

namespace onebox::front {

// What the fields of a representation say.
struct Description {
  std::string_view media_type;  // lives as long as the program
  http::Coding coding = http::Coding::kIdentity;
  std::string etag{};              // the opaque part, without quotes
  std::int64_t last_modified = 0;  // seconds since 1970
  std::string cache_control{};
  bool varies = false;  // with Accept-Encoding
};

// The bytes of a file in one coding, with the fields that go before them. Never changes; who sends it
// shares it, so it outlives its place in the cache.
class Representation {
 public:
  Representation(Description description, std::string bytes);
  Representation(Description description, os::Mapping mapping, os::Fd file);

  const Description& description() const { return description_; }
  http::EntityTag etag() const { return {.opaque = description_.etag, .weak = false}; }

  // Only for system calls where mapped() is true: see Piece.
  std::string_view bytes() const { return mapped() ? mapping_.bytes() : memory_; }
  bool mapped() const { return mapping_.data() != nullptr; }
  // A part of bytes(), to be sent; `self` keeps it alive.
  static Piece PieceOf(const std::shared_ptr<const Representation>& self, std::string_view part);
  // A copy of bytes(), safe whatever becomes of the file.
  Result<std::string> Copy() const;

  // Whole lines, each longer than the next.
  std::string_view full_fields() const { return fields_; }  // of 200
  std::string_view partial_fields() const;    // of 206: without Content-Type and Content-Length
  std::string_view unchanged_fields() const;  // of 304

  std::size_t charge() const;  // bytes of memory, about

 private:
  void WriteFields();

  Description description_;
  std::string memory_;
  os::Mapping mapping_;
  os::Fd file_;  // that is mapped
  std::string fields_;
  std::size_t unchanged_size_ = 0;
  std::size_t partial_size_ = 0;
};

using SharedRepresentation = std::shared_ptr<const Representation>;
using CodingFacts = std::array<std::optional<os::FileFacts>, http::kCodings.size()>;

// An entry of the cache, found by its key.
struct StaticFile {
  const StaticMount* mount = nullptr;
  std::string key;   // the mount's number and the name
  std::string name;  // relative to the mount's folder
  Time checked;      // when the facts were last seen to hold

  os::FileFacts facts;
  CodingFacts neighbours;  // precompressed, and not older than the file

  // The codings that it can be sent in besides identity, the first the best; some are only made when
  // they are asked for, and leave this list if that fails.
  std::vector<http::Coding> available;
  std::array<SharedRepresentation, http::kCodings.size()> made;  // identity always

  const SharedRepresentation& Of(http::Coding coding) const {
    return made[static_cast<std::size_t>(coding)];
  }
  const std::optional<os::FileFacts>& NeighbourOf(http::Coding coding) const {
    return neighbours[static_cast<std::size_t>(coding)];
  }
};

// What an entry costs the cache.
struct Charge {
  std::uint64_t bytes = 0;
  std::size_t mappings = 0;
};
Charge ChargeOf(const StaticFile& file);

// What is on the disk under `path` and beside it; nothing where there is no regular file.
struct Sighting {
  os::FileFacts facts;
  CodingFacts neighbours{};
};
std::optional<Sighting> LookAt(const std::string& path);

}  // namespace onebox::front
