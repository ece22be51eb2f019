#include "webcache/flights.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace onebox::webcache {

Flights::Joined Flights::Join(std::string_view key, std::uint64_t hash, std::uint32_t reactor) {
  Part& part = PartOf(hash);
  const std::lock_guard lock(part.mutex);
  const auto found = part.flights.find(key);
  if (found == part.flights.end()) {
    auto flight = std::make_shared<Flight>(std::string(key), hash);
    part.flights.emplace(flight->key_, flight);
    return {Role::kLead, std::move(flight)};
  }
  Flight& flight = *found->second;
  if (flight.waiters_ >= kWaitersMax) return {Role::kAlone, nullptr};
  ++flight.waiters_;
  auto& reactors = flight.reactors_;
  if (std::find(reactors.begin(), reactors.end(), reactor) == reactors.end()) {
    reactors.push_back(reactor);
  }
  return {Role::kWait, found->second};
}

FlightRef Flights::Lead(std::string_view key, std::uint64_t hash) {
  Part& part = PartOf(hash);
  const std::lock_guard lock(part.mutex);
  if (part.flights.contains(key)) return nullptr;
  auto flight = std::make_shared<Flight>(std::string(key), hash);
  part.flights.emplace(flight->key_, flight);
  return flight;
}

std::vector<std::uint32_t> Flights::Land(Flight& flight, Landed landed, AnswerRef answer) {
  Part& part = PartOf(flight.hash_);
  const std::lock_guard lock(part.mutex);
  CHECK(flight.landed_ == Landed::kNotYet);
  flight.landed_ = landed;
  flight.answer_ = std::move(answer);
  const auto found = part.flights.find(flight.key_);
  CHECK(found != part.flights.end() && found->second.get() == &flight);
  part.flights.erase(found);
  return std::move(flight.reactors_);
}

}  // namespace onebox::webcache
