#include "election/database_registry.h"

#include <charconv>

namespace onebox::election {
namespace {

using database::Answer;
using database::Value;

Error Strange() {
  return OperatorError("the table onebox_election is not as it was made (docs/use/election.md)");
}

Result<std::int64_t> NumberOf(const Answer::Cell& cell) {
  std::int64_t number = 0;
  if (!cell) return Strange();
  const char* const end = cell->data() + cell->size();
  if (std::from_chars(cell->data(), end, number).ptr != end) return Strange();
  return number;
}

}  // namespace

Result<std::optional<Record>> DatabaseRegistry::Read() {
  const Answer answer =
      TRY(Ask("SELECT holder, fence, beat FROM onebox_election WHERE name = ?", {options_.name}));
  if (answer.rows.empty()) return std::optional<Record>();
  const auto& row = answer.rows[0];
  if (!row.at(0)) return Strange();
  return std::optional(Record{
      .holder = *row[0], .fence = TRY(NumberOf(row.at(1))), .beat = TRY(NumberOf(row.at(2)))});
}

Result<std::optional<std::int64_t>> DatabaseRegistry::Take(const std::optional<Record>& seen) {
  if (!TRY(seen ? Replace(*seen) : Insert())) return std::optional<std::int64_t>();
  // Nobody else takes what has just been taken: it is too young.
  const auto taken = TRY(Read());
  if (!taken || taken->holder != options_.holder) return std::optional<std::int64_t>();
  return std::optional(taken->fence);
}

Result<bool> DatabaseRegistry::Insert() {
  const auto answer =
      Ask("INSERT INTO onebox_election (name, holder, fence, beat) "
          "VALUES (?, ?, FLOOR(UNIX_TIMESTAMP(NOW(3)) * 1000), 0)",
          {options_.name, options_.holder});
  if (answer.ok()) return true;
  if (connection_ && connection_->refusal() == database::kDuplicateKey) return false;
  return answer.error();
}

Result<bool> DatabaseRegistry::Replace(const Record& seen) {
  const Answer answer =
      TRY(Ask("UPDATE onebox_election SET holder = ?, beat = 0, "
              "fence = GREATEST(fence + 1, FLOOR(UNIX_TIMESTAMP(NOW(3)) * 1000)) "
              "WHERE name = ? AND holder = ? AND fence = ? AND beat = ?",
              {options_.holder, options_.name, seen.holder, seen.fence, seen.beat}));
  return answer.changed == 1;
}

Result<bool> DatabaseRegistry::Renew(std::int64_t fence) {
  const Answer answer =
      TRY(Ask("UPDATE onebox_election SET beat = beat + 1 "
              "WHERE name = ? AND holder = ? AND fence = ?",
              {options_.name, options_.holder, fence}));
  return answer.changed == 1;
}

Status DatabaseRegistry::Resign(std::int64_t fence) {
  TRY(Ask("UPDATE onebox_election SET holder = '' WHERE name = ? AND holder = ? AND fence = ?",
          {options_.name, options_.holder, fence}));
  return Done();
}

Result<Answer> DatabaseRegistry::Ask(std::string_view statement,
                                     std::initializer_list<Value> values) {
  if (!connection_) TRY(Open());
  auto answer = connection_->Do(statement, values);
  // What refuses may be a replica by now, and another be at its address.
  if (!answer.ok() && connection_->refusal() != database::kDuplicateKey) connection_.reset();
  return answer;
}

Status DatabaseRegistry::Open() {
  auto connection = TRY(database::Connection::Open(options_.address, options_.connection, clock_));
  const auto there = connection.Do("SELECT name, holder, fence, beat FROM onebox_election LIMIT 0");
  if (!there.ok()) {
    if (connection.refusal() != database::kNoSuchTable) return there.error();
    const auto made = connection.Do(kCreateElection);
    if (!made.ok() && connection.refusal() != database::kTableExists) return made.error();
  }
  connection_ = std::move(connection);
  return Done();
}

}  // namespace onebox::election
