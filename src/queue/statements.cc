#include "queue/statements.h"

#include <fmt/format.h>

namespace onebox::queue {
namespace {

// Of the numbers in the texts, `state = 2` waits, 3 runs, 7 is dead, and from 4 on a task has ended:
// they stand there because an index with a condition serves only who asks with the same words.

// Read by StatusIn() in store_people.cc. {0} stands for them, and {1} for them in a list of many
// tasks, where of an outcome its last 4 KiB are enough.
constexpr const char* kStatusColumns =
    "task.id, task.state, queue.name, task.name, task.priority, task.attempts, task.deaths, "
    "task.members_left, task.group_task, task.parent, task.enqueued, task.eta, task.begun, "
    "task.ended, task.lease_end, task.token, task.holder, task.progress, task.cancel_asked, ";
constexpr const char* kOutcome = "outcome.bytes";
constexpr const char* kOutcomesEnd = "substr(outcome.bytes, -4096)";

struct Text {
  Statement Statements::*statement;
  const char* sql;
};

constexpr Text kTexts[] = {
    {&Statements::add_queue, "INSERT INTO queue (id, name, paused) VALUES (?1, ?2, 0)"},
    {&Statements::all_queues, "SELECT id, name, paused FROM queue ORDER BY id"},
    {&Statements::pause_queue, "UPDATE queue SET paused = ?2 WHERE id = ?1"},
    {&Statements::count_tasks,
     "SELECT queue, state, priority, count(*), sum(bytes) FROM task GROUP BY queue, state, "
     "priority"},

    {&Statements::read_reserved,
     "SELECT id, (SELECT coalesce(max(id), 0) FROM task) FROM reserved"},
    {&Statements::reserve_ids, "UPDATE reserved SET id = ?1"},
    {&Statements::add_task,
     "INSERT INTO task (id, queue, state, priority, eta, token, attempts, deaths, cancel_asked,"
     "                  members_left, group_task, parent, enqueued, expires, retries, timeout,"
     "                  result_keep, bytes, unique_key, dedupe_key, name)"
     " VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, 0, 0,"
     "         ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"},
    {&Statements::add_payload, "INSERT INTO payload (task, bytes) VALUES (?1, ?2)"},
    {&Statements::find_key, "SELECT task, keep_until FROM key WHERE kind = ?1 AND key = ?2"},
    {&Statements::put_key, "INSERT OR REPLACE INTO key (kind, key, task) VALUES (?1, ?2, ?3)"},

    // The index gives them in their order, and no more than are asked for.
    {&Statements::find_due,
     "SELECT task.id, task.token, task.name, payload.bytes, task.eta, task.enqueued, task.expires,"
     "       task.attempts, task.deaths, task.retries, task.timeout, task.group_task, task.parent"
     " FROM task INDEXED BY task_waiting CROSS JOIN payload ON payload.task = task.id"
     " WHERE task.state = 2 AND task.queue = ?1 AND task.priority = ?2 AND task.eta <= ?3"
     " ORDER BY task.eta, task.id LIMIT ?4"},
    {&Statements::lease,
     "UPDATE task SET state = 3, token = token + 1, attempts = attempts + 1, lease_end = ?2,"
     "                holder = ?3, begun = ?4, progress = NULL"
     " WHERE id = ?1"},
    {&Statements::renew,
     "UPDATE task SET lease_end = ?2, progress = coalesce(?3, progress) WHERE id = ?1"},
    {&Statements::find_passed_leases,
     "SELECT id FROM task INDEXED BY task_running WHERE state = 3 AND lease_end <= ?1"
     " ORDER BY lease_end, id LIMIT ?2"},
    {&Statements::first_lease_end,
     "SELECT min(lease_end) FROM task INDEXED BY task_running WHERE state = 3"},
    {&Statements::first_eta,
     "SELECT min(eta) FROM task INDEXED BY task_waiting"
     " WHERE state = 2 AND queue = ?1 AND priority = ?2"},
    {&Statements::count_due,
     "SELECT count(*) FROM task INDEXED BY task_waiting"
     " WHERE state = 2 AND queue = ?1 AND priority = ?2 AND eta > ?3 AND eta <= ?4"},

    {&Statements::find_task,
     "SELECT queue, state, priority, eta, token, attempts, deaths, cancel_asked, group_task,"
     "       retries, result_keep, bytes, unique_key, dedupe_key"
     " FROM task WHERE id = ?1"},
    {&Statements::wait_again,
     "UPDATE task SET state = 2, eta = ?2, deaths = ?3, lease_end = NULL WHERE id = ?1"},
    {&Statements::release,
     "UPDATE task SET state = 2, attempts = attempts - 1, lease_end = NULL WHERE id = ?1"},
    {&Statements::end_task,
     "UPDATE task SET state = ?2, ended = ?3, keep_until = ?4, deaths = ?5, lease_end = NULL"
     " WHERE id = ?1"},
    {&Statements::put_outcome, "INSERT OR REPLACE INTO outcome (task, bytes) VALUES (?1, ?2)"},
    {&Statements::ask_cancel, "UPDATE task SET cancel_asked = 1 WHERE id = ?1"},
    {&Statements::count_member,
     "UPDATE task SET members_left = members_left - 1 WHERE id = ?1 AND state = 1"
     " RETURNING members_left"},
    {&Statements::inherit_members,
     "UPDATE task SET members_left = members_left + ?2 WHERE id = ?1 AND state = 1"},
    {&Statements::wait_afresh,
     "UPDATE task SET state = 2, eta = ?2, attempts = 0, deaths = 0, cancel_asked = 0,"
     "                ended = NULL, keep_until = NULL"
     " WHERE id = ?1"},

    {&Statements::keep_key, "UPDATE key SET keep_until = ?3 WHERE kind = ?1 AND key = ?2"},
    {&Statements::drop_key, "DELETE FROM key WHERE kind = ?1 AND key = ?2"},
    {&Statements::drop_payload, "DELETE FROM payload WHERE task = ?1"},
    {&Statements::drop_outcome, "DELETE FROM outcome WHERE task = ?1"},
    {&Statements::drop_task, "DELETE FROM task WHERE id = ?1"},
    {&Statements::find_expired,
     "SELECT id FROM task INDEXED BY task_expiring"
     " WHERE state = 2 AND expires IS NOT NULL AND expires <= ?1 ORDER BY expires, id LIMIT ?2"},
    {&Statements::find_swept,
     "SELECT id FROM task INDEXED BY task_ended WHERE state >= 4 AND keep_until <= ?1"
     " ORDER BY keep_until, id LIMIT ?2"},
    {&Statements::keep_longer, "UPDATE task SET keep_until = ?2 WHERE id = ?1"},
    {&Statements::find_swept_keys,
     "SELECT kind, key FROM key INDEXED BY key_kept"
     " WHERE keep_until IS NOT NULL AND keep_until <= ?1 ORDER BY keep_until, kind, key LIMIT ?2"},
    {&Statements::first_waiting,
     "SELECT id FROM task INDEXED BY task_waiting WHERE state = 2 AND queue = ?1"
     " ORDER BY priority, eta, id LIMIT ?2"},
    {&Statements::first_dead,
     "SELECT id FROM task INDEXED BY task_dead WHERE state = 7 AND queue = ?1"
     " ORDER BY id LIMIT ?2"},

    {&Statements::status,
     "SELECT {0} FROM task JOIN queue ON queue.id = task.queue"
     " LEFT JOIN outcome ON outcome.task = task.id WHERE task.id = ?1"},
    {&Statements::dead_letters,
     "SELECT {1} FROM task INDEXED BY task_dead JOIN queue ON queue.id = task.queue"
     " LEFT JOIN outcome ON outcome.task = task.id"
     " WHERE task.state = 7 AND task.queue = ?1 AND task.id > ?2 ORDER BY task.id LIMIT ?3"},
    {&Statements::members,
     "SELECT {0} FROM task INDEXED BY task_member JOIN queue ON queue.id = task.queue"
     " LEFT JOIN outcome ON outcome.task = task.id"
     " WHERE task.group_task = ?1 AND task.id > ?2 ORDER BY task.id LIMIT ?3"},
    {&Statements::running,
     "SELECT {1} FROM task INDEXED BY task_running JOIN queue ON queue.id = task.queue"
     " LEFT JOIN outcome ON outcome.task = task.id"
     " WHERE task.state = 3 AND task.id > ?1 ORDER BY task.id LIMIT ?2"},
};

// Each statement has its text.
static_assert(sizeof(Statements) == sizeof(Statement) * std::size(kTexts));

}  // namespace

std::vector<std::string> Statements::Texts() {
  const std::string whole = std::string(kStatusColumns) + kOutcome;
  const std::string cut = std::string(kStatusColumns) + kOutcomesEnd;
  std::vector<std::string> texts;
  for (const Text& text : kTexts) {
    texts.push_back(fmt::format(fmt::runtime(text.sql), whole, cut));
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

}  // namespace onebox::queue
