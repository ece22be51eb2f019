#pragma once
// An answer of the app on its way to the client: its fields checked, ours added, its body compressed
// where both sides want that.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "channel/response.h"
#include "front/compress_filter.h"
#include "front/responder.h"
#include "http/request_head.h"
#include "os/fd.h"

namespace onebox::front {

class Shard;

// Of the fields of an answer: those that the app's side does not decide.
bool IsOursToSay(std::string_view name);

// One answer: Begin(), then Append() in any number, AppendFile() last. The strings outlive it.
class AnswerWriter {
 public:
  struct Request {
    std::string_view head_bytes;
    std::string_view id;
    http::Method method;
    const std::string& more_fields;  // whole lines that go with the answer
    const HeaderRules* rules;        // of its answer
  };
  // `fields` is where those that were sent are copied to, if the access log shows some.
  AnswerWriter(Shard& shard,
               Responder& responder,
               const http::RequestHead& head,
               const Request& request,
               std::string& fields);

  // False where one of the fields is none: nothing was sent.
  bool Begin(const channel::ResponseHead& head, std::string_view body, channel::End end);
  void Append(std::string_view bytes, channel::End end);
  // The last of the body. It is sent by AppendFileParts().
  void AppendFile(os::Fd file, std::uint64_t offset, std::uint64_t size, channel::End end);

  enum class FileState : std::uint8_t { kNone, kWaits, kSent, kBroken };
  // As much as the client takes, and a few pieces a turn. Whoever calls says the end.
  FileState AppendFileParts();
  bool has_file() const { return file_.valid(); }

  // Whether less has come than the answer's Content-Length promised.
  bool IsShort() const { return framing_ == Framing::kLength && left_ > 0; }
  std::uint64_t body_bytes() const { return body_bytes_; }  // as sent

 private:
  struct Negotiated {
    bool may_be_coded = false;  // other clients may get it coded
    bool is_coded = false;
  };
  bool WantsCompression(const channel::ResponseHead& head, std::string_view body) const;
  bool KnowsItAsWeak(std::string_view etag) const;
  bool WriteFields(std::string& out, const channel::ResponseHead& head, Negotiated negotiated);
  void Compress(std::string_view bytes, bool last, std::string& out);
  std::string_view Coded(std::string_view bytes, bool last);
  std::string_view Cut(std::string_view bytes);

  Shard& shard_;
  Responder& responder_;
  const Request request_;
  std::string& answer_fields_;
  std::unique_ptr<CompressFilter> compress_;
  std::uint64_t left_ = 0;  // of the promised Content-Length
  std::uint64_t body_bytes_ = 0;
  os::Fd file_;  // while its bytes pass through our hands
  std::uint64_t file_offset_ = 0;
  std::uint64_t file_left_ = 0;
  http::Coding coding_ = http::Coding::kIdentity;  // what the client would take
  Framing framing_ = Framing::kNone;
  bool sending_file_ = false;
};

}  // namespace onebox::front
