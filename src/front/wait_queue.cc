#include "front/wait_queue.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace onebox::front {
namespace {

std::uint32_t PartOf(std::uint32_t whole, std::uint32_t per_cent) {
  const std::uint64_t part = std::uint64_t{whole} * per_cent / 100;
  return std::max<std::uint32_t>(1, static_cast<std::uint32_t>(part));
}

}  // namespace

// --- pace

void Pace::Waits(Time now) {
  if (std::exchange(waited_, true)) return;
  last_ = now;
}

void Pace::Ends(Time now, bool others_wait) {
  if (waited_) {
    const Duration since = now - last_;
    if (ends_ < kEndsKept) ++ends_;  // until then it is their mean
    each_ += (since - each_) / static_cast<std::int64_t>(ends_);
  }
  last_ = now;
  waited_ = others_wait;
}

// What has not ended for long is slower than what ended before it.
Duration Pace::Now(Time now, std::uint32_t running) const {
  if (!waited_) return each_;
  return std::max(each_, (now - last_) / std::max<std::uint32_t>(1, running));
}

// --- lists

void TicketList::PushBack(Ticket& ticket) {
  ticket.previous_ = last_;
  ticket.next_ = nullptr;
  (last_ != nullptr ? last_->next_ : first_) = &ticket;
  last_ = &ticket;
  ++size_;
}

void TicketList::PushFront(Ticket& ticket) {
  ticket.next_ = first_;
  ticket.previous_ = nullptr;
  (first_ != nullptr ? first_->previous_ : last_) = &ticket;
  first_ = &ticket;
  ++size_;
}

void TicketList::Remove(Ticket& ticket) {
  (ticket.previous_ != nullptr ? ticket.previous_->next_ : first_) = ticket.next_;
  (ticket.next_ != nullptr ? ticket.next_->previous_ : last_) = ticket.previous_;
  ticket.previous_ = ticket.next_ = nullptr;
  --size_;
}

void WaitQueue::Append(Line& line) {
  RouteUse& route = *line.route_;
  line.turn_ = ++number_;
  line.previous_ = route.last;
  line.next_ = nullptr;
  (route.last != nullptr ? route.last->next_ : route.first) = &line;
  route.last = &line;
  ++route.line_count;
}

void WaitQueue::Unlink(Line& line) {
  RouteUse& route = *line.route_;
  (line.previous_ != nullptr ? line.previous_->next_ : route.first) = line.next_;
  (line.next_ != nullptr ? line.next_->previous_ : route.last) = line.previous_;
  line.previous_ = line.next_ = nullptr;
  --route.line_count;
}

// --- who waits

WaitQueue::WaitQueue(Options options)
    : options_(std::move(options)),
      routes_(options_.routes.size()),
      everybody_(options_.routes.size()) {
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    routes_[i].rules = options_.routes[i];
    everybody_[i].route_ = &routes_[i];
  }
  waiting_routes_.reserve(routes_.size());
  if (options_.address_share_max < 100) {
    clients_ = std::make_unique<ClientTable>(kClientsMax, options_.seed);
    lines_ = std::vector<Line>(kClientsMax);
    for (Line& line : lines_) {
      line.next_ = std::exchange(free_line_, &line);
    }
  }
  client_waiting_max_ = PartOf(options_.queue_max, options_.address_share_max);
  SetPlaces(0);
}

void WaitQueue::SetPlaces(std::uint32_t places) {
  for (RouteUse& route : routes_) {
    const RouteRules& rules = *route.rules;
    route.running_max = UINT32_MAX;  // who has no limit is given what Dispatch has
    if (rules.share_max < 100) route.running_max = PartOf(places, rules.share_max);
    if (rules.concurrency_max > 0) {
      route.running_max = std::min(route.running_max, rules.concurrency_max);
    }
  }
  client_running_max_ = PartOf(places, options_.address_share_max);
}

Line* WaitQueue::FindLine(const Client& client, const RouteUse& route) const {
  Line* line = client.lines;
  while (line != nullptr && line->route_ != &route) {
    line = line->next_of_client_;
  }
  return line;
}

// Where there is no line left the client waits with everybody, and is not limited.
Line& WaitQueue::LineFor(const Ticket& ticket, RouteUse& route, Client*& client) {
  Line& everybody = everybody_[ticket.route];
  client = nullptr;
  if (!fair() || ticket.client.kind == ClientKey::Kind::kNobody) return everybody;
  client = clients_->Find(ticket.client);
  if (client == nullptr) return everybody;
  if (Line* const line = FindLine(*client, route)) return *line;
  if (free_line_ == nullptr) {
    clients_->Release(*std::exchange(client, nullptr));
    return everybody;
  }
  Line& line = *std::exchange(free_line_, free_line_->next_);
  line.next_ = nullptr;
  line.route_ = &route;
  line.client_ = client;
  line.next_of_client_ = std::exchange(client->lines, &line);
  return line;
}

void WaitQueue::Counted(RouteUse& route, Time now) {
  ++waiting_;
  pace_.Waits(now);
  if (route.waiting++ == 0) waiting_routes_.push_back(&route);
  route.pace.Waits(now);
}

WaitQueue::Joined WaitQueue::PushBack(Ticket& ticket, Time now) {
  RouteUse& route = RouteOf(ticket);
  if (waiting_ >= options_.queue_max) return Joined::kFull;
  if (route.waiting >= route.rules->queue_max) return Joined::kRouteFull;
  Client* client = nullptr;
  if (fair() && ticket.client.kind != ClientKey::Kind::kNobody) {
    const Client* const known = clients_->Find(ticket.client);
    if (known != nullptr && known->waiting >= client_waiting_max_) return Joined::kClientFull;
  }
  Line& line = LineFor(ticket, route, client);
  if (client != nullptr) ++client->waiting;
  if (line.tickets_.empty()) Append(line);
  ticket.line_ = &line;
  ticket.arrived_ = ++number_;
  line.tickets_.PushBack(ticket);
  Counted(route, now);
  return Joined::kYes;
}

