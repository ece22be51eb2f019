#pragma once
// A cached value: a Python value as bytes, and back.

#include <string>

#include "cache/shard.h"
#include "pyext/python.h"

namespace onebox::pyext {

enum class Codec : std::uint8_t {
  kBytes = cache::kBytesCodec,
  kText = cache::kTextCodec,
  kJson = cache::kJsonCodec,  // what the cache's own codec made of it: only its like may read it
  kPickle = cache::kPickleCodec,
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
