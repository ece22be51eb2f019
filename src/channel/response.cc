#include "channel/response.h"

#include <cstring>

#include "base/check.h"
#include "base/wire.h"

namespace onebox::channel {
namespace {

constexpr std::size_t kFieldBytesMin = 2 * sizeof(std::uint32_t);

Error BadHead() {
  return {Blame::kApp,
          Retry::kNever,
          0,
          "a response's head in a channel has another size than it says"};
}

}  // namespace

void EncodeResponseHead(std::string& out, const ResponseHead& head) {
  Writer writer(out);
  writer.Write(head.content_length.value_or(0));
  writer.Write(head.status);
  writer.Write(static_cast<std::uint16_t>(head.content_length.has_value()));
  writer.Write(static_cast<std::uint32_t>(head.fields.size()));
  writer.WriteText(head.reason);
  for (const Field& field : head.fields) {
    writer.WriteText(field.name);
    writer.WriteText(field.value);
  }
}

void SetContentLength(std::string& encoded, std::uint64_t length) {
  constexpr std::uint16_t kHasLength = 1;
  constexpr std::size_t kHasLengthOffset = sizeof length + sizeof(ResponseHead::status);
  CHECK(encoded.size() >= kHasLengthOffset + sizeof kHasLength);
  std::memcpy(encoded.data(), &length, sizeof length);
  std::memcpy(encoded.data() + kHasLengthOffset, &kHasLength, sizeof kHasLength);
}

Result<ResponseHead> DecodeResponseHead(std::string_view bytes) {
  Reader reader(bytes);
  ResponseHead head;
  const auto length = reader.Read<std::uint64_t>();
  head.status = reader.Read<std::uint16_t>();
  if (reader.Read<std::uint16_t>() != 0) head.content_length = length;
  const auto count = reader.Read<std::uint32_t>();
  head.reason = reader.ReadText();
  if (!reader.ok() || count > reader.rest().size() / kFieldBytesMin) return BadHead();
  head.fields.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string_view name = reader.ReadText();
    const std::string_view value = reader.ReadText();
    head.fields.push_back({name, value});
  }
  if (!reader.ok() || !reader.rest().empty()) return BadHead();
  return head;
}

}  // namespace onebox::channel
