#pragma once
// What holds for any access format and any request: the fuzz target tries it, a test replays it.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "telemetry/access_log.h"

namespace onebox::telemetry::properties {

inline bool IsControl(char c) {
  return (c >= 0 && c < 0x20) || c == 0x7F;
}

inline AccessRecord RecordOf(std::string_view bytes, unsigned choice, const FieldLookup& fields) {
  AccessRecord record;
  record.time = WallTime(std::chrono::milliseconds(std::int64_t{choice} * 10'000'000'007));
  record.client = record.user = record.scheme = record.method = record.target = bytes;
  record.path = record.query = record.protocol = record.host = record.request_id = bytes;
  record.status = static_cast<int>(choice);
  record.body_bytes = record.sent_bytes = UINT64_MAX / (choice + 1);
  record.total = Duration(INT64_MAX / (choice + 1));
  record.queue_wait = Duration(-std::int64_t{choice});
  if (choice % 2 == 0) record.run = Duration(choice);
  record.request_fields = record.response_fields = fields;
  return record;
}

// The line is one line, whatever the request holds, and nothing in it can close a quote.
inline void CheckLine(AccessFormat& format, std::string_view text, const AccessRecord& record) {
  std::string out = "before\n";
  format.Append(out, record);
  CHECK(out.starts_with("before\n") && out.ends_with('\n'));
  const std::string line = out.substr(7, out.size() - 8);
  const bool tabs = text.find('\t') != text.npos;
  CHECK(std::all_of(
      line.begin(), line.end(), [tabs](char c) { return !IsControl(c) || (c == '\t' && tabs); }));
  if (text == "json") {
    CHECK(nlohmann::json::accept(line));
    return;
  }
  std::string empty;
  format.Append(empty, AccessRecord());
  CHECK(std::count(line.begin(), line.end(), '"') == std::count(empty.begin(), empty.end(), '"'));
}

inline void CheckFormat(std::string_view text, const AccessRecord& record) {
  auto format = AccessFormat::Parse(text);
  if (format.ok()) {
    CheckLine(format.value(), text, record);
  } else {
    const std::string& message = format.error().message;
    CHECK(std::none_of(message.begin(), message.end(), IsControl));
  }
}

// The first byte says how much of the rest is the format; what follows it is every value.
inline void CheckAccessFormat(std::string_view data) {
  if (data.empty()) return;
  const unsigned choice = static_cast<unsigned char>(data[0]);
  const std::string_view text = data.substr(1).substr(0, choice);
  const std::string_view value = data.substr(1 + text.size());
  const auto any = [value](std::string_view) { return value; };
  const AccessRecord record = RecordOf(value, choice, FieldLookup::By(any));
  CheckFormat(text, record);
  for (const std::string_view known : {"combined", "common", "json"}) {
    CHECK(AccessFormat::Parse(known).ok());
    CheckFormat(known, record);
  }
}

}  // namespace onebox::telemetry::properties
