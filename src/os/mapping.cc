#include "os/mapping.h"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/error.h"

namespace onebox::os {

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

Result<Mapping> Mapping::Share(const Fd& memory, std::size_t size) {
  struct stat status {};
  if (::fstat(memory.get(), &status) != 0) return SystemError("fstat", errno);
  if (static_cast<std::size_t>(status.st_size) < size) {
    return OperatorError("shared memory is shorter than its header says");
  }
  void* data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (data == MAP_FAILED) return SystemError("mmap", errno);
  return Mapping(static_cast<std::byte*>(data), size);
}

Result<Mapping> Mapping::File(const Fd& file, std::size_t size) {
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), 0);
  if (data == MAP_FAILED) return SystemError("mmap", errno);
  return Mapping(static_cast<std::byte*>(data), size);
}

Result<Fd> NewSharedMemory(const char* name, std::size_t size) {
  Fd memory(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.valid()) return SystemError("memfd_create", errno);
  if (::ftruncate(memory.get(), static_cast<off_t>(size)) != 0) {
    return SystemError("ftruncate", errno);
  }
  if (::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
    return SystemError("fcntl F_ADD_SEALS", errno);
  }
  return memory;
}

}  // namespace onebox::os
