#pragma once
// What must hold whatever a client sends; the fuzz target and the tests of its inputs check it.

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/check.h"
#include "http/request_head.h"
#include "http2/testing.h"

namespace onebox::http2::properties {

// Frames whose heads fit: each is a type, flags, a stream and a size, and then so many bytes. Fuzzing
// bytes alone would find little behind the first frame.
inline std::string FramesOf(std::string_view data) {
  std::string frames;
  while (data.size() >= 4) {
    const auto type = static_cast<std::uint8_t>(data[0] % 12);
    const auto flags = static_cast<std::uint8_t>(data[1]);
    const auto stream = static_cast<std::uint32_t>(data[2] & 15);
    const std::size_t size =
        std::min<std::size_t>(static_cast<std::uint8_t>(data[3]), data.size() - 4);
    frames += Frame(type, flags, stream, data.substr(4, size));
    data.remove_prefix(4 + size);
  }
  return frames;
}

// What the application would have seen.
struct Seen {
  std::vector<std::tuple<StreamId, std::string, std::string, bool>> visits;
  std::vector<Flood> floods;
  int breaches = 0;

  bool operator==(const Seen&) const = default;
};

enum class Fetch : std::uint8_t { kAtTheEnd, kEachTime };

// The types of the frames that are whole.
inline std::string TypesOf(std::string_view& frames) {
  std::string types;
  while (frames.size() >= 9) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(frames[i]); };
    const std::size_t size = std::size_t{byte(0)} << 16 | std::size_t{byte(1)} << 8 | byte(2);
    if (frames.size() < 9 + size) break;
    types.push_back(frames[3]);
    frames.remove_prefix(9 + size);
  }
  return types;
}

inline void CheckFrames(std::string_view sent) {
  TypesOf(sent);
  CHECK(sent.empty());
}

// A client that says GOAWAY, and has no streams, is listened to no more: not to what comes after that, but
// to what came with it.
inline bool SaysGoaway(std::string_view bytes) {
  if (!bytes.starts_with(kPreface)) return false;
  bytes.remove_prefix(kPreface.size());
  return TypesOf(bytes).find(static_cast<char>(NGHTTP2_GOAWAY)) != std::string::npos;
}

inline void CheckVisit(const Site::Visit& visit) {
  if (visit.refused) return;
  http::RequestHead head;
  const auto refused = http::ParseRequestHead(visit.head, http::Limits{}, head);
  if (refused) {
    // Of what the parser refuses, none is about where a line begins and ends: that was checked.
    CHECK(*refused > http::RefusalKind::kConnectNotSupported ||
          *refused == http::RefusalKind::kTargetTooLong ||
          *refused == http::RefusalKind::kHeadTooLarge ||
          *refused == http::RefusalKind::kTooManyFields);
    CHECK(*refused >= http::RefusalKind::kMissingHost ||
          *refused < http::RefusalKind::kBadFieldName);
    return;
  }
  const bool known = head.framing == http::Framing::kContentLength;
  CHECK(!visit.ended || !known || visit.body.size() == head.content_length);
  CHECK(!known || visit.body.size() <= head.content_length);
}

inline Seen Run(std::string_view bytes, std::size_t piece, Fetch fetch) {
  constexpr std::size_t kOutMax = 64 << 10;
  Served served;
  while (!bytes.empty()) {
    served.session.Receive(bytes.substr(0, piece), served.now);
    bytes.remove_prefix(std::min(piece, bytes.size()));
    if (fetch == Fetch::kEachTime)
      served.session.Produce(served.sent, served.sent.size() + kOutMax);
  }
  served.session.Produce(served.sent, served.sent.size() + kOutMax);
  CheckFrames(served.sent);
  Seen seen{.floods = served.site.floods, .breaches = served.site.breaches};
  for (const auto& visit : served.site.visits) {
    CheckVisit(*visit);
    // How much of a body that is refused came before that, the pieces decide.
    const std::string body = visit->refused ? std::string() : visit->body;
    seen.visits.emplace_back(visit->id, visit->head, body, visit->ended);
  }
  return seen;
}

inline void CheckSession(std::string_view data) {
  if (data.empty()) return;
  const auto choice = static_cast<std::uint8_t>(data.front());
  data.remove_prefix(1);
  const std::string frames = choice % 2 == 0 ? std::string(data) : FramesOf(data);
  const std::string bytes = choice % 4 < 2 ? Opening() + frames : frames;
  const std::size_t piece = choice / 4 + 1U;
  const Seen whole = Run(bytes, bytes.size() + 1, Fetch::kAtTheEnd);
  const Seen cut = Run(bytes, piece, Fetch::kAtTheEnd);
  // See kContinuationPiecesMax: of these alone the number of pieces may decide.
  const auto continued = [](const Seen& seen) {
    return std::count(seen.floods.begin(), seen.floods.end(), Flood::kContinuations) > 0;
  };
  CHECK(continued(whole) || continued(cut) || SaysGoaway(bytes) || whole == cut);
  Run(bytes, piece, Fetch::kEachTime);
}

}  // namespace onebox::http2::properties
