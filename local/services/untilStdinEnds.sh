#!/bin/sh
# Runs a program that knows nothing of its parent, and ends it when our stdin ends. That happens even when the parent is killed
# with SIGKILL, so no database outlives its stack. Usage: `sh untilStdinEnds.sh PROGRAM [ARGUMENT...]`. Prints one line
# `{"pid":N}` with the program's pid, and leaves with the program's exit code. It leads a process group. A shell, because one
# stands beside each database and cache, and a shell takes 2 MB.

# First of all, and by itself: this shell may be killed at any time.
exec 3<&0
(
  trap '' TERM
  while read -r _; do :; done
  kill -TERM "$$" 2>/dev/null || kill -TERM 0
  sleep 10 && kill -KILL 0
) <&3 >/dev/null 2>&1 &
reader=$!

"$@" </dev/null >&2 3<&- &
program=$!
exec 3<&-

# Ends the whole group, with all that the program started.
stop() {
  trap '' TERM INT
  kill -TERM 0
  (sleep 10 && kill -KILL 0) >/dev/null 2>&1 &
  timer=$!
}
timer=
trap stop TERM INT
# The parent may be gone before the line is written.
trap '' PIPE
printf '{"pid":%d}\n' "$program" 2>/dev/null || stop

# A signal interrupts the wait.
while :; do
  wait "$program"
  code=$?
  kill -0 "$program" 2>/dev/null || break
done
# shellcheck disable=SC2086 # there may be no timer
kill -KILL "$reader" $timer 2>/dev/null
[ "$code" -le 128 ] || echo "$1 was ended by signal $((code - 128))" >&2
exit "$code"
