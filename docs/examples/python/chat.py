"""stomp.py over its WebSocket transport: sends each line you type to the room with user 2 and prints what is written there.

It shows refusals, comes back after a lost connection without missing or repeating anything, and stays away when the service has
ended its session.
"""

import json
import os
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

import stomp
from stomp.exception import ConnectFailedException

TOKEN = os.environ.get("TOKEN", "")
API = os.environ.get("API", "http://127.0.0.1:7071")
CHAT = urllib.parse.urlsplit(os.environ.get("CHAT", "ws://127.0.0.1:8080/client/hubs/chat"))
HOST = (CHAT.hostname, CHAT.port or (443 if CHAT.scheme == "wss" else 80))


def say(text):
    print(text, file=sys.stderr, flush=True)


def passes(code):
    """Whether the same can be sent again."""
    return code in ("UNAVAILABLE", "RATE_LIMIT_EXCEEDED")


class Chat(stomp.ConnectionListener):
    """The on_… methods are called by a thread of stomp.py; the lock keeps it and the typist apart."""

    def __init__(self, room_id):
        self.room_id = room_id
        self.connection = None
        self.connected = threading.Event()
        self.lost = threading.Event()
        self.ended = False  # by the service
        self.last_seq = 0  # of the last message that was printed
        self.outbox = []  # what the service has not accepted yet, the first of it on its way
        self.lock = threading.RLock()

    def run(self):
        """Returns when the service has ended the session."""
        pause = 1
        while not self.ended:
            if self.connect():
                pause = 1
                self.lost.wait()
            if not self.ended:
                say("not connected, trying again")
                time.sleep(pause)
                pause = min(pause * 2, 30)

    def connect(self):
        self.lost.clear()
        self.connection = stomp.WSStompConnection(
            [HOST],
            # A token that can run out belongs here: ask for a new one each time.
            ws_path=f"{CHAT.path}?token={TOKEN}",
            # The service sends something at least once a minute, so that a dead network is noticed within three.
            heartbeats=(0, 60_000),
            reconnect_attempts_max=1,
        )
        if CHAT.scheme == "wss":
            self.connection.set_ssl([HOST])
        self.connection.set_listener("chat", self)
        try:
            self.connection.connect()
        except ConnectFailedException:
            return False
        if not self.connected.wait(20):
            self.connection.transport.disconnect_socket()
        return self.connected.is_set()

    def on_connected(self, frame):
        say("connected")
        self.connected.set()
        # First, so that the others' refusals come there.
        self.connection.subscribe("/user/queue/errors", id="errors")
        self.connection.subscribe("/user/queue/session", id="session")
        self.join_room()
        self.send_first()

    def on_disconnected(self):
        self.connected.clear()
        self.lost.set()

    def join_room(self):
        """What was written since the last printed message comes first; at the very first time the last 200."""
        headers = {"last-seq": str(self.last_seq)}
        self.connection.subscribe(f"/sub/chat/room/{self.room_id}", id="room", headers=headers)

    def write(self, content):
        with self.lock:
            self.outbox.append((str(uuid.uuid4()), content))
            if len(self.outbox) == 1:
                self.send_first()

    def send_first(self):
        """One after the other, so that they stay in order. Sent again with the same clientMessageId, it is stored once."""
        with self.lock:
            if not self.outbox or not self.connected.is_set():
                return
            client_message_id, content = self.outbox[0]
            body = {"roomId": self.room_id, "content": content, "clientMessageId": client_message_id}
            try:
                self.connection.send("/pub/chat/message", json.dumps(body), headers={"receipt": client_message_id})
            except Exception as error:  # the connection was lost: it is sent again on the next one
                say(f"not sent yet: {error}")

    def send_next(self, done):
        with self.lock:
            if self.outbox and self.outbox[0][0] == done:
                del self.outbox[0]
                self.send_first()

    def on_receipt(self, frame):
        say("accepted")
        self.send_next(frame.headers["receipt-id"])

    def on_message(self, frame):
        body = json.loads(frame.body)
        subscription = frame.headers["subscription"]
        if subscription == "errors":
            self.refused(body)
        elif subscription == "session":
            say(f"session ended: {body['reason']}")
        elif body["seq"] > self.last_seq:
            if "gap" in frame.headers:
                say("more than 200 were missed: the history has the others")
            self.last_seq = body["seq"]
            print(f"{body['senderNickname']}: {body['content']}", flush=True)

    def refused(self, problem):
        say(f"refused: {problem['code']} {problem['message']}")
        client_message_id = problem.get("clientMessageId")
        if passes(problem["code"]):
            # What has no clientMessageId is the SUBSCRIBE to the room.
            again = self.send_first if client_message_id else self.join_room
            threading.Timer(problem.get("retryAfter", 1), again).start()
        else:
            self.send_next(client_message_id)

    def on_error(self, frame):
        """The service's last word before it closes. After SESSION_CLOSED (another device has the place, or a logout) coming back
        would only end the other one; and what else comes here would come again, unless it passes."""
        problem = json.loads(frame.body)
        say(f"closed: {problem['code']} {problem['message']}")
        self.ended = not passes(problem["code"])


def open_room():
    request = urllib.request.Request(
        f"{API}/api/v1/chat/rooms",
        data=b'{"targetUserId": 2}',
        headers={"Authorization": f"Bearer {TOKEN}"},
    )
    try:
        with urllib.request.urlopen(request) as response:
            return json.load(response)["roomId"]
    except urllib.error.HTTPError as error:
        sys.exit(f"no room, is TOKEN set? {error.read().decode()}")


def read_lines(chat):
    for line in sys.stdin:
        chat.write(line.rstrip("\n"))


def main():
    chat = Chat(open_room())
    threading.Thread(target=read_lines, args=[chat], daemon=True).start()
    chat.run()
    sys.exit(1)


if __name__ == "__main__":
    main()
