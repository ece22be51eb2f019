#pragma once
// All limits of the box: whether a request may pass those of its route.

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/siphash.h"
#include "http/address.h"
#include "limits/limit_key.h"
#include "limits/rate_limit.h"

namespace onebox::limits {

// One limit, as the operator has it. Routes that name the same one share its counts.
struct LimitRule {
  std::string name;  // of metrics, the log and RateLimit-Policy: see IsLimitName()
  std::vector<KeyPart> by = {KeyPart{}};
  RateRule rate = {};
  unsigned v6_bits = 64;                   // of an IPv6 address that count
  std::vector<http::Network> exempt = {};  // whose clients pass, and are not counted
  bool log_only = false;  // counts and tells whom it would refuse or delay, and lets pass

  bool operator==(const LimitRule&) const = default;
};

// What an answer with 429 says of it, as whole lines: Retry-After, and RateLimit-Policy and RateLimit
// of draft-ietf-httpapi-ratelimit-headers-10. `wait` as in Verdict; seconds are rounded up.
std::string RefusalFields(const LimitRule& rule, Verdict::Kind kind, Duration wait);

// Printable ASCII without quotes and backslashes, up to 64: it stands in header fields, logs and labels.
bool IsLimitName(std::string_view name);

// What a request holds of its limits, for as long as it is under way: gives it back at its end.
class Passage {
 public:
  Passage() = default;
  ~Passage() { Release(); }
  Passage(Passage&& other) noexcept : held_(std::exchange(other.held_, {})) {}
  Passage& operator=(Passage&& other) noexcept {
    if (this != &other) {
      Release();
      held_ = std::exchange(other.held_, {});
    }
    return *this;
  }
  Passage(const Passage&) = delete;
  Passage& operator=(const Passage&) = delete;

  bool empty() const { return held_.empty(); }
  // It waits no more.
  void EndDelay();

 private:
  friend class Gate;
  struct Held {
    RateLimit* limit;
    std::uint64_t key;
    bool delayed;
    bool running;
  };
  void Release();

  std::vector<Held> held_;
};

// Shared by all threads; outlives every Passage.
class Gate {
 public:
  explicit Gate(std::vector<LimitRule> rules, const SipKey& secret);

  struct Decision {
    Verdict::Kind kind = Verdict::Kind::kPass;
    Duration wait{};           // kDelay: before it goes on; kRate: until it would pass
    std::uint32_t limit = 0;   // kRate, kAtOnce: who refused
    std::uint32_t logged = 0;  // of those that only log, how many would have refused or delayed
    bool evicted = false;      // another key was forgotten for this one
  };
  // `which` are places in the rules, asked in that order: the first that refuses decides, and what the
  // others have counted of the rate stays counted. `passage` is what is held then.
  Decision Ask(std::span<const std::uint32_t> which,
               const Asked& asked,
               Time now,
               Passage& passage);

  struct Counts {
    std::uint64_t passed = 0;  // at once
    std::uint64_t delayed = 0;
    std::uint64_t refused_rate = 0;
    std::uint64_t refused_at_once = 0;
    std::uint64_t logged = 0;  // of those, the ones that log_only let pass
  };
  std::size_t size() const { return limits_.size(); }
  const LimitRule& rule(std::size_t limit) const { return limits_[limit]->rule; }
  Counts counts(std::size_t limit) const;

 private:
  struct Limit {
    explicit Limit(LimitRule its) : rule(std::move(its)), rate(rule.rate) {}

    const LimitRule rule;
    RateLimit rate;
    std::array<std::atomic<std::uint64_t>, 4> verdicts{};  // by Verdict::Kind
    std::atomic<std::uint64_t> logged{0};
  };

  std::vector<std::unique_ptr<Limit>> limits_;
  const SipKey secret_;
};

}  // namespace onebox::limits
