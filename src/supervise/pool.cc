#include "supervise/pool.h"

#include <algorithm>

namespace onebox::supervise {
namespace {

// Who goes first: what serves least and has lived shortest stays least.
unsigned Worth(Life life) {
  return life == Life::kReady ? 2 : life == Life::kBooting ? 1 : 0;
}

}  // namespace

Moves Balance(std::span<const Member> members, const PoolSize& size) {
  std::vector<const Member*> staying, leaving, draining;
  unsigned ending = 0;
  for (const Member& member : members) {
    if (member.life == Life::kEnding) {
      ++ending;
    } else {
      (member.drains ? draining : member.leaves ? leaving : staying).push_back(&member);
    }
  }
  Moves moves;
  // More than are wanted: the youngest go.
  std::sort(staying.begin(), staying.end(), [](const Member* a, const Member* b) {
    if (Worth(a->life) != Worth(b->life)) return Worth(a->life) > Worth(b->life);
    return a->started < b->started;
  });
  while (staying.size() > size.wanted) {
    moves.end.push_back(staying.back()->number);
    staying.pop_back();
    ++ending;
  }
  // What leaves before it has served is missed by nobody.
  std::erase_if(leaving, [&](const Member* member) {
    if (member->life == Life::kReady) return false;
    moves.end.push_back(member->number);
    ++ending;
    return true;
  });
  std::sort(leaving.begin(), leaving.end(), [](const Member* a, const Member* b) {
    return a->started < b->started;
  });
  const auto successors = static_cast<std::size_t>(
      std::count_if(staying.begin(), staying.end(), [](const Member* member) {
        return member->life == Life::kReady;
      }));
  std::size_t serving = successors + leaving.size();
  auto next = leaving.begin();
  for (; next != leaving.end() && serving > size.wanted; ++next, --serving, ++ending) {
    moves.end.push_back((*next)->number);
  }
  const auto left = static_cast<std::size_t>(leaving.end() - next);
  const std::size_t missing = size.wanted - staying.size();
  const std::size_t present = staying.size() + left + draining.size() + ending;
  const std::size_t allowed = std::size_t{size.wanted} + size.spare_max;
  moves.start = static_cast<unsigned>(std::min(missing, allowed - std::min(allowed, present)));
  // Without room for both, the old one goes first; the next when all that have come serve.
  const bool no_room = missing > 0 && moves.start == 0 && successors == staying.size();
  if (!no_room || ending > 0) return moves;
  const Member* const first = draining.size() > 1     ? draining.front()
                              : next != leaving.end() ? *next
                                                      : nullptr;
  if (first == nullptr) return moves;
  moves.end.push_back(first->number);
  moves.no_room = true;
  return moves;
}

}  // namespace onebox::supervise
