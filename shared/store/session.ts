// Values are escaped with backslashes: under NO_BACKSLASH_ESCAPES they could end their string. Outside the
// strict mode values that are too long would be cut.
const SQL_MODES = [
  "STRICT_TRANS_TABLES",
  "NO_ZERO_IN_DATE",
  "NO_ZERO_DATE",
  "ERROR_FOR_DIVISION_BY_ZERO",
  "NO_ENGINE_SUBSTITUTION",
];
/**
 * The settings that the SQL here counts on, whatever the server's own are. Every connection makes them before
 * its first statement. Each comment names what would go wrong otherwise. MariaDB alone reads `/*M! … *\/`,
 * and MySQL alone reads `/*!80000 … *\/`. None of it needs a privilege.
 */
const SETTINGS = [
  // A server may ignore the character set of the handshake. We escape for this one: in another one a quote
  // can hide in a character.
  "NAMES utf8mb4 COLLATE utf8mb4_bin",
  `sql_mode = '${SQL_MODES.join(",")}'`,
  // A statement outside a transaction would never be committed. A statement after a COMMIT would belong to
  // the next transaction.
  "autocommit = 1",
  "completion_type = 0",
  // The server would refuse statements over an index, and cut lists.
  "sql_safe_updates = 0",
  "sql_select_limit = 18446744073709551615",
  "sql_big_selects = 1",
  "sql_auto_is_null = 0",
  // Repeats of a message are found by unique keys.
  "unique_checks = 1",
  // Nothing depends on these yet: times are DATETIME in UTC, and there are no foreign keys.
  "time_zone = '+00:00'",
  "foreign_key_checks = 1",
  // Tables must support transactions.
  "default_storage_engine = InnoDB",
  "innodb_lock_wait_timeout = 10",
  // A connection that waits for the socket service holds a named lock or a transaction. Both end with the
  // connection. Statements have a time-out of our own.
  "wait_timeout = 28800",
];
const OF_MARIADB = [
  "max_statement_time = 0",
  "idle_transaction_timeout = 0",
  "idle_readonly_transaction_timeout = 0",
  "idle_write_transaction_timeout = 0",
  // Long lists would become joins, and a join locks rows in another order than that of their keys.
  "in_predicate_conversion_threshold = 0",
];
const OF_MYSQL = [
  "max_execution_time = 0",
  // Past this limit the server no longer looks a list up by its index, and would lock the whole table.
  "range_optimizer_max_mem_size = 0",
];

const also = (settings: readonly string[]): string => settings.map((setting) => `, ${setting}`).join("");

/**
 * The statements that make a connection ready. There are two, because the grammar of SET lets nothing follow
 * an isolation level. The variable of the isolation level has different names in MySQL and MariaDB.
 */
export const SESSION_STATEMENTS: readonly string[] = [
  `SET ${SETTINGS.join(", ")} /*M! ${also(OF_MARIADB)} */ /*!80000 ${also(OF_MYSQL)} */`,
  "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE",
];
