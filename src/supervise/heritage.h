#pragma once
// What the supervisor hands to the front, to the broker, and to who obtains certificates.

#include <cstddef>
#include <vector>

#include "os/fd.h"

namespace onebox::supervise {

// Every descriptor is the front's own: closing it here leaves the supervisor's open. The listeners
// outlive the front, so a connection made while no front is there waits for the next.
//
// `control` is a SEQPACKET socket, one JSON object a message, at most kControlBytesMax.
// From the front:   {"front":"ready"}, {"front":"alive"} each second (with "upstreams", where other servers answer), {"worker":N,"ready":true,
//                   "pid":4711,"python":"3.11.2","app":"Flask 2.2.2"} (the last two may be missing),
//                   {"worker":N,"stuck":true,"reason":"..."}: that worker is to be replaced when its
//                   other requests have ended; with "gil":true nothing in it runs, and it is killed;
//                   {"worker":N,"spent":true}: it has run its share of requests, and is replaced;
//                   {"worker":N,"retired":true}: it is given no more.
// To the front:     {"drain":true}: take no more, finish what is held, end with status 0;
//                   {"drain":"gently"}: the same, and who keeps a connection open may ask once more;
//                   {"retire":N}: give that worker no more requests, and say so;
//                   {"broken":true} with a file in memory: the app cannot be loaded, and the file, of
//                   at most kBrokenBytesMax, says why: answer with that in the app's place;
//                   {"whole":true}: ask the app again;
//                   {"reopen":true}: open the log files anew.
// Its end of file means that the supervisor is gone.
struct FrontHeritage {
  std::vector<os::Fd> listeners;  // in the order of front.listen
  os::Fd admin;                   // a listener, or not valid: off
  // SEQPACKET listeners for the workers: of each app one for each reactor.
  std::vector<os::Fd> attach;
  os::Fd control;
  std::size_t first_lane = 0;  // of the metrics; as many are its own as it has reactors
  // Accepts nothing before each app has a worker: another front serves.
  bool waits_for_worker = false;
};

inline constexpr std::size_t kControlBytesMax = 64 << 10;

// What it hands to the broker. As above, every descriptor is the broker's own, and the listeners
// outlive it: who asks while no broker is there waits for the next. broker/control.h has the messages
// of `control`.
struct BrokerHeritage {
  os::Fd socket;  // a listener: whoever has a task, or a question
  os::Fd attach;  // a SEQPACKET listener for the task workers
  os::Fd control;
  unsigned generation = 1;       // that serves
  bool fresh = true;             // no task worker of before lives
  std::vector<int> worker_pids;  // of the task workers that do
};

// Who obtains certificates has its `control` alone, as above.
// From it: {"acme":"ready"}, {"acme":"alive"} every few seconds, {"certificate":{"name":"game.example",...}}: how
//          it is with that name, which status shows as it is.
// To it:   {"renew":"game.example"}: obtain that one now; {"reopen":true}: the log; {"end":true}: end.

inline constexpr std::size_t kBrokenBytesMax = 64 << 10;

}  // namespace onebox::supervise
