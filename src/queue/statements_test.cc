#include "queue/statements.h"

#include <set>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "queue/store.h"
#include "queue/testing.h"

namespace onebox::queue {
namespace {

// The steps in which SQLite runs a statement, a line each.
std::string PlanOf(sqlite3* file, const std::string& sql) {
  std::string plan;
  const auto add = [](void* to, int, char** columns, char**) {
    *static_cast<std::string*>(to) += std::string(columns[3]) + '\n';
    return 0;
  };
  EXPECT_EQ(sqlite3_exec(file, ("EXPLAIN QUERY PLAN " + sql).c_str(), add, &plan, nullptr),
            SQLITE_OK)
      << sql << sqlite3_errmsg(file);
  return plan;
}

// So each operation costs what it touches, and not what there is.
TEST(Statements, FindTheirRowsByAKeyOrAnIndexInOrder) {
  // At the start, or a table of one row, or a page of the tasks that run.
  const std::set<std::string> may_scan = {"SCAN queue\n",
                                          "SCAN task\nUSE TEMP B-TREE FOR GROUP BY\n",
                                          "SCAN reserved\n",
                                          "SCAN reserved\nSCALAR SUBQUERY 1\nSEARCH task\n"};
  const TestFolder folder;
  Store::Open(folder.file(), {}).value().reset();
  sqlite3* file = nullptr;
  ASSERT_EQ(sqlite3_open(folder.file().c_str(), &file), SQLITE_OK);
  int scans = 0;
  const auto texts = Statements::Texts();
  for (const std::string& sql : texts) {
    SCOPED_TRACE(sql);
    const std::string plan = PlanOf(file, sql);
    const bool scans_all =
        plan.find("SCAN") != std::string::npos || plan.find("TEMP B-TREE") != std::string::npos;
    if (!scans_all) continue;
    ++scans;
    const bool of_those_that_run = plan.rfind("SCAN task USING INDEX task_running\n", 0) == 0;
    EXPECT_TRUE(may_scan.count(plan) > 0 || of_those_that_run) << plan;
  }
  EXPECT_EQ(scans, 5);
  sqlite3_close(file);
}

}  // namespace
}  // namespace onebox::queue
