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
    benchmark::DoNotOptimize(router.Match(http::Method::kGet, path));
  }
}
BENCHMARK_CAPTURE(BM_Route, none, "/nations/42/cities")->Arg(0)->Arg(1)->Arg(10)->Arg(100);
BENCHMARK_CAPTURE(BM_Route, last, "/api/v1/thing98/export")->Arg(100);

}  // namespace
}  // namespace onebox::front
