#pragma once
// Which of the streams that wait is the next to run.

#include <cstdint>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "front/client_table.h"
#include "front/settings.h"

namespace onebox::front {

struct AppWorker;
class Line;

// How often something ends while others wait for it: what the wait of the next is reckoned from.
class Pace {
 public:
  void Waits(Time now);  // somebody begins to wait
  void Ends(Time now, bool others_wait);
  // Between two ends; nothing where too little is known. `running` may end at any time.
  Duration Now(Time now, std::uint32_t running) const;
  bool known() const { return ends_ >= kEndsMin; }

 private:
  static constexpr std::uint32_t kEndsMin = 8;
  static constexpr std::uint32_t kEndsKept = 16;
  Time last_{};
  Duration each_{};
  std::uint32_t ends_ = 0;
  bool waited_ = false;  // somebody has, since `last_`
};

// What the requests of one route take. Belongs to the WaitQueue.
struct RouteUse {
  const RouteRules* rules = nullptr;
  std::uint32_t running = 0;
  std::uint32_t running_max = 0;
  std::uint32_t waiting = 0;
  std::uint32_t line_count = 0;
  Line* first = nullptr;  // the lines of its clients, in the order of their turns
  Line* last = nullptr;
  Pace pace;
};

// A place that a stream has; whoever has it gives it back to Dispatch.
struct Place {
  std::shared_ptr<AppWorker> worker;
  RouteUse* route = nullptr;
  Client* client = nullptr;
  Time since{};
  Time answered{};  // when its answer's head came; the holder says so
};

// A stream that waits; a member of it. Gone from the queue when it is destroyed or cancelled.
class Ticket {
 public:
  Ticket() = default;
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;

  std::uint32_t reactor = 0;  // whose stream it is
  std::uint32_t route = 0;    // RouteRules::number
  ClientKey client{};         // nobody: not limited

 private:
  friend class Dispatch;
  friend class TicketList;
  friend class WaitQueue;
  Ticket* previous_ = nullptr;
  Ticket* next_ = nullptr;
  Line* line_ = nullptr;       // where it waits; null: among those that lost their turn
  std::uint64_t arrived_ = 0;  // its number among all that came to wait
  Place granted_;
  enum class At : unsigned char { kNowhere, kQueue, kGrants } at_ = At::kNowhere;
};

class TicketList {
 public:
  bool empty() const { return first_ == nullptr; }
  std::size_t size() const { return size_; }
  Ticket* first() const { return first_; }
  static Ticket* After(const Ticket& ticket) { return ticket.next_; }
  void PushBack(Ticket& ticket);
  void PushFront(Ticket& ticket);
  void Remove(Ticket& ticket);

 private:
  Ticket* first_ = nullptr;
  Ticket* last_ = nullptr;
  std::size_t size_ = 0;
};

// Those of one client that wait for one route. Where no client is limited, all are one.
class Line {
 private:
  friend class WaitQueue;
  TicketList tickets_;
  RouteUse* route_ = nullptr;
  Client* client_ = nullptr;  // null: nobody's, or everybody's
  Line* previous_ = nullptr;  // in the order of turns
  Line* next_ = nullptr;      // the same; or free
  Line* next_of_client_ = nullptr;
  std::uint64_t turn_ = 0;  // when it had its last one, or came
};

// Not shared: Dispatch has the lock. The rules outlive it.
//
//   - Who had its place and lost it goes before all others.
//   - A route that runs as many as it may lets nobody of its own through, and holds up nobody else.
//   - A higher priority goes first; but each eighth time, whoever is next without regard to it.
//   - Where clients have a share, they take turns, and one that runs its share or more goes only if
//     nobody else can. Where they have none, the order is that of arrival.
class WaitQueue {
 public:
  struct Options {
    std::vector<const RouteRules*> routes;  // each at its number
    std::uint32_t queue_max = 0;
    std::uint32_t address_share_max = 100;  // per cent; 100: clients have no share
    std::uint64_t seed = 0;
  };
  explicit WaitQueue(Options options);

  // How many may run at once in all; the routes' and the clients' parts follow from it.
  void SetPlaces(std::uint32_t places);

  std::size_t size() const { return waiting_; }
  RouteUse& RouteOf(const Ticket& ticket) { return routes_[ticket.route]; }
  const RouteUse& RouteOf(const Ticket& ticket) const { return routes_[ticket.route]; }
  static bool HasRoom(const RouteUse& route) { return route.running < route.running_max; }

  enum class Joined : unsigned char { kYes, kFull, kRouteFull, kClientFull };
  Joined PushBack(Ticket& ticket, Time now);
  void PushFront(Ticket& ticket, Time now);  // above all bounds: it was let in before
  void Remove(Ticket& ticket);
  // Takes out the next; null where nobody may run.
  Ticket* TakeNext();

  // The numbers of what runs. `place` keeps the route and the client.
  void Begin(Ticket& ticket, Place& place);
  void End(const Place& place);
  // The same at the end of a request's run; called when the place has been given on.
  void Paced(const Place& place, Time now);

  // How long one that comes now would wait; nothing where that is not known.
  Duration WaitOf(const Ticket& ticket, Time now);
  // Until all of the route that wait now, or all at all, are served.
  enum class Of : unsigned char { kRoute, kAll };
  Duration WaitForAll(const RouteUse& route, Of of, Time now) const;

  static constexpr std::uint32_t kClientsMax = 16'384;
  static constexpr std::uint32_t kFairTurns = 8;

 private:
  bool fair() const { return clients_ != nullptr; }
  bool OverShare(const Client* client) const {
    return client != nullptr && client->running >= client_running_max_;
  }
  Line& LineFor(const Ticket& ticket, RouteUse& route, Client*& client);
  Line* FindLine(const Client& client, const RouteUse& route) const;
  std::uint64_t KeyOf(const Line& line) const;
  Line* FirstOf(const RouteUse& route) const;
  Line* Choose();
  Ticket* TakeReturned();
  void Append(Line& line);
  void Unlink(Line& line);
  void LeaveLine(Ticket& ticket);
  void Counted(RouteUse& route, Time now);

  const Options options_;
  std::vector<RouteUse> routes_;
  std::vector<Line> everybody_;           // a line for each route
  std::unique_ptr<ClientTable> clients_;  // null: they have no share
  std::vector<Line> lines_;               // of clients
  Line* free_line_ = nullptr;
  TicketList returned_;
  std::vector<RouteUse*> waiting_routes_;
  std::size_t waiting_ = 0;
  std::uint32_t running_ = 0;
  std::uint32_t client_running_max_ = 0;
  std::uint32_t client_waiting_max_ = 0;
  std::uint32_t fair_turn_ = 0;
  std::uint64_t number_ = 0;  // of the last that came, or had its turn
  Pace pace_;                 // of all routes
};

}  // namespace onebox::front
