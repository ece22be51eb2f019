#pragma once
// Every SQL statement that the store runs while it works, prepared.

#include <string>
#include <vector>

#include "base/result.h"
#include "sqlite/database.h"
#include "sqlite/statement.h"

namespace onebox::queue {

using sqlite::Blob;
using sqlite::Database;
using sqlite::Durability;
using sqlite::IntegersOf;
using sqlite::Rows;
using sqlite::Statement;

// Each reads and writes by a key or an index; their texts, parameters and columns are in the source,
// in this order. Those that give a task's status have the columns of kStatusColumns there.
struct Statements {
  static Result<Statements> Prepare(Database& database);
  static std::vector<std::string> Texts();  // in the same order

  // queues
  Statement add_queue;
  Statement all_queues;
  Statement pause_queue;
  Statement count_tasks;
  // a new task
  Statement read_reserved;
  Statement reserve_ids;
  Statement add_task;
  Statement add_payload;
  Statement find_key;
  Statement put_key;
  // its leases
  Statement find_due;
  Statement lease;
  Statement renew;
  Statement find_passed_leases;
  Statement first_lease_end;
  Statement first_eta;
  Statement count_due;
  // its way through the states
  Statement find_task;
  Statement wait_again;
  Statement release;
  Statement end_task;
  Statement put_outcome;
  Statement ask_cancel;
  Statement count_member;
  Statement inherit_members;
  Statement wait_afresh;
  // its end
  Statement keep_key;
  Statement drop_key;
  Statement drop_payload;
  Statement drop_outcome;
  Statement drop_task;
  Statement find_expired;
  Statement find_swept;
  Statement keep_longer;
  Statement find_swept_keys;
  Statement first_waiting;
  Statement first_dead;
  // for who asks
  Statement status;
  Statement dead_letters;
  Statement members;
  Statement running;
};

}  // namespace onebox::queue
