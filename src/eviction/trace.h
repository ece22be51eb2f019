#pragma once
// Request traces for comparing eviction policies: made from a seed, the same on each machine.

#include <cstdint>
#include <string>
#include <vector>

namespace onebox::eviction {

// What a key's value weighs, mostly in blocks of 64 B, and for how many seconds it is good.
struct Object {
  std::uint32_t charge = 1;
  std::uint32_t ttl = 0;  // 0: for ever
};

struct Request {
  std::uint32_t key;  // an index of Trace::objects
  std::uint32_t now;  // seconds since the trace began
};

struct Trace {
  std::string name;
  std::vector<Object> objects;
  std::vector<Request> requests;

  // The charge of all objects that are asked for at least once.
  std::uint64_t Footprint() const;
};

// Repeatable pseudo-random numbers (SplitMix64).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t Next();
  std::uint64_t Below(std::uint64_t bound) { return Next() % bound; }
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

 private:
  std::uint64_t state_;
};

// Spreads the bits of a number over 64.
std::uint64_t Mix(std::uint64_t value);

// Ranks from 0 on; rank r is drawn with a probability in proportion to 1 / (r + 1)^alpha.
class Zipf {
 public:
  Zipf(std::uint32_t ranks, double alpha);
  std::uint32_t Draw(Random& random) const;

 private:
  std::vector<double> up_to_;
};

// What the values of a trace weigh.
enum class Sizes {
  kEqual,  // four blocks of 64 B each, which a value of 100 B takes with its key and entry
  kMixed,  // 100 B to 20 KiB, as many from 100 to 200 as from 10,000 to 20,000; in blocks of 64 B
  kBytes,  // the same, to the byte
};

Trace ZipfTrace(std::uint32_t keys, double alpha, std::uint32_t requests, Sizes sizes);

// Zipf 0.9; now and then somebody reads `length` keys, a request in two, that nobody asks for again.
Trace ScanTrace(std::uint32_t keys, std::uint32_t requests, std::uint32_t length, Sizes sizes);

// Every other request is Zipf 0.9, the others go round `length` keys of their own.
Trace LoopTrace(std::uint32_t keys, std::uint32_t requests, std::uint32_t length, Sizes sizes);

// Zipf 0.9; each `every` requests a key, drawn by popularity, is replaced by one that is new: a key
// lives for about `every` requests for it, whatever its rank.
Trace DriftTrace(std::uint32_t keys, std::uint32_t requests, std::uint32_t every, Sizes sizes);

// Zipf 0.9; each `every` requests all keys change places.
Trace ShiftTrace(std::uint32_t keys, std::uint32_t requests, std::uint32_t every, Sizes sizes);

// The cache keys of examples/nation with their sizes and TTLs: a thousand players at a time who make
// 140 requests a second by the mix of load/prepare.py. Players come, stay for 40 requests, and go;
// some come more often than others (Zipf 0.8).
Trace GameTrace(std::uint32_t players, std::uint32_t requests);

}  // namespace onebox::eviction
