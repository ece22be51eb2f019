#pragma once
// Why a request is refused: one row for each reason, with its status and its name in the metrics.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace onebox::http {

enum class RefusalKind : std::uint8_t {
  // the bytes of a head
  kBareLf,
  kBareCr,
  kControlCharacter,
  kTooManyEmptyLines,
  kMethodTooLong,
  kTargetTooLong,
  kHeadTooLarge,
  kTooManyFields,
  kBrokenHead,
  // the request line
  kBadRequestLine,
  kBadMethod,
  kBadTarget,
  kBadVersion,
  kVersionNotSupported,
  kConnectNotSupported,
  // the fields
  kBadFieldName,
  kSpaceBeforeColon,
  kFoldedField,
  kMissingColon,
  kBadFieldValue,
  kMissingHost,
  kRepeatedHost,
  kBadHost,
  kRepeatedContentLength,
  kBadContentLength,
  kContentLengthTooLarge,
  kLengthAndEncoding,
  kEncodingInHttp10,
  kBadTransferEncoding,
  kUnknownTransferEncoding,
  kUnknownExpectation,
  // a chunked body
  kBadChunkSize,
  kChunkSizeTooLong,
  kBadChunkExtension,
  kChunkExtensionTooLong,
  kBadChunkEnd,
  kBadTrailer,
  kTrailerTooLarge,
  // the path
  kBadPercentEncoding,
  kNulInPath,
  kPathAboveRoot,
  // HTTP/2 (RFC 9113 8.1.1)
  kPseudoField,
  kConnectionField,
  kBodyLength,
};

// The texts are static; `name` is a metric label, `reason` a sentence for the log and the answer.
struct Refusal {
  RefusalKind kind;
  int status;
  std::string_view name;
  std::string_view reason;
};

