#pragma once
// Which app workers are to start and which are to end, so that the pool is never short of one.

#include <span>
#include <vector>

#include "base/clock.h"
#include "supervise/process.h"

namespace onebox::supervise {

// An app worker as the pool sees it.
struct Member {
  int number = 0;
  Life life = Life::kWaiting;
  bool leaves = false;  // another is to take its place
  Time started{};
  bool drains = false;  // it serves a front that drains, and goes with that
};

struct PoolSize {
  unsigned wanted = 1;     // workers that serve
  unsigned spare_max = 0;  // processes that memory allows beyond them while some are replaced
};

struct Moves {
  unsigned start = 0;
  std::vector<int> end;  // by number: they take no more requests, finish theirs, and go
  bool no_room = false;  // the last of them goes before its successor comes
};

// Make before break: one that leaves ends when as many as are wanted serve without it. Where memory
// has no room for both, one at a time ends first; of those that drain not the last, which its front
// needs. Ask again after every change.
Moves Balance(std::span<const Member> members, const PoolSize& size);

}  // namespace onebox::supervise
