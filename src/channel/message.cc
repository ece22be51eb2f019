#include "channel/message.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/wire.h"

namespace onebox::channel {
namespace {

Error BadMessage(std::string why) {
  return {Blame::kApp, Retry::kNever, 0, std::move(why)};
}

std::string Begin(MessageKind kind) {
  std::string out;
  Writer(out).Write(kind);
  return out;
}

Result<Reader> Open(std::string_view bytes, MessageKind kind) {
  Reader reader(bytes);
  if (reader.Read<MessageKind>() != kind || !reader.ok()) {
    return BadMessage("a channel's message is of another kind than expected");
  }
  return reader;
}

Status Whole(const Reader& reader) {
  if (reader.ok() && reader.rest().empty()) return Done();
  return BadMessage("a channel's message has a wrong size");
}

Status SameVersion(std::uint32_t version) {
  if (version == kVersion) return Done();
  return BadMessage(
      fmt::format("front and worker are of different releases: they speak channel version {} and "
                  "{}; restart Onebox",
                  kVersion,
                  version));
}

Status PossibleThreads(std::uint32_t threads) {
  if (threads >= 1 && threads <= kThreadsMax) return Done();
  return BadMessage(fmt::format("a worker has 1 to {} threads, not {}", kThreadsMax, threads));
}

}  // namespace

std::string Encode(const Hello& hello) {
  std::string out = Begin(MessageKind::kHello);
  Writer writer(out);
  writer.Write(hello.version);
  writer.Write(hello.pid);
  writer.Write(hello.number);
  writer.Write(hello.threads);
  writer.Write(hello.ahead);
  writer.WriteText(std::string_view(hello.app).substr(0, kDescriptionBytesMax));
  writer.WriteText(std::string_view(hello.python).substr(0, kDescriptionBytesMax));
  return out;
}

Result<Hello> DecodeHello(std::string_view bytes) {
  Reader reader = TRY(Open(bytes, MessageKind::kHello));
  Hello hello;
  hello.version = reader.Read<std::uint32_t>();
  TRY(SameVersion(hello.version));  // first: a later version may have another size
  hello.pid = reader.Read<std::int32_t>();
  hello.number = reader.Read<std::uint32_t>();
  hello.threads = reader.Read<std::uint32_t>();
  hello.ahead = reader.Read<std::uint32_t>();
  hello.app = reader.ReadText();
  hello.python = reader.ReadText();
  TRY(Whole(reader));
  TRY(PossibleThreads(hello.threads));
  if (hello.ahead > kAheadMax) {
    return BadMessage(fmt::format("a worker is at most {} requests ahead", kAheadMax));
  }
  if (std::max(hello.app.size(), hello.python.size()) > kDescriptionBytesMax) {
    return BadMessage(fmt::format("a worker describes itself in {} bytes", kDescriptionBytesMax));
  }
  return hello;
}

std::string Encode(const Welcome& welcome) {
  std::string out = Begin(MessageKind::kWelcome);
  Writer writer(out);
  writer.Write(welcome.version);
  writer.Write(welcome.slots);
  return out;
}

Result<Welcome> DecodeWelcome(std::string_view bytes) {
  Reader reader = TRY(Open(bytes, MessageKind::kWelcome));
  Welcome welcome;
  welcome.version = reader.Read<std::uint32_t>();
  TRY(SameVersion(welcome.version));
  welcome.slots = reader.Read<std::uint32_t>();
  TRY(Whole(reader));
  if (welcome.slots < 1 || welcome.slots > kSlotsMax) {
    return BadMessage(fmt::format("a channel has 1 to {} slots, not {}", kSlotsMax, welcome.slots));
  }
  return welcome;
}

std::string Encode(const FileMessage& file) {
  std::string out = Begin(MessageKind::kFile);
  Writer writer(out);
  writer.Write(file.slot);
  writer.Write(file.generation);
  return out;
}

Result<FileMessage> DecodeFileMessage(std::string_view bytes) {
  Reader reader = TRY(Open(bytes, MessageKind::kFile));
  FileMessage file;
  file.slot = reader.Read<std::uint32_t>();
  file.generation = reader.Read<std::uint32_t>();
  TRY(Whole(reader));
  return file;
}

}  // namespace onebox::channel
