#pragma once
// Walks once over the lines of a head, of a request or of an answer (RFC 9112 2.1 and 5).

#include <cstddef>
#include <optional>
#include <string_view>

#include "base/ascii.h"
#include "http/byte_search.h"
#include "http/characters.h"
#include "http/field_table.h"
#include "http/refusal.h"

namespace onebox::http {

// Next() until it refuses or the line is empty; where a line is a field, TakeField(). `bytes` stay
// where they are.
class HeadLines {
 public:
  explicit HeadLines(std::string_view bytes) : bytes_(bytes), controls_(bytes, 0) {}

  // Finds the next line; it holds no control characters but tabs, and a CR LF follows it.
  std::optional<RefusalKind> Next() {
    line_begin_ = next_line_;
    line_end_ = controls_.Next();
    next_line_ = controls_.Next() + 1;
    if (line_end_ == bytes_.size()) return RefusalKind::kBrokenHead;
    if (bytes_[line_end_] == '\n') return RefusalKind::kBareLf;
    if (bytes_[line_end_] != '\r') return RefusalKind::kControlCharacter;
    const bool crlf =
        next_line_ == line_end_ + 2 && next_line_ <= bytes_.size() && bytes_[line_end_ + 1] == '\n';
    if (!crlf) return RefusalKind::kBareCr;
    return std::nullopt;
  }
  std::string_view line() const { return Slice(line_begin_, line_end_); }
  // Whether the line, which is empty, ends the head: it is not the first, and nothing follows it.
  bool AtEnd() const { return next_line_ == bytes_.size() && line_begin_ > 0; }

  // field-name ":" OWS field-value OWS
  std::optional<RefusalKind> TakeField(FieldTable& table, std::size_t fields_max) const {
    if (table.field_count == fields_max) return RefusalKind::kTooManyFields;
    std::size_t colon = Find<UnusualNameByte>(bytes_, line_begin_);  // at the CR at the latest
    if (bytes_[colon] != ':') colon = EndOfToken(colon);
    if (bytes_[colon] != ':' || colon == line_begin_) return WhyNoName(colon);
    table.AddField(Slice(line_begin_, colon), Trimmed(Slice(colon + 1, line_end_)));
    return std::nullopt;
  }

  // From `at` within the line; at its end at the latest, where a CR stands.
  std::size_t EndOfToken(std::size_t at) const {
    while (Is(kTokenCharacter, bytes_[at])) {
      ++at;
    }
    return at;
  }

 private:
  std::string_view Slice(std::size_t begin, std::size_t end) const {
    return {bytes_.data() + begin, end - begin};
  }

  RefusalKind WhyNoName(std::size_t name_end) const {
    const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
    if (name_end == line_end_) return RefusalKind::kMissingColon;
    if (!is_blank(bytes_[name_end])) return RefusalKind::kBadFieldName;
    if (name_end == line_begin_) return RefusalKind::kFoldedField;
    const std::string_view rest = Trimmed(Slice(name_end, line_end_));
    return rest.starts_with(':') ? RefusalKind::kSpaceBeforeColon : RefusalKind::kBadFieldName;
  }

  std::string_view bytes_;
  Finder<ControlByte> controls_;
  std::size_t line_begin_ = 0;
  std::size_t line_end_ = 0;
  std::size_t next_line_ = 0;
};

}  // namespace onebox::http
