#include "front/partial_answer.h"

#include <span>
#include <utility>

#include <fmt/format.h>

#include "http/range.h"
#include "http/response_head.h"
#include "os/random.h"

namespace onebox::front {
namespace {

using PieceOf = std::function<Piece(std::string_view)>;

PartialAnswer Unsatisfiable(const Divisible& whole) {
  std::string range;
  http::AppendUnsatisfiedRange(range, whole.bytes.size());
  std::string fields;
  http::AppendField(fields, "Content-Range", range);
  return {
      .status = 416, .fields = std::make_shared<const std::string>(std::move(fields)), .body = {}};
}

PartialAnswer Part(const Divisible& whole, const PieceOf& piece_of, const http::ByteRange& range) {
  std::string content_range;
  http::AppendContentRange(content_range, range, whole.bytes.size());
  std::string fields(whole.fields);
  if (!whole.media_type.empty()) http::AppendField(fields, "Content-Type", whole.media_type);
  http::AppendField(fields, "Content-Length", range.size());
  http::AppendField(fields, "Content-Range", content_range);
  PartialAnswer answer{
      .status = 206, .fields = std::make_shared<const std::string>(std::move(fields)), .body = {}};
  answer.body.Append(piece_of(whole.bytes.substr(range.first, range.size())));
  return answer;
}

// Nobody can have put the boundary into a file: it is not known before.
std::string NewBoundary() {
  return fmt::format("{:016x}{:016x}", os::Random64(), os::Random64());
}

PartialAnswer Parts(const Divisible& whole,
                    const PieceOf& piece_of,
                    std::span<const http::ByteRange> ranges) {
  const std::string boundary = NewBoundary();
  const http::Multipart multipart{
      .boundary = boundary, .media_type = whole.media_type, .size = whole.bytes.size()};
  std::string fields(whole.fields);
  http::AppendField(fields, "Content-Type", "multipart/byteranges; boundary=" + boundary);
  http::AppendField(fields, "Content-Length", http::MultipartBytes(multipart, ranges));
  PartialAnswer answer{
      .status = 206, .fields = std::make_shared<const std::string>(std::move(fields)), .body = {}};
  for (const http::ByteRange& range : ranges) {
    auto label = std::make_shared<std::string>();
    http::AppendPartHead(*label, multipart, range);
    answer.body.Append({.owner = label, .bytes = *label});
    answer.body.Append(piece_of(whole.bytes.substr(range.first, range.size())));
  }
  auto end = std::make_shared<std::string>();
  http::AppendMultipartEnd(*end, multipart);
  answer.body.Append({.owner = end, .bytes = *end});
  return answer;
}

}  // namespace

PartialAnswer PartialOf(std::string_view range, const Divisible& whole, const PieceOf& piece_of) {
  const auto ranges = http::ParseRange(range, whole.bytes.size());
  switch (ranges.outcome) {
    case http::RangeOutcome::kWhole:
      return {};
    case http::RangeOutcome::kUnsatisfiable:
      return Unsatisfiable(whole);
    case http::RangeOutcome::kPartial:
      break;
  }
  if (ranges.count == 1) return Part(whole, piece_of, ranges.slots[0]);
  return Parts(whole, piece_of, ranges.ranges());
}

}  // namespace onebox::front
