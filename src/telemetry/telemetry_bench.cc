#include <array>
#include <string>

#include <benchmark/benchmark.h>

#include "telemetry/access_log.h"
#include "telemetry/metrics.h"

namespace onebox::telemetry {
namespace {

constexpr std::array kFields = {
    NamedField{"Host", "www.example.com"},
    NamedField{"User-Agent",
               "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
    NamedField{"Accept", "*/*"},
    NamedField{"Referer", "https://www.example.com/nations/42"},
};

void BM_AccessLine(benchmark::State& state, std::string_view text) {
  AccessFormat format = AccessFormat::Parse(text).value();
  AccessRecord record;
  record.time = WallTime(std::chrono::seconds(1'795'467'600));
  record.client = "192.0.2.7";
  record.method = "GET";
  record.target = "/nations/42/cities?page=3&sort=infrastructure";
  record.protocol = "HTTP/1.1";
  record.status = 200;
  record.body_bytes = 5120;
  record.total = std::chrono::microseconds(1234);
  record.request_fields = FieldLookup(kFields);
  std::string out;
  out.reserve(1 << 16);
  for (auto _ : state) {
    out.clear();
    format.Append(out, record);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK_CAPTURE(BM_AccessLine, combined, "combined");
BENCHMARK_CAPTURE(BM_AccessLine, json, "json");

void BM_CountRequest(benchmark::State& state) {
  Metrics metrics = Metrics::Create(1).value();
  Lane lane = metrics.lane(0);
  for (auto _ : state) {
    lane.CountAnswer(200, Step::kWrite);
    lane.Observe(Histogram::kTotal, std::chrono::microseconds(1234));
    lane.Add(Counter::kBytesSent, 5120);
  }
}
BENCHMARK(BM_CountRequest);

}  // namespace
}  // namespace onebox::telemetry
