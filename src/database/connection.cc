#include "database/connection.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>
#include <vector>

#include <fmt/format.h>
#include <mariadb/errmsg.h>
#include <mariadb/mysql.h>
#include <mariadb/mysqld_error.h>

#include "os/poll.h"
#include "os/socket.h"
#include "os/wait.h"

namespace onebox::database {
namespace {

// The library's calls run on a stack of their own, which they leave where they would wait. It loads
// plugins there.
constexpr std::size_t kStackBytes = 512 << 10;
constexpr unsigned long kPacketBytesMax = 64 << 20;
// For what the library might wait for without us, which is nothing: its goodbye fits into the socket.
constexpr unsigned kSecondsMax = 1;

// The server has said so, and closed.
bool IsLastWord(unsigned code) {
  constexpr std::array kLast = {ER_SERVER_SHUTDOWN, 1927 /* killed */, 4031 /* was idle */};
  return std::find(kLast.begin(), kLast.end(), static_cast<int>(code)) != kLast.end();
}

// A word of the client library, not of the server.
bool IsOurs(unsigned code) {
  return (code >= CR_MIN_ERROR && code <= CR_MAX_ERROR) ||
         (code >= CER_MIN_ERROR && code <= CER_MAX_ERROR);
}

// What was refused for the moment alone, and is undone.
bool MayPass(unsigned code) {
  constexpr std::array kPassing = {ER_CON_COUNT_ERROR,
                                   ER_TOO_MANY_USER_CONNECTIONS,
                                   ER_USER_LIMIT_REACHED,
                                   ER_LOCK_WAIT_TIMEOUT,
                                   ER_LOCK_DEADLOCK,
                                   ER_OPTION_PREVENTS_STATEMENT /* read only, for now */};
  return std::find(kPassing.begin(), kPassing.end(), static_cast<int>(code)) != kPassing.end();
}

// What people have to mend: a user, a password, a right, a table.
bool IsOperators(unsigned code) {
  constexpr std::array kOperators = {ER_DBACCESS_DENIED_ERROR,
                                     ER_ACCESS_DENIED_ERROR,
                                     ER_BAD_DB_ERROR,
                                     ER_TABLEACCESS_DENIED_ERROR,
                                     ER_COLUMNACCESS_DENIED_ERROR,
                                     ER_NO_SUCH_TABLE,
                                     ER_BAD_FIELD_ERROR,
                                     ER_PARSE_ERROR,
                                     ER_HOST_NOT_PRIVILEGED,
                                     ER_ACCESS_DENIED_NO_PASSWORD_ERROR};
  return std::find(kOperators.begin(), kOperators.end(), static_cast<int>(code)) !=
         kOperators.end();
}

std::vector<Answer::Cell> CellsOf(MYSQL_RES* result, MYSQL_ROW row) {
  const unsigned count = mysql_num_fields(result);
  const unsigned long* const sizes = mysql_fetch_lengths(result);
  std::vector<Answer::Cell> cells(count);
  for (unsigned i = 0; i < count; ++i) {
    if (row[i] != nullptr) cells[i].emplace(row[i], sizes[i]);
  }
  return cells;
}

}  // namespace

void Connection::Close::operator()(st_mysql* mysql) const {
  mysql_close(mysql);
}

Result<Connection> Connection::Open(const Address& address,
                                    const Options& options,
                                    const Clock& clock) {
  const std::string password = TRY(address.Password());
  if (address.is_unix()) return OpenAt(address, {}, password, options, clock);
  const auto places = TRY(os::Resolve(address.host, address.port));
  CHECK(!places.empty());
  for (std::size_t i = 0;; ++i) {
    auto opened = OpenAt(address, places[i].ip_text(), password, options, clock);
    if (opened.ok() || i + 1 == places.size()) return opened;
  }
}

Result<Connection> Connection::OpenAt(const Address& address,
                                      const std::string& host,
                                      const std::string& password,
                                      const Options& options,
                                      const Clock& clock) {
  Connection connection(address.text(), options, clock);
  connection.deadline_ = clock.Now() + options.timeout;
  TRY(connection.Connect(address, host, password));
  TRY(connection.SetUp());
  connection.doing_ = Doing::kAsking;
  return connection;
}

Status Connection::Connect(const Address& address,
                           const std::string& host,
                           const std::string& password) {
  static std::once_flag once;  // mysql_init() does it too, but not for two threads at once
  std::call_once(once, [] { CHECK(mysql_library_init(0, nullptr, nullptr) == 0); });
  mysql_.reset(mysql_init(nullptr));
  CHECK(mysql_ != nullptr);
  MYSQL* const mysql = mysql_.get();
  const unsigned protocol = address.is_unix() ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
  const unsigned no = 0;  // a server may ask for any of our files
  mysql_options(mysql, MYSQL_OPT_NONBLOCK, &kStackBytes);
  mysql_options(mysql, MYSQL_OPT_PROTOCOL, &protocol);
  mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &no);
  mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  mysql_options(mysql, MYSQL_OPT_MAX_ALLOWED_PACKET, &kPacketBytesMax);
  mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &kSecondsMax);
  mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &kSecondsMax);
  MYSQL* connected = nullptr;
  TRY(Await(
      [&] {
        return mysql_real_connect_start(&connected,
                                        mysql,
                                        host.empty() ? nullptr : host.c_str(),
                                        address.user.c_str(),
                                        password.c_str(),
                                        address.database.c_str(),
                                        address.port,
                                        address.is_unix() ? address.path.c_str() : nullptr,
                                        0);
      },
      [&](int ready) { return mysql_real_connect_cont(&connected, mysql, ready); }));
  if (connected == nullptr) return Fail();
  return Done();
}

