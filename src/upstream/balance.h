#pragma once
// Which of several servers is asked: the choice alone, of numbers.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace onebox::upstream {

// A server that may be asked. REQUIRES: weight is not 0.
struct Candidate {
  std::size_t server = 0;         // the caller's number
  std::uint32_t weight = 1;       // compared with the others'
  std::uint32_t outstanding = 0;  // requests that it works on
  std::uint64_t seed = 0;         // of its name; for ChooseByHash()
};

// All of them: REQUIRES at least one; they give its place in `candidates`.

// Draws two by weight, and takes the one that has fewer requests for its weight. As good as looking at
// all, and many who choose at one moment do not all choose the same.
std::size_t ChooseLeast(std::span<const Candidate> candidates, std::uint64_t random);

// Rendezvous: each server has a number that the key gives it, and the highest is asked. Where one
// leaves, its keys alone move, to all others by weight.
std::size_t ChooseByHash(std::span<const Candidate> candidates, std::string_view key);
std::uint64_t SeedOf(std::string_view name);

// The order in which servers of these weights are asked, as evenly as can be: 2, 1, 1 gives 0 1 0 2.
// Written down once; whoever asks takes the next place.
std::vector<std::uint32_t> Turns(std::span<const std::uint32_t> weights);

}  // namespace onebox::upstream
