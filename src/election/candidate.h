#pragma once
// Candidate: seeks to lead, and says until when it does.

#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "base/result.h"
#include "election/registry.h"

namespace onebox::election {

// What one box may do. A value: whoever acts on it asks the clock at that moment.
struct Leadership {
  std::int64_t fence = 0;  // 0: it does not lead
  Time valid_until = Time::min();

  bool Holds(Time now) const { return fence != 0 && now < valid_until; }
};

// following -> waiting -> leading -> following
//
// Two boxes never lead at the same time. Let L be the lease, and P, patience, a quarter more.
//
// - Who leads has renewed: it sent that at a time s of its clock, the server said yes, and it leads until s + L.
// - Who takes the record of a holder that has not resigned has read it, as it still is, P ago or more, by its own
//   clock; and the server lets it be taken only if nothing has changed since. So the holder's last renewal was
//   sent before that reading, and what it leads by has ended before P was over. A later one is refused.
// - Who finds no record (the server has lost it) takes it, and waits P before it leads: whatever was renewed,
//   was so before. Who could not renew before its own lead had ended is the holder no more, whatever the record
//   says: a server that was restored may have gone back to it over another's, whose fence is larger.
// - Who resigns leads no more when it says so. Who was watching then need not wait; who was not, since it has just
//   begun or lost its connection, waits P: the server may have gone back to that record too.
//
// No two clocks are compared, and the server's is not asked: only that two clocks, in the length of a lease, do
// not go apart by a fifth. That quarter is also what somebody has who looked at Holds() and then acts. A machine
// that sleeps, with its clock, between the two is not covered by this: that is what the fence is for, if
// what is acted on compares it.
//
// For one thread. Registry and clock outlive it.
class Candidate final {
 public:
  Candidate(Registry& registry, Duration lease, const Clock& clock)
      : registry_(registry), lease_(lease), patience_(lease + lease / 4), clock_(clock) {}

  // Reads, takes or renews: one or two calls. Several times in each lease. After an Error it does not lead.
  Status Step();
  // It does not lead, and others need not wait.
  Status Resign();

  const Leadership& leadership() const { return leadership_; }
  // Who it was when it was last read: for people.
  const std::string& holder() const { return holder_; }

 private:
  struct Seen {
    Record record;
    Time since;  // it was read then, and has been the same each time since
  };

  Status Seek();
  enum class Wait : unsigned char { kNo, kYes };
  Status Take(const std::optional<Record>& record, Wait wait);
  Status Renew();

  Registry& registry_;
  const Duration lease_;
  const Duration patience_;
  const Clock& clock_;

  Leadership leadership_;
  std::optional<std::int64_t> fence_;  // while it is the holder, as far as it knows
  Time renewed_until_ = Time::min();   // the end of what it leads by, or would
  Time leads_from_ = Time::min();
  std::optional<Seen> seen_;
  std::string holder_;
};

}  // namespace onebox::election