// A transaction that is left alone keeps its locks for a minute at most, and none waits long for one of
// the app's.
Status Connection::SetUp() {
  for (const char* const statement :
       {"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET SESSION autocommit = 1, time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES', "
        "innodb_lock_wait_timeout = 1, lock_wait_timeout = 1, wait_timeout = 60"}) {
    TRY(Ask(statement));
  }
  return Done();
}

Result<Answer> Connection::Do(std::string_view statement, std::initializer_list<Value> values) {
  CHECK(open());
  deadline_ = clock_->Now() + options_.timeout;
  return Ask(Filled(statement, values));
}

Result<Answer> Connection::Ask(std::string_view statement) {
  refusal_ = 0;
  int failed = 0;
  MYSQL* const mysql = mysql_.get();
  TRY(Await(
      [&] { return mysql_real_query_start(&failed, mysql, statement.data(), statement.size()); },
      [&](int ready) { return mysql_real_query_cont(&failed, mysql, ready); }));
  if (failed != 0) return Fail();
  return Collect();
}

Result<Answer> Connection::Collect() {
  MYSQL* const mysql = mysql_.get();
  MYSQL_RES* stored = nullptr;
  TRY(Await([&] { return mysql_store_result_start(&stored, mysql); },
            [&](int ready) { return mysql_store_result_cont(&stored, mysql, ready); }));
  const std::unique_ptr<MYSQL_RES, void (*)(MYSQL_RES*)> result(stored, mysql_free_result);
  if (mysql_errno(mysql) != 0) return Fail();
  Answer answer;
  if (result == nullptr) {
    answer.changed = mysql_affected_rows(mysql);
    return answer;
  }
  while (MYSQL_ROW row = mysql_fetch_row(result.get()))
    answer.rows.push_back(CellsOf(result.get(), row));
  return answer;
}

// Runs a call of the library to its end: it returns where it would wait, and for what.
template <typename Start, typename Continue>
Status Connection::Await(Start start, Continue resume) {
  late_ = interrupted_ = false;
  int wanted = start();
  while (wanted != 0)
    wanted = resume(AwaitReady(wanted));
  if (late_ || interrupted_) return Fail();
  return Done();
}

// What is too late is told that its own time is over, again and again until it has given up.
int Connection::AwaitReady(int wanted) {
  const os::Fd none;
  const os::Fd& interrupt = options_.interrupt != nullptr ? *options_.interrupt : none;
  const os::Readiness asked{.reading = (wanted & MYSQL_WAIT_READ) != 0,
                            .writing = (wanted & MYSQL_WAIT_WRITE) != 0};
  while (!late_ && !interrupted_) {
    const Duration left = deadline_ - clock_->Now();
    const os::Readiness ready =
        os::WaitReady(mysql_get_socket(mysql_.get()), asked, interrupt, left);
    const int events =
        (ready.reading ? MYSQL_WAIT_READ : 0) | (ready.writing ? MYSQL_WAIT_WRITE : 0);
    if (events != 0) return events;
    late_ = clock_->Now() >= deadline_;
    interrupted_ = interrupt.valid() && os::WaitReadable(interrupt, Duration::zero());
  }
  return MYSQL_WAIT_TIMEOUT;
}

// A closed connection has no transaction and no locks: what it was doing is the server's to undo.
Error Connection::Fail() {
  const unsigned code = mysql_errno(mysql_.get());
  Error error{Blame::kSystem,
              doing_ == Doing::kConnecting ? Retry::kYes : Retry::kIfIdempotent,
              ECONNRESET,
              fmt::format("{}: {}", name_, mysql_error(mysql_.get()))};
  if (late_ || interrupted_) {
    error.system_error = late_ ? ETIMEDOUT : ECANCELED;
    error.message = fmt::format(
        "{}: {}", name_, late_ ? "it did not answer in time" : "nobody waits for it any more");
  } else if (!IsOurs(code)) {
    refusal_ = code;
    error.system_error = 0;
    error.retry = MayPass(code) ? Retry::kYes : Retry::kNever;
    if (IsOperators(code)) error.blame = Blame::kOperator;
  }
  if (refusal_ == 0 || doing_ == Doing::kConnecting || IsLastWord(code)) mysql_.reset();
  return error;
}

std::string Connection::Filled(std::string_view statement,
                               std::initializer_list<Value> values) const {
  if (values.size() == 0) return std::string(statement);
  std::string filled;
  const Value* next = values.begin();
  for (const char c : statement) {
    if (c != '?') {
      filled += c;
      continue;
    }
    CHECK(next != values.end());
    Append(*next++, filled);
  }
  CHECK(next == values.end());
  return filled;
}

void Connection::Append(const Value& value, std::string& statement) const {
  if (const auto* const number = std::get_if<std::int64_t>(&value)) {
    statement += std::to_string(*number);
    return;
  }
  const std::string_view text = std::get<std::string_view>(value);
  std::string escaped(2 * text.size() + 1, '\0');
  escaped.resize(mysql_real_escape_string(mysql_.get(), escaped.data(), text.data(), text.size()));
  statement += fmt::format("'{}'", escaped);
}

}  // namespace onebox::database
