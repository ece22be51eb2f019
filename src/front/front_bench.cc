#include <string>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "front/dispatch.h"
#include "front/router.h"

namespace onebox::front {
namespace {

Settings ManyRoutes(int count) {
  Settings settings;
  for (int i = 0; i < count; ++i) {
    const char* const shapes[] = {"/api/v1/thing{}", "/api/v1/things{}/*", "/api/*/thing{}/export"};
    settings.routes.push_back({fmt::format(fmt::runtime(shapes[i % 3]), i), 0, {}});
  }
  return settings;
}

void BM_Route(benchmark::State& state, const std::string& path) {
  const Settings settings = ManyRoutes(static_cast<int>(state.range(0)));
  const Router router(settings);
  for (auto _ : state) {
    benchmark::DoNotOptimize(router.Match("game.example", http::Method::kGet, path));
  }
}
BENCHMARK_CAPTURE(BM_Route, none, "/nations/42/cities")->Arg(0)->Arg(1)->Arg(10)->Arg(100);
BENCHMARK_CAPTURE(BM_Route, last, "/api/v1/thing98/export")->Arg(100);

WaitQueue::Options QueueOf(const Settings& settings, std::uint32_t address_share_max) {
  WaitQueue::Options options{
      .routes = {}, .queue_max = 100, .address_share_max = address_share_max};
  for (const Route& route : settings.routes) {
    options.routes.push_back(&route.rules);
  }
  options.routes.push_back(&settings.rest);
  return options;
}

// A place that is free, taken and given back. Arguments: routes, the share of an address.
void BM_Place(benchmark::State& state) {
  const Settings settings = ManyRoutes(static_cast<int>(state.range(0)));
  Dispatch dispatch({.reactors = 1,
                     .queue = QueueOf(settings, static_cast<std::uint32_t>(state.range(1))),
                     .concurrency = {},
                     .wake = [](std::uint32_t) {}});
  Time now{};
  dispatch.Join(1, 1, {.threads = 4}, now);
  Ticket ticket;
  ticket.client = {ClientKey::Kind::kV4, 1};
  Place place;
  for (auto _ : state) {
    dispatch.Enter(ticket, Dispatch::Position::kBack, now, place);
    now += std::chrono::microseconds(50);
    dispatch.Leave(place, now);
  }
}
BENCHMARK(BM_Place)->Args({0, 100})->Args({100, 100})->Args({0, 50});

// The same where all is taken: it waits, and is granted the place that another gives back.
void BM_Queued(benchmark::State& state) {
  const Settings settings = ManyRoutes(static_cast<int>(state.range(0)));
  Dispatch dispatch({.reactors = 1,
                     .queue = QueueOf(settings, static_cast<std::uint32_t>(state.range(1))),
                     .concurrency = {},
                     .wake = [](std::uint32_t) {}});
  Time now{};
  dispatch.Join(1, 1, {.threads = 1}, now);
  Ticket running, waiting;
  waiting.client = {ClientKey::Kind::kV4, 1};
  Place place, none;
  dispatch.Enter(running, Dispatch::Position::kBack, now, place);
  for (auto _ : state) {
    dispatch.Enter(waiting, Dispatch::Position::kBack, now, none);
    now += std::chrono::milliseconds(50);
    dispatch.Leave(place, now);
    dispatch.TakeGrant(0, place);
  }
}
BENCHMARK(BM_Queued)->Args({0, 100})->Args({100, 100})->Args({0, 50});

}  // namespace
}  // namespace onebox::front
