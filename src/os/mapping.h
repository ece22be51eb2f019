#pragma once
// Memory that processes share, and files seen as memory.

#include <cstddef>
#include <span>
#include <string_view>

#include "base/result.h"
#include "os/fd.h"

namespace onebox::os {

// A mapped range; unmapped when it goes. Its bytes begin as zero where it is new.
class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();

  // Shared memory of an fd, readable and writable; its first `size` bytes. Fails if the file is
  // shorter: touching memory behind a file's end kills the process.
  static Result<Mapping> Share(const Fd& memory, std::size_t size);

  // A file's bytes, read-only. Pass them to system calls alone (a truncated file then gives EFAULT);
  // reading them here would be a SIGBUS if somebody truncates the file.
  static Result<Mapping> File(const Fd& file, std::size_t size);

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::string_view bytes() const { return {reinterpret_cast<const char*>(data_), size_}; }

 private:
  Mapping(std::byte* data, std::size_t size) : data_(data), size_(size) {}

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Anonymous memory that can be sent to another process; sealed against shrinking. `name` is what
// /proc shows.
Result<Fd> NewSharedMemory(const char* name, std::size_t size);

}  // namespace onebox::os
