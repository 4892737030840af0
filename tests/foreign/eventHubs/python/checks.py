"""What tests/foreign/eventHubs.test.ts asks of an SDK, with the one for Python. Prints one JSON object a line."""

import json
import os
import threading

from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient

CONNECTION = os.environ["CONNECTION"]
HUB = os.environ["HUB"]
LIMIT = 30
ONCE = {"retry_total": 0}


def check(name, run):
    """Prints what a check found, or the error that ended it."""
    try:
        line = {"check": name, "value": run()}
    except Exception as error:
        line = {"check": name, "error": type(error).__name__, "text": str(error)}
    print(json.dumps(line), flush=True)


def producer(hub=HUB, connection=CONNECTION):
    return EventHubProducerClient.from_connection_string(connection, eventhub_name=hub, **ONCE)


def consumer(hub=HUB, **more):
    return EventHubConsumerClient.from_connection_string(
        CONNECTION, "$Default", eventhub_name=hub, **ONCE, **more
    )


def send(sender, events, **where):
    batch = sender.create_batch(**where)
    for event in events:
        batch.add(event)
    sender.send_batch(batch)


def numbered(prefix, count):
    return [EventData(f"{prefix}{number}") for number in range(count)]


class Reading:
    """Receives in a thread of its own until there are enough events, an error, or it is closed."""

    def __init__(self, hub=HUB, count=None, **where):
        self.events, self.error, self.ended = [], None, threading.Event()
        self.began = threading.Event()
        self.client = consumer(hub, load_balancing_interval=1, load_balancing_strategy="greedy")

        def on_events(context, events):
            if not events:
                return
            self.events += [(context.partition_id, event) for event in events]
            self.began.set()
            if count is not None and len(self.events) >= count:
                self.ended.set()

        def on_error(_context, error):
            self.error = error
            self.ended.set()
            self.began.set()

        def run():
            self.client.receive_batch(on_events, on_error=on_error, max_wait_time=1, **where)

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def result(self):
        came = self.ended.wait(LIMIT)
        self.close()
        if self.error is not None:
            raise self.error
        if not came:
            raise TimeoutError(f"{len(self.events)} events")
        return [event for _, event in self.events]

    def close(self):
        self.client.close()
        self.thread.join(LIMIT)


def read(partition, start, count, **more):
    return Reading(partition_id=partition, starting_position=start, count=count, **more).result()[:count]


def texts(events):
    return [event.body_as_str() for event in events]


def hub_facts():
    facts = sender.get_eventhub_properties()
    return {"name": facts["eventhub_name"], "partitions": facts["partition_ids"]}


def partition_facts():
    facts = sender.get_partition_properties("0")
    return {
        "begin": facts["beginning_sequence_number"],
        "last": facts["last_enqueued_sequence_number"],
        "empty": facts["is_empty"],
    }


def send_all():
    single = EventData(bytes([0, 1, 255]))
    single.properties = {"text": "한국", "number": 7, "yes": True}
    sender.send_event(single, partition_id="1")
    send(sender, numbered("", 100), partition_id="0")
    send(sender, numbered("key ", 10), partition_key="room-한국")


def decoded(properties):
    def plain(value):
        return value.decode() if isinstance(value, bytes) else value

    return {plain(name): plain(value) for name, value in properties.items()}


def bytes_and_properties():
    event = read("1", "-1", 1)[0]
    return {"body": b"".join(event.body).hex(), "properties": decoded(event.properties)}


def read_all():
    events = read("0", "-1", 100)
    places["sixtieth"] = events[59].offset
    return texts(events)


def process():
    reading = Reading(starting_position="-1", count=111)
    reading.result()
    found = {}
    for partition, event in reading.events:
        found.setdefault(partition, []).append(b"".join(event.body).decode(errors="replace"))
    return found


def check_levels():
    """A reader is taken over by a higher owner level, and one with a lower level is refused."""
    older = Reading(partition_id="0", starting_position="-1", owner_level=1)
    older.began.wait(LIMIT)
    newer = Reading(partition_id="0", starting_position="-1", owner_level=2)
    newer.began.wait(LIMIT)
    check("taken over", older.result)
    check("refused", lambda: read("0", "-1", 1, owner_level=1) and None)
    newer.close()


places = {}
sender = producer()
check("hub", hub_facts)
check("partition", partition_facts)
check("send", send_all)
check("read", read_all)
check("from a sequence number", lambda: texts(read("0", 50, 5, starting_position_inclusive=True)))
check("behind an offset", lambda: texts(read("0", places["sixtieth"], 5)))
check("bytes and properties", bytes_and_properties)
check("processor", process)
check_levels()
check("send to no hub", lambda: producer("nowhere").send_event(EventData("x"), partition_id="0"))
check("properties of no hub", lambda: producer("nowhere").get_eventhub_properties())
check("read no hub", lambda: read("0", "-1", 1, hub="nowhere") and None)
wrong = producer(connection=CONNECTION.replace("SharedAccessKey=", "SharedAccessKey=x"))
check("send with a wrong key", lambda: wrong.send_event(EventData("x"), partition_id="0"))
check("properties with a wrong key", lambda: wrong.get_eventhub_properties())
os._exit(0)
