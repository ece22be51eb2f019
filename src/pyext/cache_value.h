#pragma once
// A cached value: a Python value as bytes, and back.

#include <string>

#include "cache/shard.h"
#include "pyext/python.h"

namespace onebox::pyext {

// Numbers below lie in shared memory: append, never renumber.
enum class Codec : std::uint8_t {
  kBytes = 0,
  kText = 1,  // UTF-8
  kJson = 2,  // what the cache's own codec made of it: only its like may read it
  kPickle = 3,
  kNumber = cache::kNumberCodec,
};

// How a cache writes what is no bytes, str or int of 64 bits; these need no codec.
struct Coder {
  Codec codec = Codec::kJson;
  Ref dumps, loads;  // callables: of bytes or str
};

// False with an exception, where the codec cannot say it.
bool Encode(const Coder& coder, PyObject* value, cache::Value& out);
// Empty with an exception: ValueError where another codec wrote it.
Ref Decode(const Coder& coder, const cache::Value& value);

}  // namespace onebox::pyext
