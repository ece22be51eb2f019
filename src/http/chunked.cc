#include "http/chunked.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "http/characters.h"

namespace onebox::http {
namespace {

constexpr bool IsBlank(char c) {
  return c == ' ' || c == '\t';
}

}  // namespace

ChunkedDecoder::Step ChunkedDecoder::Feed(std::string_view input) {
  CHECK(at_ != At::kDone);
  std::size_t consumed = 0;
  while (consumed < input.size()) {
    if (at_ == At::kData) {
      const auto size =
          static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size() - consumed));
      left_ -= size;
      if (left_ == 0) at_ = At::kDataCr;
      return {
          .state = State::kData, .consumed = consumed + size, .data = input.substr(consumed, size)};
    }
    if (const auto refusal = Take(input[consumed])) {
      at_ = At::kDone;
      return {.state = State::kRefused, .consumed = consumed, .refusal = *refusal};
    }
    ++consumed;
    if (at_ == At::kDone) return {.state = State::kEnd, .consumed = consumed};
  }
  return {.consumed = consumed};
}

ChunkedDecoder::Refused ChunkedDecoder::Take(char c) {
  if (at_ <= At::kSizeLf) return TakeSizeLine(c);
  if (at_ <= At::kDataLf) return TakeChunkEnd(c);
  return TakeTrailer(c);
}

// The line before the data: 1*HEXDIG [ chunk-ext ] CRLF.
ChunkedDecoder::Refused ChunkedDecoder::TakeSizeLine(char c) {
  if (at_ == At::kSize) return TakeSize(c);
  if (at_ != At::kSizeLf) return TakeExtension(c);
  if (c != '\n') return RefusalKind::kBadChunkSize;
  at_ = left_ == 0 ? At::kTrailerStart : At::kData;
  digits_ = 0;
  return std::nullopt;
}

ChunkedDecoder::Refused ChunkedDecoder::TakeSize(char c) {
  if (const auto digit = HexValue(c)) {
    if (++digits_ > kChunkSizeDigitsMax) return RefusalKind::kChunkSizeTooLong;
    left_ = left_ * 16 + *digit;  // 0 before the first: the last chunk left nothing
    return std::nullopt;
  }
  if (digits_ == 0) return RefusalKind::kBadChunkSize;
  if (c == '\r') {
    at_ = At::kSizeLf;
  } else if (c == ';') {
    at_ = At::kExtensionNameStart;
  } else if (IsBlank(c)) {
    at_ = At::kExtensionStart;
  } else {
    return RefusalKind::kBadChunkSize;
  }
  return std::nullopt;
}

