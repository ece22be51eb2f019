#include "http/request_head.h"

#include <benchmark/benchmark.h>

#include "http/chunked.h"
#include "http/date.h"
#include "http/head_scanner.h"
#include "http/path.h"

namespace onebox::http {
namespace {

constexpr std::string_view kBrowserHead =
    "GET /nations/42/cities?page=3&sort=infrastructure HTTP/1.1\r\n"
    "Host: www.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Connection: keep-alive\r\n"
    "Cookie: session=eyJ1c2VyX2lkIjo0Mn0.ZxYz0A.abcdefghijklmnop\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "\r\n";

constexpr std::string_view kShortHead = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

void BM_ScanAndParse(benchmark::State& state, std::string_view bytes) {
  const Limits limits;
  HeadScanner scanner(limits);
  RequestHead head;
  for (auto _ : state) {
    const auto progress = scanner.Scan(bytes);
    const auto refused = ParseRequestHead(bytes.substr(0, progress.end), limits, head);
    benchmark::DoNotOptimize(refused);
    benchmark::DoNotOptimize(head);
    scanner.Reset();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
}
BENCHMARK_CAPTURE(BM_ScanAndParse, browser, kBrowserHead);
BENCHMARK_CAPTURE(BM_ScanAndParse, shortest, kShortHead);

void BM_ScanAlone(benchmark::State& state) {
  HeadScanner scanner((Limits()));
  for (auto _ : state) {
    benchmark::DoNotOptimize(scanner.Scan(kBrowserHead));
    scanner.Reset();
  }
}
BENCHMARK(BM_ScanAlone);

void BM_NormalizePath(benchmark::State& state, std::string_view path) {
  std::string storage;
  NormalPath normal;
  for (auto _ : state) {
    benchmark::DoNotOptimize(NormalizePath(path, storage, normal));
    benchmark::DoNotOptimize(normal);
  }
}
BENCHMARK_CAPTURE(BM_NormalizePath, plain, "/nations/42/cities");
BENCHMARK_CAPTURE(BM_NormalizePath, encoded, "/nations/S%C3%A3o%20Tom%C3%A9/../cities");

void BM_DecodeChunks(benchmark::State& state) {
  std::string body;
  const std::string data(1000, 'x');
  for (int i = 0; i < 16; ++i)
    AppendChunk(body, data);
  body += kLastChunk;
  for (auto _ : state) {
    ChunkedDecoder decoder;
    std::string_view rest = body;
    ChunkedDecoder::Step step;
    do {
      step = decoder.Feed(rest);
      rest.remove_prefix(step.consumed);
      benchmark::DoNotOptimize(step);
    } while (step.state == ChunkedDecoder::State::kData);
  }
}
BENCHMARK(BM_DecodeChunks);

void BM_FormatDate(benchmark::State& state) {
  std::int64_t seconds = 1'700'000'000;
  for (auto _ : state)
    benchmark::DoNotOptimize(FormatDate(++seconds));
}
BENCHMARK(BM_FormatDate);

}  // namespace
}  // namespace onebox::http
