#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "http/properties.h"

namespace onebox::http {
namespace {

// The seeds in fuzz/<target>/ and what fuzzing found in fuzz/<target>/regression/: each input is tried
// again, whole and cut at each byte. A property that does not hold aborts.
void Replay(std::string_view target, void (*check)(std::string_view)) {
  const auto root = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  int replayed = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root / "fuzz" / target)) {
    if (!entry.is_regular_file()) continue;
    SCOPED_TRACE(entry.path().string());
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string input{std::istreambuf_iterator<char>(file), {}};
    for (std::size_t size = 0; size <= input.size(); ++size)
      check({input.data(), size});
    ++replayed;
  }
  EXPECT_GT(replayed, 0);
}

TEST(FuzzedInputs, OfHeadsHoldTheirProperties) {
  Replay("request_head_fuzz", properties::CheckRequestHead);
}
TEST(FuzzedInputs, OfChunkedBodiesHoldTheirProperties) {
  Replay("chunked_fuzz", properties::CheckChunked);
}
TEST(FuzzedInputs, OfPathsHoldTheirProperties) {
  Replay("path_fuzz", properties::CheckPath);
}
TEST(FuzzedInputs, OfNegotiationHoldTheirProperties) {
  Replay("negotiation_fuzz", properties::CheckNegotiation);
}

}  // namespace
}  // namespace onebox::http