inline constexpr std::array kRefusals = {
    Refusal{RefusalKind::kBareLf, 400, "bare_lf", "a line ends with LF alone"},
    Refusal{RefusalKind::kBareCr, 400, "bare_cr", "a CR stands alone"},
    Refusal{RefusalKind::kControlCharacter, 400, "control_character", "a control character"},
    Refusal{RefusalKind::kTooManyEmptyLines, 400, "empty_lines", "empty lines before the request"},
    Refusal{RefusalKind::kMethodTooLong, 501, "method_too_long", "the method is too long"},
    Refusal{RefusalKind::kTargetTooLong, 414, "target_too_long", "the request target is too long"},
    Refusal{RefusalKind::kHeadTooLarge, 431, "head_too_large", "the request head is too large"},
    Refusal{RefusalKind::kTooManyFields, 431, "too_many_fields", "too many header fields"},
    Refusal{RefusalKind::kBrokenHead, 400, "broken_head", "the head does not end as it should"},
    Refusal{RefusalKind::kBadRequestLine,
            400,
            "request_line",
            "the request line has not three parts"},
    Refusal{RefusalKind::kBadMethod, 400, "method", "the method is not a token"},
    Refusal{RefusalKind::kBadTarget, 400, "target", "the request target is not valid"},
    Refusal{RefusalKind::kBadVersion, 400, "version", "the protocol is not HTTP"},
    Refusal{RefusalKind::kVersionNotSupported,
            505,
            "version_not_supported",
            "only HTTP/1.0 and HTTP/1.1 are spoken here"},
    Refusal{RefusalKind::kConnectNotSupported, 501, "connect", "this server opens no tunnels"},
    Refusal{RefusalKind::kBadFieldName, 400, "field_name", "a field name is not a token"},
    Refusal{RefusalKind::kSpaceBeforeColon,
            400,
            "space_before_colon",
            "white space before a colon"},
    Refusal{RefusalKind::kFoldedField, 400, "folded_field", "a field is folded over lines"},
    Refusal{RefusalKind::kMissingColon, 400, "missing_colon", "a field has no colon"},
    Refusal{RefusalKind::kBadFieldValue,
            400,
            "field_value",
            "a control character in a field value"},
    Refusal{RefusalKind::kMissingHost, 400, "missing_host", "the Host field is missing"},
    Refusal{RefusalKind::kRepeatedHost, 400, "repeated_host", "more than one Host field"},
    Refusal{RefusalKind::kBadHost, 400, "host", "the Host field is not a host"},
    Refusal{RefusalKind::kRepeatedContentLength,
            400,
            "repeated_content_length",
            "more than one Content-Length"},
    Refusal{RefusalKind::kBadContentLength,
            400,
            "content_length",
            "Content-Length is not a number"},
    Refusal{RefusalKind::kContentLengthTooLarge,
            413,
            "content_length_too_large",
            "Content-Length is too large"},
    Refusal{RefusalKind::kLengthAndEncoding,
            400,
            "length_and_encoding",
            "both Content-Length and Transfer-Encoding"},
    Refusal{RefusalKind::kEncodingInHttp10,
            400,
            "encoding_in_http10",
            "Transfer-Encoding in HTTP/1.0"},
    Refusal{RefusalKind::kBadTransferEncoding,
            400,
            "transfer_encoding",
            "Transfer-Encoding is not one chunked, at the end"},
    Refusal{RefusalKind::kUnknownTransferEncoding,
            501,
            "unknown_transfer_encoding",
            "a transfer coding other than chunked"},
    Refusal{RefusalKind::kUnknownExpectation,
            417,
            "expectation",
            "an expectation other than 100-continue"},
    Refusal{RefusalKind::kBadChunkSize,
            400,
            "chunk_size",
            "a chunk size is not a hexadecimal number"},
    Refusal{RefusalKind::kChunkSizeTooLong,
            400,
            "chunk_size_too_long",
            "a chunk size has too many digits"},
    Refusal{RefusalKind::kBadChunkExtension,
            400,
            "chunk_extension",
            "a chunk extension is not valid"},
    Refusal{RefusalKind::kChunkExtensionTooLong,
            400,
            "chunk_extension_too_long",
            "the chunk extensions are too long"},
    Refusal{RefusalKind::kBadChunkEnd,
            400,
            "chunk_end",
            "a chunk does not end where its size says"},
    Refusal{RefusalKind::kBadTrailer, 400, "trailer", "a trailer field is not valid"},
    Refusal{RefusalKind::kTrailerTooLarge,
            431,
            "trailer_too_large",
            "the trailer section is too large"},
    Refusal{RefusalKind::kBadPercentEncoding,
            400,
            "percent_encoding",
            "a % without two hexadecimal digits"},
    Refusal{RefusalKind::kNulInPath, 400, "nul_in_path", "the path holds a NUL"},
    Refusal{RefusalKind::kPathAboveRoot, 400, "path_above_root", "the path climbs above the root"},
    Refusal{RefusalKind::kPseudoField,
            400,
            "pseudo_field",
            "a pseudo-header field is missing, repeated, unknown or out of place"},
    Refusal{RefusalKind::kConnectionField,
            400,
            "connection_field",
            "a field that only HTTP/1 connections have"},
    Refusal{RefusalKind::kBodyLength,
            400,
            "body_length",
            "the body has not the length that Content-Length says"},
};

// How many kinds there are, for an array of counters indexed by kind.
inline constexpr std::size_t kRefusalKinds = kRefusals.size();

constexpr const Refusal& RefusalOf(RefusalKind kind) {
  return kRefusals[static_cast<std::size_t>(kind)];
}

namespace refusal_internal {
consteval bool RowsAreInOrder() {
  for (std::size_t i = 0; i < kRefusals.size(); ++i) {
    if (static_cast<std::size_t>(kRefusals[i].kind) != i) return false;
  }
  return kRefusals.back().kind == RefusalKind::kBodyLength;
}
static_assert(RowsAreInOrder(), "a row of kRefusals stands where its kind says");
}  // namespace refusal_internal

}  // namespace onebox::http
