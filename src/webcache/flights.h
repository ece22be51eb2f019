#pragma once
// Who is asking the app for which key, so that the others wait for that one answer.

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "webcache/answer.h"

namespace onebox::webcache {

// What became of it.
enum class Landed : std::uint8_t {
  kNotYet,
  kAnswer,     // one that those who waited may be given, if they vary alike
  kNotShared,  // one that is not kept: each asks for itself
};

// One request to the app that others may wait for. begun -> landed.
class Flight {
 public:
  Flight(std::string key, std::uint64_t hash) : key_(std::move(key)), hash_(hash) {}

  // After it has landed; before that nobody reads them.
  Landed landed() const { return landed_; }
  const AnswerRef& answer() const { return answer_; }

 private:
  friend class Flights;

  const std::string key_;
  const std::uint64_t hash_;
  std::vector<std::uint32_t> reactors_;  // of those who wait; under the mutex of its part
  std::uint32_t waiters_ = 0;            // likewise
  Landed landed_ = Landed::kNotYet;
  AnswerRef answer_;
};
using FlightRef = std::shared_ptr<Flight>;

// From any thread. Nobody here knows those who wait: a reactor keeps its own, and is told once for all of
// them when the flight has landed.
class Flights {
 public:
  static constexpr std::uint32_t kWaitersMax = 10'000;  // of one flight; the next asks for itself

  enum class Role : std::uint8_t { kLead, kWait, kAlone };
  struct Joined {
    Role role = Role::kAlone;
    FlightRef flight;  // null for kAlone
  };
  // kLead: Land() is to follow. kWait: that reactor is told.
  Joined Join(std::string_view key, std::uint64_t hash, std::uint32_t reactor);
  // Whether nobody leads yet; then Land() is to follow.
  FlightRef Lead(std::string_view key, std::uint64_t hash);
  // From now on nobody waits for it. Returns the reactors to tell: each gives its waiters what it brought.
  std::vector<std::uint32_t> Land(Flight& flight, Landed landed, AnswerRef answer);

 private:
  static constexpr std::size_t kParts = 16;
  struct Part {
    std::mutex mutex;
    std::unordered_map<std::string_view, FlightRef> flights;  // keys are views into them
  };
  Part& PartOf(std::uint64_t hash) { return parts_[hash % kParts]; }

  std::array<Part, kParts> parts_;
};

}  // namespace onebox::webcache
