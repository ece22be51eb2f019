#include "database/outbox.h"

#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace onebox::database {
namespace {

std::optional<std::int64_t> NumberOf(const Answer::Cell& cell) {
  std::int64_t number = 0;
  if (!cell) return std::nullopt;
  const char* const end = cell->data() + cell->size();
  if (std::from_chars(cell->data(), end, number).ptr != end) return std::nullopt;
  return number;
}

Error Strange() {
  return OperatorError("the table onebox_outbox is not as it was made (docs/use/outbox.md)");
}

// At most so many characters, whole ones.
std::string_view Shortened(std::string_view text, std::size_t characters_max) {
  std::size_t characters = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool begins = (static_cast<unsigned char>(text[i]) & 0xc0) != 0x80;
    if (begins && ++characters > characters_max) return text.substr(0, i);
  }
  return text;
}

}  // namespace

struct Outbox::Found {
  std::int64_t id;
  std::int64_t bytes;
};

Status Outbox::Create() {
  // Not CREATE IF NOT EXISTS: that needs the right to create also where there is nothing to do.
  const auto there = connection_.Do("SELECT id, task, created, error FROM onebox_outbox LIMIT 0");
  if (there.ok()) return Done();
  if (connection_.refusal() != kNoSuchTable) return there.error();
  const auto made = connection_.Do(kCreateOutbox);
  if (made.ok() || connection_.refusal() == kTableExists) return Done();
  Error error = made.error();
  if (connection_.open()) {
    error.message += "; who may create tables makes it as docs/use/outbox.md says";
  }
  return error;
}

// An outbox is empty most of the time: to see that takes one read, and no lock.
Result<Outbox::Batch> Outbox::Take(std::int64_t after) {
  Batch batch;
  const Answer any = TRY(connection_.Do(
      "SELECT 1 FROM onebox_outbox FORCE INDEX (waiting) WHERE error IS NULL AND id > ? LIMIT 1",
      {after}));
  if (any.rows.empty()) return batch;
  TRY(connection_.Do("START TRANSACTION"));
  std::vector<std::int64_t> ids;
  std::size_t bytes = 0;
  for (const Found& found : TRY(Lock(after))) {
    const auto size = static_cast<std::size_t>(found.bytes);
    if (size > limits_.task_bytes_max) {
      batch.too_large.push_back(
          {found.id,
           fmt::format("it has {} bytes, and {} at most are taken", size, limits_.task_bytes_max)});
      continue;
    }
    bytes += size;
    if (bytes > limits_.bytes_max && !ids.empty()) break;
    ids.push_back(found.id);
  }
  if (!ids.empty()) TRY(Read(ids, batch));
  if (batch.empty()) TRY(connection_.Do("ROLLBACK"));  // others have locked them
  return batch;
}

Result<std::vector<Outbox::Found>> Outbox::Lock(std::int64_t after) {
  auto answer = connection_.Do(
      "SELECT id, OCTET_LENGTH(task) FROM onebox_outbox FORCE INDEX (waiting) "
      "WHERE error IS NULL AND id > ? "
      "ORDER BY id LIMIT ? FOR UPDATE SKIP LOCKED",
      {after, static_cast<std::int64_t>(limits_.rows_max)});
  if (!answer.ok()) {
    Error error = std::move(answer).error();
    if (connection_.refusal() == kSyntax) error.message += "; it takes MariaDB 10.6 or MySQL 8";
    return error;
  }
  std::vector<Found> all;
  for (const auto& row : answer.value().rows) {
    const auto id = NumberOf(row.at(0)), bytes = NumberOf(row.at(1));
    if (!id || !bytes) return Strange();
    all.push_back({*id, *bytes});
  }
  return all;
}

Status Outbox::Read(const std::vector<std::int64_t>& ids, Batch& batch) {
  const Answer answer = TRY(connection_.Do(
      fmt::format("SELECT id, created, task FROM onebox_outbox WHERE id IN ({}) ORDER BY id",
                  fmt::join(ids, ", "))));
  for (const auto& row : answer.rows) {
    const auto id = NumberOf(row.at(0));
    if (!id || !row.at(1) || !row.at(2)) return Strange();
    batch.rows.push_back({*id, fmt::format("outbox:{}:{}", *id, *row[1]), *row[2]});
  }
  return Done();
}

Status Outbox::Finish(const OutboxAnswer& answer) {
  for (const std::int64_t id : answer.done)
    TRY(Remove(id));
  for (const RefusedRow& row : answer.refused)
    TRY(SetAside(row));
  TRY(connection_.Do("COMMIT"));
  return Done();
}

// One at a time, so that its key is the one way to the row. For several the server may read a small table as
// a whole, and wait there for rows of the app's transactions that have not ended.
Status Outbox::Remove(std::int64_t id) {
  TRY(connection_.Do("DELETE FROM onebox_outbox WHERE id = ?", {id}));
  return Done();
}

Status Outbox::SetAside(const RefusedRow& row) {
  TRY(connection_.Do("UPDATE onebox_outbox SET error = ? WHERE id = ?",
                     {Shortened(row.why, kOutboxErrorCharactersMax), row.id}));
  return Done();
}

Result<std::uint64_t> Outbox::CountSetAside(std::uint64_t most) {
  const Answer answer = TRY(connection_.Do(
      "SELECT COUNT(*) FROM (SELECT 1 FROM onebox_outbox WHERE error IS NOT NULL LIMIT ?) AS some",
      {static_cast<std::int64_t>(most)}));
  const auto count = answer.rows.empty() ? std::nullopt : NumberOf(answer.rows[0].at(0));
  if (!count) return Strange();
  return static_cast<std::uint64_t>(*count);
}

}  // namespace onebox::database
