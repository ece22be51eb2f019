#include "channel/request.h"

#include "base/wire.h"

namespace onebox::channel {
namespace {

// Of a field at least its two lengths are there: a count above this is a lie that must not be
// reserved for.
constexpr std::size_t kFieldBytesMin = 2 * sizeof(std::uint32_t);

Error BadRequest(const char* why) {
  return {Blame::kSystem, Retry::kNever, 0, why};
}

}  // namespace

void EncodeRequest(std::string& out, const Request& request) {
  Writer writer(out);
  writer.Write(request.deadline);
  writer.Write(request.body_size);
  writer.Write(request.server_port);
  writer.Write(request.client_port);
  writer.Write(request.version_minor);
  writer.Write(request.body_place);
  writer.Write(static_cast<std::uint8_t>(request.cancel_disconnected));
  writer.WriteText(request.method);
  writer.WriteText(request.path);
  writer.WriteText(request.query);
  writer.WriteText(request.target);
  writer.WriteText(request.scheme);
  writer.WriteText(request.server_name);
  writer.WriteText(request.client_address);
  writer.WriteText(request.id);
  writer.Write(static_cast<std::uint32_t>(request.fields.size()));
  for (const Field& field : request.fields) {
    writer.WriteText(field.name);
    writer.WriteText(field.value);
  }
}

Result<Request> DecodeRequest(std::string_view bytes) {
  Reader reader(bytes);
  Request request;
  request.deadline = reader.Read<std::int64_t>();
  request.body_size = reader.Read<std::uint64_t>();
  request.server_port = reader.Read<std::uint16_t>();
  request.client_port = reader.Read<std::uint16_t>();
  request.version_minor = reader.Read<std::uint8_t>();
  const auto place = reader.Read<std::uint8_t>();
  const auto cancel = reader.Read<std::uint8_t>();
  request.method = reader.ReadText();
  request.path = reader.ReadText();
  request.query = reader.ReadText();
  request.target = reader.ReadText();
  request.scheme = reader.ReadText();
  request.server_name = reader.ReadText();
  request.client_address = reader.ReadText();
  request.id = reader.ReadText();
  const auto count = reader.Read<std::uint32_t>();
  if (!reader.ok() || count > reader.rest().size() / kFieldBytesMin) {
    return BadRequest("a request in a channel is cut short");
  }
  request.fields.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string_view name = reader.ReadText();
    const std::string_view value = reader.ReadText();
    request.fields.push_back({name, value});
  }
  if (!reader.ok()) return BadRequest("a request in a channel is cut short");
  if (place > static_cast<std::uint8_t>(BodyPlace::kFile)) {
    return BadRequest("a request's body in a channel is at an unknown place");
  }
  if (cancel > 1) return BadRequest("a request in a channel is neither to be cancelled nor not");
  request.body_place = static_cast<BodyPlace>(place);
  request.cancel_disconnected = cancel == 1;
  request.body = reader.rest();
  const std::uint64_t here = request.body_place == BodyPlace::kInline ? request.body_size : 0;
  const bool none_has_none = request.body_place != BodyPlace::kNone || request.body_size == 0;
  if (request.body.size() != here || !none_has_none) {
    return BadRequest("a request's body in a channel has another size than it says");
  }
  return request;
}

}  // namespace onebox::channel
