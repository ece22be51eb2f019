#include "database/outbox.h"

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "database/testing.h"

namespace onebox::database {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::MariaDbServer;

class OutboxTest : public ::testing::Test {
 protected:
  OutboxTest() { CHECK(outbox_.Create().ok()); }

  static constexpr const char* kInsert = "INSERT INTO onebox_outbox (task) VALUES ('{}')";

  static std::vector<std::int64_t> IdsOf(const Outbox::Batch& batch) {
    std::vector<std::int64_t> ids;
    for (const OutboxRow& row : batch.rows)
      ids.push_back(row.id);
    return ids;
  }
  // What is taken now, and what is left when it is done.
  std::vector<std::int64_t> Drain() {
    const Outbox::Batch batch = outbox_.Take(0).value();
    std::vector<std::int64_t> ids = IdsOf(batch);
    if (!batch.empty()) {
      EXPECT_TRUE(outbox_.Finish({.done = ids, .refused = {}}).ok());
    }
    return ids;
  }
  std::string Count() const { return server_.Ask("SELECT COUNT(*) FROM onebox_outbox"); }

  MariaDbServer server_{MariaDbServer::Life::kOnce};
  Connection connection_ = server_.Connect();
  Outbox outbox_{connection_, {}};
};

TEST_F(OutboxTest, GivesWhatWasWrittenInItsOrder) {
  server_.Do(
      {R"(INSERT INTO onebox_outbox (task) VALUES ('{"name": "app.a", "payload": "\\u00e9"}'))",
       "INSERT INTO onebox_outbox (task) VALUES ('{\"b\": \"\xf0\x9f\x8d\x9e'' ?\"}')"});
  const Outbox::Batch batch = outbox_.Take(0).value();
  ASSERT_EQ(batch.rows.size(), 2U);
  EXPECT_EQ(batch.rows[0].task, R"({"name": "app.a", "payload": "\u00e9"})");
  EXPECT_EQ(batch.rows[1].task, "{\"b\": \"\xf0\x9f\x8d\x9e' ?\"}");
  EXPECT_THAT(IdsOf(batch), ElementsAre(1, 2));
  EXPECT_TRUE(outbox_.Finish({.done = {1, 2}, .refused = {}}).ok());
  EXPECT_EQ(Count(), "0");
  EXPECT_TRUE(outbox_.Take(0).value().empty());
}

TEST_F(OutboxTest, KnowsNothingOfWhatWasRolledBack) {
  Connection app = server_.Connect();
  ASSERT_TRUE(app.Do("BEGIN").ok());
  ASSERT_TRUE(app.Do(kInsert).ok());
  EXPECT_TRUE(outbox_.Take(0).value().empty());
  ASSERT_TRUE(app.Do("ROLLBACK").ok());
  EXPECT_TRUE(outbox_.Take(0).value().empty());
}

TEST_F(OutboxTest, GetsARowThatIsCommittedAfterLaterOnesWereTaken) {
  Connection late = server_.Connect(), later = server_.Connect();
  ASSERT_TRUE(late.Do("BEGIN").ok());
  ASSERT_TRUE(late.Do(kInsert).ok());  // 1
  ASSERT_TRUE(later.Do("BEGIN").ok());
  ASSERT_TRUE(later.Do(kInsert).ok());  // 2
  ASSERT_TRUE(late.Do(kInsert).ok());   // 3
  ASSERT_TRUE(later.Do("COMMIT").ok());
  EXPECT_THAT(Drain(), ElementsAre(2));
  ASSERT_TRUE(late.Do("COMMIT").ok());
  EXPECT_THAT(Drain(), ElementsAre(1, 3));
}

TEST_F(OutboxTest, HoldsTheAppUpNowhereAndIsNotHeldUp) {
  Connection app = server_.Connect();
  server_.Do({kInsert, kInsert});
  ASSERT_TRUE(app.Do("BEGIN").ok());
  ASSERT_TRUE(app.Do(kInsert).ok());
  const Outbox::Batch batch = outbox_.Take(0).value();
  EXPECT_THAT(IdsOf(batch), ElementsAre(1, 2));
  EXPECT_TRUE(app.Do(kInsert).ok()) << "while others are taken";
  EXPECT_TRUE(outbox_.Finish({.done = {1, 2}, .refused = {}}).ok()) << "while it has not ended";
  ASSERT_TRUE(app.Do("COMMIT").ok());
  EXPECT_THAT(Drain(), ElementsAre(3, 4));
}

TEST_F(OutboxTest, GivesARowToOneBoxAtATime) {
  server_.Do({kInsert, kInsert});
  Connection other_connection = server_.Connect();
  Outbox other(other_connection, {});
  EXPECT_THAT(IdsOf(outbox_.Take(0).value()), ElementsAre(1, 2));
  EXPECT_TRUE(other.Take(0).value().empty());
  server_.Do({kInsert});
  EXPECT_THAT(IdsOf(other.Take(0).value()), ElementsAre(3));
  EXPECT_TRUE(other.Finish({.done = {3}, .refused = {}}).ok());
  connection_ = server_.Connect();  // the former one is lost, with its locks
  EXPECT_TRUE(testing::Eventually([&] {
    const auto batch = other.Take(0).value();
    if (batch.empty()) return false;
    EXPECT_THAT(IdsOf(batch), ElementsAre(1, 2));
    return true;
  }));
}

TEST_F(OutboxTest, GivesARowTheSameKeyEachTimeAndNoOther) {
  server_.Do({kInsert});
  const std::string key = outbox_.Take(0).value().rows.at(0).dedupe_key;
  EXPECT_TRUE(outbox_.Finish({}).ok());
  ASSERT_TRUE(connection_.Do("SET time_zone = '+05:00'").ok());
  EXPECT_EQ(outbox_.Take(0).value().rows.at(0).dedupe_key, key);
  EXPECT_TRUE(outbox_.Finish({.done = {1}, .refused = {}}).ok());
  server_.Do({"TRUNCATE TABLE onebox_outbox", kInsert});
  const OutboxRow row = outbox_.Take(0).value().rows.at(0);
  EXPECT_EQ(row.id, 1);
  EXPECT_NE(row.dedupe_key, key) << "a task that was lost as one that is done";
}

TEST_F(OutboxTest, SetsAsideWhatIsRefusedAndLeavesTheRestForLater) {
  server_.Do({kInsert, kInsert, kInsert});
  EXPECT_THAT(IdsOf(outbox_.Take(0).value()), ElementsAre(1, 2, 3));
  std::string why = "it has no name: '\"";
  for (int i = 0; i < 300; ++i)
    why += "\xc3\xa9";
  EXPECT_TRUE(outbox_.Finish({.done = {3}, .refused = {{2, why}}}).ok());
  EXPECT_EQ(outbox_.CountSetAside(10).value(), 1U);
  EXPECT_EQ(server_.Ask("SELECT CHAR_LENGTH(error) FROM onebox_outbox WHERE id = 2"), "255");
  EXPECT_THAT(IdsOf(outbox_.Take(0).value()), ElementsAre(1));
  EXPECT_TRUE(outbox_.Finish({}).ok());
  EXPECT_TRUE(outbox_.Take(1).value().empty());
  server_.Do({"UPDATE onebox_outbox SET error = NULL WHERE id = 2"});  // by somebody who mended it
  EXPECT_THAT(Drain(), ElementsAre(1, 2));
}

TEST_F(OutboxTest, TakesNoMoreThanItsLimits) {
  const std::string insert =
      "INSERT INTO onebox_outbox (task) VALUES ('\"" + std::string(98, 'x') + "\"')";
  server_.Do({insert, insert, insert, kInsert, insert});
  server_.Do({"INSERT INTO onebox_outbox (task) VALUES (CONCAT('\"', REPEAT('x', 1000), '\"'))"});
  Outbox few(connection_, {.rows_max = 10, .bytes_max = 202, .task_bytes_max = 500});
  EXPECT_THAT(IdsOf(few.Take(0).value()), ElementsAre(1, 2));
  EXPECT_TRUE(few.Finish({.done = {1, 2}, .refused = {}}).ok());
  const Outbox::Batch batch = few.Take(0).value();
  EXPECT_THAT(IdsOf(batch), ElementsAre(3, 4, 5));
  EXPECT_TRUE(few.Finish({.done = {3, 4, 5}, .refused = {}}).ok());
  const Outbox::Batch last = few.Take(0).value();
  EXPECT_THAT(last.rows, IsEmpty());
  ASSERT_EQ(last.too_large.size(), 1U);
  EXPECT_EQ(last.too_large[0].why, "it has 1002 bytes, and 500 at most are taken");
  EXPECT_TRUE(few.Finish({.done = {}, .refused = last.too_large}).ok());
  Outbox one(connection_, {.rows_max = 1, .bytes_max = 1});
  server_.Do({insert, insert});
  EXPECT_THAT(IdsOf(one.Take(0).value()), ElementsAre(7)) << "one at least";
}

TEST_F(OutboxTest, TellsTheAppOfWhatIsNoJson) {
  EXPECT_FALSE(server_.Connect().Do("INSERT INTO onebox_outbox (task) VALUES ('{')").ok());
}

TEST_F(OutboxTest, LooksAtItsTableBeforeItMakesOne) {
  EXPECT_TRUE(outbox_.Create().ok());
  server_.Do({"ALTER TABLE onebox_outbox DROP COLUMN created"});
  EXPECT_THAT(outbox_.Create().error().message, HasSubstr("created"));
}

TEST(OutboxTable, IsWhatTheManualShows) {
  std::ifstream file("docs/use/outbox.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  EXPECT_THAT(page, HasSubstr(std::string(kCreateOutbox) + ";\n"));
}

}  // namespace
}  // namespace onebox::database
