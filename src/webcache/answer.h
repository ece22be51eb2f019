#pragma once
// An answer that is kept: never changes, and is shared by all that send it.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ascii.h"
#include "base/clock.h"
#include "http/coding.h"
#include "http/preconditions.h"
#include "http/request_head.h"
#include "http/reuse.h"

namespace onebox::webcache {

// A name that answers are purged by. Outlives the store's table while an answer has it.
struct Tag {
  std::string name;
  std::atomic<std::uint64_t> purged{0};  // the number of its last purge
};

// The bytes in one coding, and the lines that go with them.
struct Form {
  std::shared_ptr<const std::string> bytes;
  // Whole lines, each the beginning of the next: of a 304; of a 206, without Content-Type, Content-Length
  // and Content-Range; of the answer itself, with its Content-Length.
  std::string lines;
  std::size_t unchanged_size = 0;
  std::size_t partial_size = 0;

  std::string_view unchanged() const { return std::string_view(lines).substr(0, unchanged_size); }
  std::string_view partial() const { return std::string_view(lines).substr(0, partial_size); }
};

// What an answer is made from.
struct Recorded {
  int status = 200;
  std::string reason;
  // The app's fields, whole lines: without those of the framing and of the connection, Age, and what is
  // said anew with each answer.
  std::string fields;
  std::shared_ptr<const std::string> bytes;
  http::Lifetime lifetime;
  Time received;                  // of its head
  Duration initial_age{0};        // at that time
  std::uint64_t begun = 0;        // Store::purges() before the app was asked
  std::vector<std::string> vary;  // names in lower case; see AppendVaryValues()
  std::string vary_values;
  std::vector<std::string> tags;
};

class Answer {
 public:
  explicit Answer(Recorded recorded);
  ~Answer();
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  int status() const { return recorded_.status; }
  std::string_view reason() const { return recorded_.reason; }
  const http::Lifetime& lifetime() const { return recorded_.lifetime; }
  Duration AgeAt(Time now) const { return now - recorded_.received + recorded_.initial_age; }
  // The wall clock's part: ETag and Last-Modified as the app gave them, of that form.
  http::Validators ValidatorsOf(http::Coding coding, std::int64_t now) const;
  std::string_view etag() const { return etag_; }                    // as it was sent; may be empty
  std::string_view last_modified() const { return last_modified_; }  // likewise
  std::string_view media_type() const { return media_type_; }        // likewise
  std::string_view fields() const { return recorded_.fields; }
  const std::shared_ptr<const std::string>& bytes() const { return recorded_.bytes; }
  const Recorded& recorded() const { return recorded_; }
  bool transformable() const { return transformable_; }

  // Null where it was not made yet, never for identity.
  const Form* FormOf(http::Coding coding) const {
    return forms_[static_cast<std::size_t>(coding)].load(std::memory_order_acquire);
  }
  // From any thread; whoever comes second sees the first one's. `bytes` null: it is not worth it.
  const Form* AddForm(http::Coding coding, std::shared_ptr<const std::string> bytes) const;
  bool IsWorth(http::Coding coding) const {
    return (not_worth_.load(std::memory_order_relaxed) & (1U << static_cast<unsigned>(coding))) ==
           0;
  }

  std::uint64_t charge() const;  // bytes of memory, about; without the forms that were added
  static std::uint64_t ChargeOf(const Form& form);

 private:
  friend class Store;
  std::unique_ptr<Form> MakeForm(http::Coding coding,
                                 std::shared_ptr<const std::string> bytes) const;

  const Recorded recorded_;
  std::vector<std::shared_ptr<const Tag>> tags_;  // filled by the store, before others see it
  std::string_view etag_;
  std::string_view last_modified_;
  std::string_view media_type_;
  bool transformable_ = true;
  mutable std::array<std::atomic<const Form*>, http::kCodings.size()> forms_{};
  mutable std::atomic<std::uint8_t> not_worth_{0};
};
using AnswerRef = std::shared_ptr<const Answer>;

// The values that a request has under these names, each ended by a line feed.
void AppendVaryValues(std::string& out,
                      std::span<const std::string> names,
                      const http::RequestHead& head);

// The value of the first such line of `lines`; empty where there is none.
std::string_view ValueIn(std::string_view lines, std::string_view name);

// Calls `take` with each "name: value\r\n" of `lines`.
template <typename Take>
void ForEachLine(std::string_view lines, Take take) {
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find("\r\n"), lines.size());
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(std::min(lines.size(), end + 2));
    const std::size_t colon = line.find(':');
    if (colon == line.npos) continue;
    take(line.substr(0, colon), Trimmed(line.substr(colon + 1)));
  }
}

}  // namespace onebox::webcache
