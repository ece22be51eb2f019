#pragma once
// The access log's format, compiled once into pieces, and the line of a request.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace onebox::telemetry {

struct NamedField {
  std::string_view name;
  std::string_view value;
};

// Finds a value by its name; empty where there is none. Names of header fields come in lower case,
// pairs match in any case. Borrows what it was made from: a list of pairs, or anything that is called with a name.
class FieldLookup {
 public:
  FieldLookup() = default;
  explicit FieldLookup(std::span<const NamedField> fields)
      : owner_(fields.data()), size_(fields.size()), find_(&FindInPairs) {}
  template <typename Find>
  static FieldLookup By(const Find& find) {
    FieldLookup lookup;
    lookup.owner_ = &find;
    lookup.find_ = [](const void* owner, std::size_t, std::string_view name) -> std::string_view {
      return (*static_cast<const Find*>(owner))(name);
    };
    return lookup;
  }

  std::string_view operator()(std::string_view name) const {
    return find_ == nullptr ? std::string_view() : find_(owner_, size_, name);
  }

 private:
  static std::string_view FindInPairs(const void* owner, std::size_t size, std::string_view name);

  const void* owner_ = nullptr;
  std::size_t size_ = 0;
  std::string_view (*find_)(const void*, std::size_t, std::string_view) = nullptr;
};

// What is known of a request when it ended. Views are the caller's; an empty one means "none".
struct AccessRecord {
  WallTime time{};            // when it ended
  std::string_view client;    // its address
  std::string_view user;      // of Basic authentication
  std::string_view scheme;    // "https"
  std::string_view method;    // "GET"
  std::string_view target;    // as it was sent: "/a%20b?c=d"
  std::string_view path;      // decoded: "/a b"
  std::string_view query;     // "c=d"
  std::string_view protocol;  // "HTTP/1.1"
  std::string_view host;
  std::string_view request_id;
  int status = 0;
  std::uint64_t body_bytes = 0;     // of the response, without its head
  std::uint64_t sent_bytes = 0;     // with it
  std::uint64_t request_bytes = 0;  // head and body
  Duration total{};
  Duration queue_wait{};
  std::optional<Duration> run;  // where a worker ran it
  int worker_pid = 0;           // 0 where none did
  std::string_view upstream;    // the server that was asked in the app's place, as its URL
  std::uint64_t connection_requests = 0;
  FieldLookup request_fields;
  FieldLookup response_fields;
};

enum class AccessAtom : std::uint8_t;

// Text as it stands, or a value of the record; `text` is the literal or the field's name.
struct AccessPiece {
  AccessAtom atom;
  std::string text;
};

// One second as the formats write it.
struct AccessTime {
  std::int64_t second = INT64_MIN;
  std::string local;    // 23/Nov/2026:21:00:00 +0000
  std::string iso8601;  // 2026-11-23T21:00:00+00:00
  std::string utc;      // 2026-11-23T21:00:00
};

// "combined", "common", "json", or a text with Gunicorn's atoms (%(h)s) and nginx's variables
// ($remote_addr); %% and $$ stand for themselves. Values are escaped as nginx does: quotes,
// backslashes and what is not printable ASCII as \xXX; in "json" as JSON. It remembers the text of
// the last second, so each thread has its own copy.
class AccessFormat {
 public:
  static Result<AccessFormat> Parse(std::string_view text);

  // Whether Append() asks for fields of the response.
  bool reads_response_fields() const;

  // One line with its '\n'. Allocates nothing but room in `out`.
  void Append(std::string& out, const AccessRecord& record);

 private:
  enum class Escaping : std::uint8_t { kQuotable, kJson };

  AccessFormat(std::vector<AccessPiece> pieces, Escaping escaping)
      : pieces_(std::move(pieces)), escaping_(escaping) {}

  void AppendPiece(std::string& out, const AccessPiece& piece, const AccessRecord& record) const;
  void AppendText(std::string& out, std::string_view value) const;
  void AppendUser(std::string& out, std::string_view user) const;
  void AppendRequest(std::string& out, const AccessRecord& record) const;
  void AppendRun(std::string& out, std::optional<Duration> run) const;

  std::vector<AccessPiece> pieces_;
  Escaping escaping_;
  AccessTime time_;
};

}  // namespace onebox::telemetry
