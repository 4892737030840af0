/**
 * What the SQL here counts on, whatever the server's own settings are: set on every connection before its first statement. Each line
 * names what would go wrong otherwise. `/*M! … *\/` is read by MariaDB alone, `/*!80000 … *\/` by MySQL alone; no privilege is needed for any of it.
 */
const SETTINGS = [
  // A server may ignore the character set of the handshake. In another one than we escape for, a quote can hide in a character.
  "NAMES utf8mb4 COLLATE utf8mb4_bin",
  // Values are escaped with backslashes: with NO_BACKSLASH_ESCAPES they could end their string. Without the strict mode what is too long is cut.
  "sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
  // A statement outside a transaction would never be committed, and one behind a COMMIT would belong to the next transaction.
  "autocommit = 1",
  "completion_type = 0",
  "time_zone = '+00:00'",
  // Statements over an index would be refused, and lists cut.
  "sql_safe_updates = 0",
  "sql_select_limit = 18446744073709551615",
  "sql_big_selects = 1",
  "sql_auto_is_null = 0",
  // Repeats of a message are found by unique keys.
  "unique_checks = 1",
  "foreign_key_checks = 1",
  // Tables must know transactions.
  "default_storage_engine = InnoDB",
  "innodb_lock_wait_timeout = 10",
  // A connection that waits for the socket service holds a named lock or a transaction, which end with it. Statements have a time-out of ours.
  "wait_timeout = 28800",
];
const OF_MARIADB = [
  "max_statement_time = 0",
  "idle_transaction_timeout = 0",
  "idle_readonly_transaction_timeout = 0",
  "idle_write_transaction_timeout = 0",
  // Long lists would become joins, whose rows are locked in another order than that of their keys.
  "in_predicate_conversion_threshold = 0",
];
const OF_MYSQL = [
  "max_execution_time = 0",
  // Past it, a list is no longer looked up by its index: all of the table would be locked.
  "range_optimizer_max_mem_size = 0",
];

const also = (settings: readonly string[]): string => settings.map((setting) => `, ${setting}`).join("");

/**
 * The statements that make a connection ready. Two, because the grammar of SET lets nothing follow an isolation level, and its variable's
 * name differs between MySQL and MariaDB.
 */
export const SESSION_STATEMENTS: readonly string[] = [
  `SET ${SETTINGS.join(", ")} /*M! ${also(OF_MARIADB)} */ /*!80000 ${also(OF_MYSQL)} */`,
  "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE",
];