// *( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] ) CRLF, as rows: where we are, what
// comes, where that leads. The first row that fits counts; none is a refusal.
ChunkedDecoder::Refused ChunkedDecoder::TakeExtension(char c) {
  using Fits = bool (*)(char);
  constexpr Fits kBlank = IsBlank;
  constexpr Fits kToken = [](char x) { return Is(kTokenCharacter, x); };
  constexpr Fits kText = [](char x) { return Is(kFieldCharacter, x); };
  constexpr Fits kQuote = [](char x) { return x == '"'; };
  constexpr Fits kBackslash = [](char x) { return x == '\\'; };
  constexpr Fits kEquals = [](char x) { return x == '='; };
  constexpr Fits kSemicolon = [](char x) { return x == ';'; };
  constexpr Fits kCr = [](char x) { return x == '\r'; };
  struct Row {
    At at;
    Fits fits;
    At then;
  };
  static constexpr std::array kRows = {
      Row{At::kExtensionStart, kBlank, At::kExtensionStart},
      Row{At::kExtensionStart, kSemicolon, At::kExtensionNameStart},
      Row{At::kExtensionNameStart, kBlank, At::kExtensionNameStart},
      Row{At::kExtensionNameStart, kToken, At::kExtensionName},
      Row{At::kExtensionName, kToken, At::kExtensionName},
      Row{At::kExtensionName, kBlank, At::kExtensionNameEnd},
      Row{At::kExtensionName, kEquals, At::kExtensionValueStart},
      Row{At::kExtensionName, kSemicolon, At::kExtensionNameStart},
      Row{At::kExtensionName, kCr, At::kSizeLf},
      Row{At::kExtensionNameEnd, kBlank, At::kExtensionNameEnd},
      Row{At::kExtensionNameEnd, kEquals, At::kExtensionValueStart},
      Row{At::kExtensionNameEnd, kSemicolon, At::kExtensionNameStart},
      Row{At::kExtensionValueStart, kBlank, At::kExtensionValueStart},
      Row{At::kExtensionValueStart, kQuote, At::kExtensionQuoted},
      Row{At::kExtensionValueStart, kToken, At::kExtensionToken},
      Row{At::kExtensionToken, kToken, At::kExtensionToken},
      Row{At::kExtensionToken, kBlank, At::kExtensionStart},
      Row{At::kExtensionToken, kSemicolon, At::kExtensionNameStart},
      Row{At::kExtensionToken, kCr, At::kSizeLf},
      Row{At::kExtensionQuoted, kQuote, At::kExtensionValueEnd},
      Row{At::kExtensionQuoted, kBackslash, At::kExtensionEscaped},
      Row{At::kExtensionQuoted, kText, At::kExtensionQuoted},
      Row{At::kExtensionEscaped, kText, At::kExtensionQuoted},
      Row{At::kExtensionValueEnd, kBlank, At::kExtensionStart},
      Row{At::kExtensionValueEnd, kSemicolon, At::kExtensionNameStart},
      Row{At::kExtensionValueEnd, kCr, At::kSizeLf},
  };
  if (++extension_bytes_ > kChunkExtensionBytesMax) return RefusalKind::kChunkExtensionTooLong;
  const auto* row = std::find_if(kRows.begin(), kRows.end(), [&](const Row& candidate) {
    return candidate.at == at_ && candidate.fits(c);
  });
  if (row == kRows.end()) return RefusalKind::kBadChunkExtension;
  at_ = row->then;
  return std::nullopt;
}

ChunkedDecoder::Refused ChunkedDecoder::TakeChunkEnd(char c) {
  const bool expected = c == (at_ == At::kDataCr ? '\r' : '\n');
  if (!expected) return RefusalKind::kBadChunkEnd;
  at_ = at_ == At::kDataCr ? At::kDataLf : At::kSize;
  return std::nullopt;
}

// *( field-line CRLF ) CRLF, as strict as the fields of a head.
ChunkedDecoder::Refused ChunkedDecoder::TakeTrailer(char c) {
  if (++trailer_bytes_ > kTrailerBytesMax) return RefusalKind::kTrailerTooLarge;
  const At before = at_;
  switch (before) {
    case At::kTrailerStart:
      if (c == '\r') at_ = At::kFinalLf;
      if (Is(kTokenCharacter, c)) {
        at_ = At::kTrailerName;
        if (++trailer_fields_ > kTrailerFieldsMax) return RefusalKind::kTrailerTooLarge;
      }
      return at_ == before ? Refused(RefusalKind::kBadTrailer) : std::nullopt;
    case At::kTrailerName:
      if (c == ':') at_ = At::kTrailerValue;
      return c == ':' || Is(kTokenCharacter, c) ? std::nullopt : Refused(RefusalKind::kBadTrailer);
    case At::kTrailerValue:
      if (c == '\r') at_ = At::kTrailerLf;
      return c == '\r' || Is(kFieldCharacter, c) ? std::nullopt : Refused(RefusalKind::kBadTrailer);
    default:  // kTrailerLf, kFinalLf
      at_ = before == At::kTrailerLf ? At::kTrailerStart : At::kDone;
      return c == '\n' ? std::nullopt : Refused(RefusalKind::kBadTrailer);
  }
}

void AppendChunkHead(std::string& out, std::uint64_t size) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<char, 16> digits{};
  std::size_t begin = digits.size();
  do {
    digits[--begin] = kDigits[size % 16];
    size /= 16;
  } while (size != 0);
  out.append(&digits[begin], digits.size() - begin);
  out.append("\r\n");
}

void AppendChunk(std::string& out, std::string_view data) {
  if (data.empty()) return;
  AppendChunkHead(out, data.size());
  out.append(data);
  out.append(kChunkEnd);
}

}  // namespace onebox::http
