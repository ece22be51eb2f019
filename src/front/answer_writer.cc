#include "front/answer_writer.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/ascii.h"
#include "front/shard.h"
#include "http/media_type.h"
#include "http/negotiate.h"
#include "http/response_head.h"
#include "os/file.h"
#include "webcache/rules.h"

namespace onebox::front {
namespace {

// Of the body as the app sent it, which the coded one does not have any more.
bool IsDigest(std::string_view name) {
  constexpr std::array<std::string_view, 4> kNames = {
      "Content-Digest", "Repr-Digest", "Digest", "Content-MD5"};
  return std::any_of(kNames.begin(), kNames.end(), [name](std::string_view digest) {
    return EqualsIgnoreCase(name, digest);
  });
}

bool VariesByEncoding(const channel::ResponseHead& head) {
  return std::any_of(head.fields.begin(), head.fields.end(), [](const channel::Field& field) {
    return EqualsIgnoreCase(field.name, "Vary") &&
           (field.value == "*" ||
            Lowered(field.value).find("accept-encoding") != std::string::npos);
  });
}

}  // namespace

bool IsOursToSay(std::string_view name) {
  constexpr std::array<std::string_view, 7> kNames = {"Connection",
                                                      "Keep-Alive",
                                                      "Transfer-Encoding",
                                                      "Content-Length",
                                                      "Upgrade",
                                                      "Trailer",
                                                      "X-Request-ID"};
  return std::any_of(kNames.begin(), kNames.end(), [&](std::string_view ours) {
    return EqualsIgnoreCase(name, ours);
  });
}

AnswerWriter::AnswerWriter(Shard& shard,
                           Responder& responder,
                           const http::RequestHead& head,
                           const Request& request,
                           std::string& fields)
    : shard_(shard), responder_(responder), request_(request), answer_fields_(fields) {
  const CompressionSettings& compression = shard_.settings().compression;
  if (compression.enabled && head.Has(http::KnownField::kAcceptEncoding)) {
    coding_ =
        http::AcceptedCodings(head).Choose(compression.codings).value_or(http::Coding::kIdentity);
  }
}

// A body whose length nobody knows is compressed chunk by chunk, so that none of them waits; where
// they are small that gains nothing.
bool AnswerWriter::WantsCompression(const channel::ResponseHead& head,
                                    std::string_view body) const {
  const CompressionSettings& settings = shard_.settings().compression;
  if (!settings.enabled || head.status == 206 || !http::StatusHasBody(head.status)) return false;
  if (head.content_length.value_or(body.size()) < settings.bytes_min) return false;
  bool compressible = false;
  for (const channel::Field& field : head.fields) {
    if (EqualsIgnoreCase(field.name, "Content-Encoding") || IsDigest(field.name)) return false;
    if (EqualsIgnoreCase(field.name, "X-Accel-Buffering") && EqualsIgnoreCase(field.value, "no")) {
      return false;  // what apps say to nginx of a stream
    }
    if (EqualsIgnoreCase(field.name, "Cache-Control") &&
        Lowered(field.value).find("no-transform") != std::string::npos) {
      return false;
    }
    if (EqualsIgnoreCase(field.name, "Content-Type")) {
      compressible = http::IsCompressible(field.value, settings.types);
    }
  }
  return compressible;
}

// The client asks whether what it has is right: the coded form that we sent, by the tag that we gave it.
bool AnswerWriter::KnowsItAsWeak(std::string_view etag) const {
  return coding_ != http::Coding::kIdentity &&
         request_.head_bytes.find(fmt::format("W/{}", etag)) != std::string::npos;
}

// The app's fields and ours; false where one of them is none.
bool AnswerWriter::WriteFields(std::string& out,
                               const channel::ResponseHead& head,
                               Negotiated negotiated) {
  bool date = false, server = false;
  bool vary = !negotiated.may_be_coded || VariesByEncoding(head);
  for (const channel::Field& field : head.fields) {
    if (!http::IsValidFieldName(field.name) || !http::IsValidFieldValue(field.value)) return false;
    if (IsOursToSay(field.name)) continue;
    if (!responder_.records() && webcache::IsForTheCache(field.name)) {
      if (EqualsIgnoreCase(field.name, webcache::kOptInField)) {
        shard_.OptIn(responder_, request_.head_bytes);
      }
      continue;
    }
    date = date || EqualsIgnoreCase(field.name, "Date");
    server = server || EqualsIgnoreCase(field.name, "Server");
    if (EqualsIgnoreCase(field.name, "ETag") && !field.value.starts_with("W/") &&
        (negotiated.is_coded || (head.status == 304 && KnowsItAsWeak(field.value)))) {
      http::AppendField(out, "ETag", fmt::format("W/{}", field.value));
    } else if (!vary && EqualsIgnoreCase(field.name, "Vary")) {
      vary = true;
      http::AppendField(out, "Vary", fmt::format("{}, Accept-Encoding", field.value));
    } else {
      http::AppendField(out, field.name, field.value);
    }
  }
  if (!date) shard_.AppendDate(out);
  if (!server) shard_.AppendServer(out);
  if (!vary) http::AppendField(out, "Vary", "Accept-Encoding");
  if (negotiated.is_coded) http::AppendField(out, "Content-Encoding", http::NameOf(coding_));
  http::AppendField(out, "X-Request-ID", request_.id);
  out += request_.more_fields;
  return true;
}

// Appends the coded form of `bytes`; all of it where they are the last, else all that was appended.
void AnswerWriter::Compress(std::string_view bytes, bool last, std::string& out) {
  compress_->Append(bytes, out);
  if (last) {
    compress_->Finish(out);
    compress_.reset();
  } else {
    compress_->Flush(out);
  }
}

std::string_view AnswerWriter::Coded(std::string_view bytes, bool last) {
  if (compress_ == nullptr || (bytes.empty() && !last)) return bytes;
  std::string& coded = shard_.coded_buffer();
  coded.clear();
  Compress(bytes, last, coded);
  return coded;
}

// The worker has cut it; we trust nobody.
std::string_view AnswerWriter::Cut(std::string_view bytes) {
  if (framing_ == Framing::kLength) {
    bytes = bytes.substr(0, left_);
    left_ -= bytes.size();
  }
  body_bytes_ += bytes.size();
  return bytes;
}

bool AnswerWriter::Begin(const channel::ResponseHead& head,
                         std::string_view body,
                         channel::End end) {
  const bool bodiless = request_.method == http::Method::kHead || !http::StatusHasBody(head.status);
  std::string& fields = shard_.answer_buffer();
  fields.clear();
  const bool candidate = WantsCompression(head, body);
  const bool coded = candidate && coding_ != http::Coding::kIdentity;
  // What stands for a 200 has the Vary that it would have (RFC 9110 15.3.7, 15.4.5).
  const bool stands_for_200 =
      shard_.settings().compression.enabled && (head.status == 304 || head.status == 206);
  if (!WriteFields(
          fields, head, {.may_be_coded = candidate || stands_for_200, .is_coded = coded})) {
    return false;
  }
  const bool whole = end == channel::End::kComplete || head.content_length == body.size();
  bool length_known = head.content_length.has_value() || (whole && !bodiless);
  left_ = head.content_length.value_or(body.size());
  if (coded) length_known = false;
  if (coded && !bodiless) {
    shard_.lane().Add(telemetry::Counter::kResponsesCompressed);
    compress_ = std::make_unique<CompressFilter>(shard_.shelf(), coding_);
    if (whole) {  // its coded length is known too
      body = Coded(body, true);
      length_known = true;
      left_ = body.size();
    }
  }
  if (!http::StatusHasBody(head.status) && head.status != 304) length_known = false;
  if (head.status == 205) {  // a client waits for the end of its body all the same: RFC 9110 15.3.6
    length_known = true;
    left_ = 0;
  }
  if (length_known) http::AppendField(fields, "Content-Length", left_);
  framing_ = bodiless ? Framing::kNone : length_known ? Framing::kLength : Framing::kUntilEnd;
  const bool last = end == channel::End::kComplete;
  if (bodiless) {
    body = {};
  } else if (!whole || !coded) {
    body = Cut(Coded(body, last));
  } else {
    body = Cut(body);
  }
  const bool reason = !head.reason.empty() && http::IsValidFieldValue(head.reason);
  const AnswerHead answer{.status = head.status,
                          .reason = reason ? head.reason : std::string_view(),
                          .fields = fields,
                          .framing = framing_,
                          .rules = request_.rules};
  if (shard_.LogsAnswerFields())
    shard_.AppendAnswerFields(answer_fields_, answer, responder_.peer());
  responder_.SendHead(answer, body, last ? Last::kYes : Last::kNo);
  return true;
}

void AnswerWriter::Append(std::string_view bytes, channel::End end) {
  if (framing_ == Framing::kNone) return;
  const bool last = end == channel::End::kComplete;
  responder_.Send(Cut(Coded(bytes, last)), last ? Last::kYes : Last::kNo);
}

void AnswerWriter::AppendFile(os::Fd file,
                              std::uint64_t offset,
                              std::uint64_t size,
                              channel::End end) {
  const bool plain = framing_ == Framing::kLength && compress_ == nullptr && size == left_ &&
                     end == channel::End::kComplete;
  if (plain) {
    left_ = 0;
    body_bytes_ += size;
    return responder_.SendFile(std::move(file), offset, size);
  }
  file_ = std::move(file);
  file_offset_ = offset;
  file_left_ = framing_ == Framing::kNone ? 0 : size;
}

// A file that is compressed or cut into chunks.
AnswerWriter::FileState AnswerWriter::AppendFileParts() {
  constexpr std::uint64_t kPieceBytes = 128 << 10;
  constexpr int kPiecesPerTurn = 4;
  if (!file_.valid()) return FileState::kNone;
  if (std::exchange(sending_file_, true))
    return FileState::kWaits;  // we are called by whom we call
  FileState state = FileState::kWaits;
  const auto may_go_on = [this] { return !responder_.gone() && responder_.pending() == 0; };
  for (int pieces = 0; pieces < kPiecesPerTurn && file_left_ > 0 && may_go_on(); ++pieces) {
    const auto piece = os::ReadAt(file_, std::min(kPieceBytes, file_left_), file_offset_);
    if (!piece.ok() || piece.value().empty()) {
      file_left_ = 0;
      state = FileState::kBroken;
      break;
    }
    file_offset_ += piece.value().size();
    file_left_ -= piece.value().size();
    Append(piece.value(), channel::End::kNotYet);
  }
  sending_file_ = false;
  if (responder_.gone()) return FileState::kWaits;
  if (file_left_ > 0) {
    if (responder_.pending() == 0) responder_.GoOnLater();
    return FileState::kWaits;
  }
  file_.Reset();
  return state == FileState::kBroken ? state : FileState::kSent;
}

}  // namespace onebox::front
