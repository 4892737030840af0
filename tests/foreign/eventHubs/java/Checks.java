import com.azure.core.amqp.AmqpRetryOptions;
import com.azure.core.amqp.exception.AmqpException;
import com.azure.core.util.serializer.JacksonAdapter;
import com.azure.core.util.serializer.SerializerEncoding;
import com.azure.messaging.eventhubs.CheckpointStore;
import com.azure.messaging.eventhubs.EventData;
import com.azure.messaging.eventhubs.EventDataBatch;
import com.azure.messaging.eventhubs.EventHubClientBuilder;
import com.azure.messaging.eventhubs.EventHubConsumerAsyncClient;
import com.azure.messaging.eventhubs.EventHubConsumerClient;
import com.azure.messaging.eventhubs.EventHubProducerClient;
import com.azure.messaging.eventhubs.EventProcessorClientBuilder;
import com.azure.messaging.eventhubs.LoadBalancingStrategy;
import com.azure.messaging.eventhubs.models.Checkpoint;
import com.azure.messaging.eventhubs.models.CreateBatchOptions;
import com.azure.messaging.eventhubs.models.EventPosition;
import com.azure.messaging.eventhubs.models.PartitionEvent;
import com.azure.messaging.eventhubs.models.PartitionOwnership;
import com.azure.messaging.eventhubs.models.ReceiveOptions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** What tests/foreign/eventHubs.test.ts asks of an SDK, with the one for Java. Prints one JSON object a line. */
public class Checks {
    static final String CONNECTION = System.getenv("CONNECTION");
    static final String HUB = System.getenv("HUB");
    static final Duration LIMIT = Duration.ofSeconds(30);

    public static void main(String[] args) throws Exception {
        EventHubProducerClient sender = producer(CONNECTION, HUB);
        check("hub", () -> {
            var facts = sender.getEventHubProperties();
            return Map.of("name", facts.getName(), "partitions", facts.getPartitionIds().stream().toList());
        });
        check("partition", () -> {
            var facts = sender.getPartitionProperties("0");
            return Map.of(
                "begin", facts.getBeginningSequenceNumber(),
                "last", facts.getLastEnqueuedSequenceNumber(),
                "empty", facts.isEmpty());
        });
        check("send", () -> {
            EventData single = new EventData(new byte[] {0, 1, (byte) 255});
            single.getProperties().putAll(Map.of("text", "한국", "number", 7L, "yes", true));
            send(sender, new CreateBatchOptions().setPartitionId("1"), Stream.of(single));
            send(sender, new CreateBatchOptions().setPartitionId("0"), numbered("", 100));
            send(sender, new CreateBatchOptions().setPartitionKey("room-한국"), numbered("key ", 10));
            return null;
        });
        List<PartitionEvent> all = new ArrayList<>();
        check("read", () -> {
            all.addAll(read(HUB, "0", EventPosition.earliest(), 100));
            return texts(all);
        });
        check("from a sequence number", () -> texts(read(HUB, "0", EventPosition.fromSequenceNumber(50, true), 5)));
        check("behind an offset", () -> {
            long offset = all.get(59).getData().getOffset();
            return texts(read(HUB, "0", EventPosition.fromOffset(offset), 5));
        });
        check("bytes and properties", () -> {
            EventData event = read(HUB, "1", EventPosition.earliest(), 1).get(0).getData();
            return Map.of("body", HexFormat.of().formatHex(event.getBody()), "properties", event.getProperties());
        });
        check("processor", () -> process(111));
        checkLevels();
        check("send to no hub", () -> {
            send(producer(CONNECTION, "nowhere"), new CreateBatchOptions().setPartitionId("0"), numbered("", 1));
            return null;
        });
        check("properties of no hub", () -> producer(CONNECTION, "nowhere").getEventHubProperties().getName());
        check("read no hub", () -> first("nowhere", 1L));
        EventHubProducerClient wrong =
            producer(CONNECTION.replace("SharedAccessKey=", "SharedAccessKey=x"), HUB);
        check("send with a wrong key", () -> {
            send(wrong, new CreateBatchOptions(), numbered("", 1));
            return null;
        });
        check("properties with a wrong key", () -> wrong.getEventHubProperties().getName());
        System.exit(0);
    }

    /** Prints what a check found, or the error that ended it. */
    static void check(String name, Callable<Object> run) throws Exception {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("check", name);
        try {
            line.put("value", run.call());
        } catch (Throwable error) {
            Throwable cause = error;
            while (!(cause instanceof AmqpException) && cause.getCause() != null) cause = cause.getCause();
            line.put("error", cause instanceof AmqpException amqp
                ? String.valueOf(amqp.getErrorCondition())
                : cause.getClass().getSimpleName());
            line.put("text", String.valueOf(cause.getMessage()));
        }
        System.out.println(
            JacksonAdapter.createDefaultSerializerAdapter().serialize(line, SerializerEncoding.JSON));
    }

    static EventHubClientBuilder builder(String connection, String hub) {
        return new EventHubClientBuilder()
            .connectionString(connection, hub)
            .consumerGroup(EventHubClientBuilder.DEFAULT_CONSUMER_GROUP_NAME)
            .retryOptions(new AmqpRetryOptions().setMaxRetries(0).setTryTimeout(LIMIT));
    }

