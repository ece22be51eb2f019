#include "schedule/jobs_statements.h"

#include <iterator>

#include <fmt/format.h>

namespace onebox::schedule {
namespace {

// Of the numbers in the texts, `state <= 2` waits or runs: it stands there because an index with a
// condition serves only who asks with the same words.

// {0}, read by RunsIn() in jobs_history.cc.
constexpr const char* kRunColumns =
    "job, state, task, firing, last, count, fence, manual, worker, attempts, begun, ended, "
    "traceback";

struct Text {
  Statement Statements::*statement;
  const char* sql;
};

constexpr Text kTexts[] = {
    {&Statements::all_jobs,
     "SELECT id, name, source, trigger_kind, trigger_text, zone, jitter, timeout, overlap, "
     "catch_up,"
     "       catch_up_max, late, retries, work, what, handled, paused, removed, missed, skipped"
     " FROM job ORDER BY id"},
    {&Statements::all_pending, "SELECT job, fence, firing, manual FROM pending ORDER BY fence"},
    {&Statements::all_unended,
     "SELECT job, id, task, state FROM run INDEXED BY run_unended WHERE state <= 2 ORDER BY job, "
     "id"},
    {&Statements::count_runs, "SELECT job, count(*) FROM run INDEXED BY run_of_job GROUP BY job"},
    {&Statements::read_fence, "SELECT next FROM fence"},

    {&Statements::add_job,
     "INSERT INTO job (name, source, trigger_kind, trigger_text, zone, jitter, timeout, overlap,"
     "                 catch_up, catch_up_max, late, retries, work, what, handled, paused, missed,"
     "                 skipped)"
     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, 0, 0, 0)"
     " RETURNING id"},
    {&Statements::change_job,
     "UPDATE job SET source = ?2, trigger_kind = ?3, trigger_text = ?4, zone = ?5, jitter = ?6,"
     "               timeout = ?7, overlap = ?8, catch_up = ?9, catch_up_max = ?10, late = ?11,"
     "               retries = ?12, work = ?13, what = ?14"
     " WHERE name = ?1"},
    {&Statements::mark_job,
     "UPDATE job SET handled = ?2, paused = ?3, removed = ?4, missed = ?5, skipped = ?6"
     " WHERE id = ?1"},
    {&Statements::drop_job, "DELETE FROM job WHERE id = ?1"},

    {&Statements::reserve_fence, "UPDATE fence SET next = ?1"},
    {&Statements::add_pending,
     "INSERT INTO pending (fence, job, firing, manual) VALUES (?1, ?2, ?3, ?4)"},
    {&Statements::drop_pending, "DELETE FROM pending WHERE fence = ?1"},

    {&Statements::add_run,
     "INSERT INTO run (job, state, task, firing, last, count, fence, manual, ended, worker, "
     "attempts)"
     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0, 0) RETURNING id"},
    {&Statements::tell_more,
     "UPDATE run SET count = count + ?2, last = max(last, ?3), ended = ?4 WHERE id = ?1"},
    {&Statements::begin_run,
     "UPDATE run SET state = 2, worker = ?2, attempts = attempts + 1, begun = coalesce(begun, ?3)"
     " WHERE id = ?1"},
    {&Statements::end_run, "UPDATE run SET state = ?2, ended = ?3, traceback = ?4 WHERE id = ?1"},
    {&Statements::drop_tracebacks,
     "UPDATE run SET traceback = NULL WHERE id IN"
     " (SELECT id FROM run INDEXED BY run_traceback WHERE job = ?1 AND traceback IS NOT NULL"
     "  ORDER BY id DESC LIMIT 100 OFFSET ?2)"},
    {&Statements::drop_oldest,
     "DELETE FROM run WHERE id IN"
     " (SELECT id FROM run INDEXED BY run_of_job WHERE job = ?1 AND state > 2 ORDER BY id LIMIT ?2)"
     " RETURNING id"},
    {&Statements::runs_of_job,
     "SELECT {0} FROM run INDEXED BY run_of_job WHERE job = ?1 ORDER BY id DESC LIMIT ?2"},
    {&Statements::runs, "SELECT {0} FROM run ORDER BY id DESC LIMIT ?1"},
};

// Each statement has its text.
static_assert(sizeof(Statements) == sizeof(Statement) * std::size(kTexts));

}  // namespace

std::vector<std::string> Statements::Texts() {
  std::vector<std::string> texts;
  for (const Text& text : kTexts) {
    texts.push_back(fmt::format(fmt::runtime(text.sql), kRunColumns));
  }
  return texts;
}

Result<Statements> Statements::Prepare(Database& database) {
  Statements prepared;
  const std::vector<std::string> texts = Texts();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    prepared.*kTexts[i].statement = TRY(database.Prepare(texts[i]));
  }
  return prepared;
}

}  // namespace onebox::schedule
