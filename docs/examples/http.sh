#!/bin/sh
# The HTTP calls with nothing but curl: a socket's address, a new room, the list of rooms, history, reading.
set -eu
API=${API:-http://127.0.0.1:7071}
: "${TOKEN:?is missing, set it so: TOKEN=\$(npm run --silent token -- 1 Ann)}"

# call METHOD PATH [BODY]: prints the answer's JSON on one line.
call() {
  curl --silent --show-error --fail-with-body --max-time 20 --request "$1" "$API/api/v1/chat$2" \
    --header "Authorization: Bearer $TOKEN" ${3:+--header "Content-Type: application/json" --data "$3"}
  echo
}
# first NAME JSON: the first number of that name, or nothing.
first() {
  printf '%s' "$2" | grep -o "\"$1\":[0-9]*" | head -n 1 | cut -d : -f 2
}

call POST /negotiate
made=$(call POST /group-rooms '{"roomName":"From the shell","userIds":[2]}')
echo "$made"
room=$(first roomId "$made")
call GET "/rooms?limit=3"

# An invitation is announced by a message, which is stored a moment later.
call POST "/group-rooms/$room/invite" '{"userIds":[3]}'
for _ in 1 2 3 4 5 6 7 8 9 10; do
  history=$(call GET "/rooms/$room/messages?limit=10")
  message=$(first messageId "$history")
  if [ -n "$message" ]; then break; fi
  sleep 1
done
echo "$history"
call PATCH "/rooms/$room/read?messageId=$message"
