#pragma once
// Every SQL statement that the jobs run while they work, prepared.

#include <string>
#include <vector>

#include "base/result.h"
#include "sqlite/database.h"
#include "sqlite/statement.h"

namespace onebox::schedule {

using sqlite::Database;
using sqlite::Durability;
using sqlite::Rows;
using sqlite::Statement;

// Their texts, parameters and columns are in the source, in this order.
struct Statements {
  static Result<Statements> Prepare(Database& database);
  static std::vector<std::string> Texts();  // in the same order

  // at the start
  Statement all_jobs;
  Statement all_pending;
  Statement all_unended;
  Statement count_runs;
  Statement read_fence;
  // a job
  Statement add_job;
  Statement change_job;
  Statement mark_job;
  Statement drop_job;
  // its firings
  Statement reserve_fence;
  Statement add_pending;
  Statement drop_pending;
  // its history
  Statement add_run;
  Statement tell_more;
  Statement begin_run;
  Statement end_run;
  Statement drop_tracebacks;
  Statement drop_oldest;
  Statement runs_of_job;
  Statement runs;
};

}  // namespace onebox::schedule
