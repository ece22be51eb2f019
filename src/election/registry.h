#pragma once
// Registry: what a server that several boxes share keeps of one election.

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace onebox::election {

// Two that are equal: nobody has become the holder, renewed or resigned between them.
struct Record {
  std::string
      holder;  // a box's name of itself, which no other has; empty: the last one has resigned
  std::int64_t fence = 0;  // raised each time that somebody becomes the holder
  std::int64_t beat = 0;   // raised each time that he renews

  bool operator==(const Record&) const = default;
};

// Each call is one step at the server, of which all or nothing is done; after an Error either may be so.
class Registry {
 public:
  virtual ~Registry() = default;

  // Nothing: there is no record, since nobody was ever elected or the server has lost what it had.
  virtual Result<std::optional<Record>> Read() = 0;
  // Makes us the holder if the record is what was `seen`: our fence, which is larger than all before. Of
  // what was lost too: it is the time in milliseconds if that is more. Nothing: another was first.
  virtual Result<std::optional<std::int64_t>> Take(const std::optional<Record>& seen) = 0;
  // Whether we are the holder, with that fence.
  virtual Result<bool> Renew(std::int64_t fence) = 0;
  virtual Status Resign(std::int64_t fence) = 0;
};

}  // namespace onebox::election
