#pragma once
// A request's body while it arrives: in memory, above a size in a file without a name.

#include <cstdint>
#include <string>
#include <string_view>

#include "front/budget.h"
#include "os/fd.h"

namespace onebox::front {

class RequestBody {
 public:
  struct Room {
    std::uint64_t memory_max;   // of this body
    const std::string& folder;  // for the file; outlives the body
  };
  enum class Stored : unsigned char { kYes, kNoBudget, kNoDisk };

  RequestBody(Budget& budget, const Room& room) : share_(budget), room_(room) {}

  Stored Append(std::string_view bytes);

  // A complete body that is in memory and above `inline_max` gets a descriptor, of memory: so it can
  // be handed over. False where there is no memory.
  bool FitFor(std::uint64_t inline_max);

  // All that the other has, whose size() stays. REQUIRES: there is nothing here yet.
  void TakeFrom(RequestBody& other);

  // Nobody needs it any more; size() stays.
  void Drop();

  std::uint64_t size() const { return size_; }
  bool in_file() const { return file_.valid(); }
  std::string_view memory() const { return memory_; }  // where it is not in the file
  const os::Fd& file() const { return file_; }

 private:
  Stored MoveToFile();

  BudgetShare share_;
  const Room room_;
  std::string memory_;
  os::Fd file_;
  std::uint64_t size_ = 0;
};

}  // namespace onebox::front