void WaitQueue::PushFront(Ticket& ticket, Time now) {
  ticket.line_ = nullptr;
  returned_.PushFront(ticket);
  Counted(RouteOf(ticket), now);
}

void WaitQueue::Remove(Ticket& ticket) {
  RouteUse& route = RouteOf(ticket);
  --waiting_;
  if (--route.waiting == 0) std::erase(waiting_routes_, &route);
  if (ticket.line_ == nullptr) return returned_.Remove(ticket);
  LeaveLine(ticket);
}

void WaitQueue::LeaveLine(Ticket& ticket) {
  Line& line = *std::exchange(ticket.line_, nullptr);
  line.tickets_.Remove(ticket);
  if (line.tickets_.empty()) Unlink(line);
  if (line.client_ == nullptr) return;
  Client& client = *line.client_;
  --client.waiting;
  if (line.tickets_.empty()) {
    Line** link = &client.lines;
    while (*link != &line) {
      link = &(*link)->next_of_client_;
    }
    *link = std::exchange(line.next_of_client_, nullptr);
    line.client_ = nullptr;
    line.next_ = std::exchange(free_line_, &line);
  }
  clients_->Release(client);
}

// --- who is next

std::uint64_t WaitQueue::KeyOf(const Line& line) const {
  return fair() ? line.turn_ : line.tickets_.first()->arrived_;
}

// No more lines are passed over than clients can have their share: 100 / share of them.
Line* WaitQueue::FirstOf(const RouteUse& route) const {
  Line* line = route.first;
  while (line != nullptr && OverShare(line->client_)) {
    line = line->next_;
  }
  return line;
}

Line* WaitQueue::Choose() {
  Line* first = nullptr;     // without regard to priority
  Line* foremost = nullptr;  // with it
  Line* over = nullptr;      // of clients that have their share
  const auto priority = [](const Line& line) { return line.route_->rules->priority; };
  const auto before = [this](const Line& one, const Line* other) {
    return other == nullptr || KeyOf(one) < KeyOf(*other);
  };
  for (RouteUse* const route : waiting_routes_) {
    if (!HasRoom(*route) || route->first == nullptr) continue;
    Line* const line = FirstOf(*route);
    if (line == nullptr) {
      if (before(*route->first, over)) over = route->first;
      continue;
    }
    if (before(*line, first)) first = line;
    const bool higher = foremost == nullptr || priority(*line) < priority(*foremost) ||
                        (priority(*line) == priority(*foremost) && before(*line, foremost));
    if (higher) foremost = line;
  }
  if (first == nullptr) return over;
  if (first == foremost) return first;
  fair_turn_ = (fair_turn_ + 1) % kFairTurns;
  return fair_turn_ == 0 ? first : foremost;
}

Ticket* WaitQueue::TakeReturned() {
  Ticket* ticket = returned_.first();
  while (ticket != nullptr && !HasRoom(RouteOf(*ticket))) {
    ticket = TicketList::After(*ticket);
  }
  return ticket;
}

Ticket* WaitQueue::TakeNext() {
  if (waiting_ == 0) return nullptr;
  Ticket* ticket = TakeReturned();
  if (ticket == nullptr) {
    Line* const line = Choose();
    if (line == nullptr) return nullptr;
    ticket = line->tickets_.first();
    if (fair() && line->next_ != nullptr) {
      Unlink(*line);
      Append(*line);
    } else {
      line->turn_ = ++number_;
    }
  }
  Remove(*ticket);
  return ticket;
}

// --- what runs

void WaitQueue::Begin(Ticket& ticket, Place& place) {
  RouteUse& route = RouteOf(ticket);
  ++route.running;
  ++running_;
  place.route = &route;
  place.client = nullptr;
  if (!fair() || ticket.client.kind == ClientKey::Kind::kNobody) return;
  place.client = clients_->Find(ticket.client);
  if (place.client != nullptr) ++place.client->running;
}

void WaitQueue::End(const Place& place) {
  CHECK(place.route->running > 0);
  --place.route->running;
  --running_;
  if (place.client == nullptr) return;
  --place.client->running;
  clients_->Release(*place.client);
}

void WaitQueue::Paced(const Place& place, Time now) {
  place.route->pace.Ends(now, place.route->waiting > 0);
  pace_.Ends(now, waiting_ > 0);
}

// With turns, nobody stands before it but one of each line for each of its own.
Duration WaitQueue::WaitOf(const Ticket& ticket, Time now) {
  const RouteUse& route = RouteOf(ticket);
  if (!route.pace.known()) return {};
  std::uint64_t before = route.waiting;
  if (fair() && ticket.client.kind != ClientKey::Kind::kNobody) {
    Client* const client = clients_->Find(ticket.client);
    const Line* const line = client == nullptr ? nullptr : FindLine(*client, route);
    const std::uint64_t own = line == nullptr ? 0 : line->tickets_.size();
    if (client != nullptr) clients_->Release(*client);  // it may have none yet
    before = std::min(before, (own + 1) * route.line_count);
  }
  return route.pace.Now(now, route.running) * static_cast<std::int64_t>(before + 1);
}

Duration WaitQueue::WaitForAll(const RouteUse& route, Of of, Time now) const {
  if (of == Of::kAll) return pace_.Now(now, running_) * static_cast<std::int64_t>(waiting_);
  return route.pace.Now(now, route.running) * static_cast<std::int64_t>(route.waiting);
}

}  // namespace onebox::front