    static EventHubProducerClient producer(String connection, String hub) {
        return builder(connection, hub).buildProducerClient();
    }

    static Stream<EventData> numbered(String prefix, int count) {
        return IntStream.range(0, count).mapToObj(number -> new EventData(prefix + number));
    }

    static void send(EventHubProducerClient sender, CreateBatchOptions options, Stream<EventData> events) {
        EventDataBatch batch = sender.createBatch(options);
        events.forEach(batch::tryAdd);
        sender.send(batch);
    }

    static List<PartitionEvent> read(String hub, String partition, EventPosition from, int count) {
        try (EventHubConsumerClient consumer = builder(CONNECTION, hub).buildConsumerClient()) {
            return consumer.receiveFromPartition(partition, count, from, LIMIT).stream().toList();
        }
    }

    static List<String> texts(List<PartitionEvent> events) {
        return events.stream().map(event -> event.getData().getBodyAsString()).toList();
    }

    /** A reader is taken over by a higher owner level, and one with a lower level is refused. */
    static void checkLevels() throws Exception {
        CountDownLatch reads = new CountDownLatch(1);
        CompletableFuture<Object> lost = new CompletableFuture<>();
        EventHubConsumerAsyncClient older = builder(CONNECTION, HUB).buildAsyncConsumerClient();
        older.receiveFromPartition("0", EventPosition.earliest(), new ReceiveOptions().setOwnerLevel(1L))
            .subscribe(event -> reads.countDown(), lost::completeExceptionally, () -> lost.complete("ended"));
        reads.await(30, TimeUnit.SECONDS);
        CountDownLatch taken = new CountDownLatch(1);
        EventHubConsumerAsyncClient newer = builder(CONNECTION, HUB).buildAsyncConsumerClient();
        newer.receiveFromPartition("0", EventPosition.earliest(), new ReceiveOptions().setOwnerLevel(2L))
            .subscribe(event -> taken.countDown(), error -> taken.countDown());
        taken.await(30, TimeUnit.SECONDS);
        check("taken over", () -> lost.get(30, TimeUnit.SECONDS));
        check("refused", () -> first(HUB, 1L));
        older.close();
        newer.close();
    }

    static String first(String hub, long level) {
        try (EventHubConsumerAsyncClient consumer = builder(CONNECTION, hub).buildAsyncConsumerClient()) {
            return consumer
                .receiveFromPartition("0", EventPosition.earliest(), new ReceiveOptions().setOwnerLevel(level))
                .blockFirst(LIMIT)
                .getData()
                .getBodyAsString();
        }
    }

    /** Reads the whole hub with a processor, and returns what came from each partition. */
    static Map<String, List<String>> process(int count) throws Exception {
        Map<String, List<String>> found = new ConcurrentHashMap<>();
        CountDownLatch waiting = new CountDownLatch(count);
        var processor = new EventProcessorClientBuilder()
            .connectionString(CONNECTION, HUB)
            .consumerGroup(EventHubClientBuilder.DEFAULT_CONSUMER_GROUP_NAME)
            .checkpointStore(new Memory())
            .loadBalancingStrategy(LoadBalancingStrategy.GREEDY)
            .loadBalancingUpdateInterval(Duration.ofSeconds(1))
            .partitionOwnershipExpirationInterval(Duration.ofSeconds(60))
            .initialPartitionEventPosition(partition -> EventPosition.earliest())
            .processEvent(context -> {
                String partition = context.getPartitionContext().getPartitionId();
                found.computeIfAbsent(partition, id -> new ArrayList<>()).add(context.getEventData().getBodyAsString());
                context.updateCheckpoint();
                waiting.countDown();
            })
            .processError(context -> System.err.println(context.getThrowable()))
            .buildEventProcessorClient();
        processor.start();
        boolean came = waiting.await(60, TimeUnit.SECONDS);
        processor.stop();
        if (!came) throw new IllegalStateException(waiting.getCount() + " events did not come");
        return new HashMap<>(found);
    }

    /** A checkpoint store for one process. */
    static class Memory implements CheckpointStore {
        private final Map<String, PartitionOwnership> owners = new ConcurrentHashMap<>();
        private final Map<String, Checkpoint> checkpoints = new ConcurrentHashMap<>();

        @Override
        public Flux<PartitionOwnership> listOwnership(String namespace, String hub, String group) {
            return Flux.fromIterable(owners.values());
        }

        @Override
        public Flux<PartitionOwnership> claimOwnership(List<PartitionOwnership> wanted) {
            for (PartitionOwnership each : wanted)
                owners.put(
                    each.getPartitionId(),
                    each.setETag(UUID.randomUUID().toString()).setLastModifiedTime(System.currentTimeMillis()));
            return Flux.fromIterable(wanted);
        }

        @Override
        public Flux<Checkpoint> listCheckpoints(String namespace, String hub, String group) {
            return Flux.fromIterable(checkpoints.values());
        }

        @Override
        public Mono<Void> updateCheckpoint(Checkpoint checkpoint) {
            checkpoints.put(checkpoint.getPartitionId(), checkpoint);
            return Mono.empty();
        }
    }
}
