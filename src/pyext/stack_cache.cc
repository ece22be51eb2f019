#include "pyext/stack_cache.h"

#include <vector>

#include <dlfcn.h>

namespace onebox::pyext {
namespace {

constexpr std::size_t kStackBytes = 16 << 10;  // CPython's DATA_STACK_CHUNK_SIZE

// CPython's PyObjectArenaAllocator, the same since 3.4. It is not in the limited API, so it is looked for
// by name.
struct ArenaAllocator {
  void* ctx;
  void* (*alloc)(void* ctx, std::size_t size);
  void (*free)(void* ctx, void* memory, std::size_t size);
};
using Access = void (*)(ArenaAllocator* allocator);

ArenaAllocator before;     // written once, before it is used
std::vector<void*>* kept;  // with room for all that it may hold; lives as long as the process

void* Allocate(void* /*ctx*/, std::size_t size) {
  if (size != kStackBytes || kept->empty()) return before.alloc(before.ctx, size);
  void* const memory = kept->back();
  kept->pop_back();
  return memory;
}

void Free(void* /*ctx*/, void* memory, std::size_t size) {
  if (size != kStackBytes || kept->size() == kept->capacity()) {
    return before.free(before.ctx, memory, size);
  }
  kept->push_back(memory);
}

Access Find(const char* name) {
  return reinterpret_cast<Access>(::dlsym(RTLD_DEFAULT, name));
}

}  // namespace

void KeepPythonStacks(std::size_t kept_max) {
  const Access get = Find("PyObject_GetArenaAllocator");
  const Access set = Find("PyObject_SetArenaAllocator");
  if (kept != nullptr || get == nullptr || set == nullptr) return;
  kept = new std::vector<void*>;
  kept->reserve(kept_max);
  get(&before);
  ArenaAllocator ours{nullptr, Allocate, Free};
  set(&ours);
}

}  // namespace onebox::pyext
