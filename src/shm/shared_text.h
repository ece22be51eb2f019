#pragma once
// SharedText: a text that one process writes anew now and then, and others read.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "os/mapping.h"

namespace onebox::shm {

// Made before the processes that share it are forked. One process writes at a time; who follows a
// writer that has died, in the middle of a write too, goes on from the last whole text. Readers wait
// for nobody and see a text as a whole or not at all: there are two places, and what was written last
// stays untouched until the second write after it.
class SharedText final {
 public:
  // For texts of up to `bytes_max`, at least 1; memory is taken for as much as is written.
  static Result<SharedText> Create(const char* name, std::size_t bytes_max);

  // What does not fit is left out from the end, by whole lines; gives how many bytes that were.
  std::size_t Write(std::string_view text, Time now);

  struct Written {
    std::string text;
    Time at{};
  };
  // Nothing before the first write, and where writes follow each other faster than they can be read.
  std::optional<Written> Read() const;

 private:
  using Word = std::atomic<std::uint64_t>;
  struct Place {
    std::span<Word> head;  // size, time
    std::span<Word> words;
  };

  SharedText(os::Mapping mapping, std::size_t bytes_max)
      : mapping_(std::move(mapping)), bytes_max_(bytes_max) {}

  Word& sequence() const { return *Words(); }
  Word* Words() const;
  Place PlaceOf(std::uint64_t number) const;  // of the text with that number

  os::Mapping mapping_;
  std::size_t bytes_max_;
};

}  // namespace onebox::shm
