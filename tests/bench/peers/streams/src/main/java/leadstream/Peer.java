package leadstream;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.StateRestoreListener;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** The job of tests/bench/peers (its package says what it is) in Kafka Streams; says how far it is in lines of JSON. */
public final class Peer {
    static final String STORE = "leads";
    static final ObjectMapper JSON = new ObjectMapper();

    /** What is read of a message. */
    @JsonIgnoreProperties(ignoreUnknown = true)
    public static final class Event {
        public String type;
        public String event;
        public String timestamp;
    }

    /** A lead as it is stored. */
    public static final class State {
        public double score;
        public long at;
        public Map<String, Integer> counts = new HashMap<>();
    }

    /** What is sent when a lead's score crosses the threshold upward. */
    public record Crossing(String lead, long at, double score, Map<String, Integer> counts) {}

    /** The task, as the bench tells it. */
    @JsonIgnoreProperties(ignoreUnknown = true)
    public static final class Task {
        public String broker;
        public String name;
        public String source;
        public String output;
        public String home;
        public int commit_ms;
        public boolean cached;
        public Map<String, String> options;
        public double half_life_ms;
        public double threshold;
        public Map<String, Double> points;
    }

    static final AtomicLong EVENTS = new AtomicLong();
    static volatile long last;
    static volatile boolean open;
    static volatile long restoreBegan;
    static volatile long restoreEnded;

    static final class Scoring implements Processor<String, byte[], String, byte[]> {
        private final Task task;
        private final ObjectReader events = JSON.readerFor(Event.class);
        private final ObjectWriter crossings = JSON.writerFor(Crossing.class);
        private ProcessorContext<String, byte[]> context;
        private KeyValueStore<String, State> leads;

        Scoring(Task task) {
            this.task = task;
        }

        @Override
        public void init(ProcessorContext<String, byte[]> context) {
            this.context = context;
            this.leads = context.getStateStore(STORE);
        }

        @Override
        public void process(Record<String, byte[]> record) {
            try {
                Event event = events.readValue(record.value());
                long at = OffsetDateTime.parse(event.timestamp).toInstant().toEpochMilli();
                String kind = "track".equals(event.type) ? event.event : event.type;
                State state = leads.get(record.key());
                if (state == null) {
                    state = new State();
                }
                double points = task.points.getOrDefault(kind, 0.0);
                if (at >= state.at) {
                    state.score *= Math.pow(2.0, (state.at - at) / task.half_life_ms);
                    state.at = at;
                } else {
                    points *= Math.pow(2.0, (at - state.at) / task.half_life_ms);
                }
                double before = state.score;
                state.score += points;
                state.counts.merge(kind, 1, Integer::sum);
                leads.put(record.key(), state);
                if (before < task.threshold && task.threshold <= state.score) {
                    Crossing crossing = new Crossing(record.key(), state.at, state.score, state.counts);
                    context.forward(record.withValue(crossings.writeValueAsBytes(crossing)));
                }
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
            EVENTS.incrementAndGet();
            last = System.nanoTime();
        }
    }

    /** A lead in few bytes: score, time, number of kinds, then name and count of each. */
    static Serde<State> states() {
        return Serdes.serdeFrom((topic, state) -> state == null ? null : bytes(state), (topic, bytes) -> state(bytes));
    }

    static byte[] bytes(State state) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(128);
        try (DataOutputStream out = new DataOutputStream(bytes)) {
            out.writeDouble(state.score);
            out.writeLong(state.at);
            out.writeShort(state.counts.size());
            for (Map.Entry<String, Integer> count : state.counts.entrySet()) {
                out.writeUTF(count.getKey());
                out.writeInt(count.getValue());
            }
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return bytes.toByteArray();
    }

    static State state(byte[] bytes) {
        if (bytes == null) {
            return null;
        }
        State state = new State();
        try (DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes))) {
            state.score = in.readDouble();
            state.at = in.readLong();
            for (int left = in.readShort(); left > 0; left--) {
                state.counts.put(in.readUTF(), in.readInt());
            }
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return state;
    }

    static void say() {
        var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        double restored = restoreEnded == 0 ? 0 : (restoreEnded - restoreBegan) / 1e9;
        System.out.printf(
                "{\"at\":%.6f,\"cpu\":%.6f,\"events\":%d,\"last\":%.6f,\"open\":%b,\"restore\":%.6f}%n",
                System.nanoTime() / 1e9, system.getProcessCpuTime() / 1e9, EVENTS.get(), last / 1e9, open, restored);
        System.out.flush();
    }

    public static void main(String[] arguments) throws Exception {
        Task task = JSON.readValue(arguments[0], Task.class);
        Properties options = new Properties();
        options.put(StreamsConfig.APPLICATION_ID_CONFIG, task.name);
        options.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, task.broker);
        options.put(StreamsConfig.STATE_DIR_CONFIG, task.home);
        options.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.AT_LEAST_ONCE);
        options.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, task.commit_ms);
        options.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        options.putAll(task.options);
        var store = Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(STORE), Serdes.String(), states());
        StreamsBuilder builder = new StreamsBuilder();
        builder.addStateStore(task.cached ? store.withCachingEnabled() : store);
        builder.stream(task.source, Consumed.with(Serdes.String(), Serdes.ByteArray()))
                .process(() -> new Scoring(task), STORE)
                .to(task.output, Produced.with(Serdes.String(), Serdes.ByteArray()));
        KafkaStreams streams = new KafkaStreams(builder.build(), options);
        streams.setGlobalStateRestoreListener(new StateRestoreListener() {
            @Override
            public synchronized void onRestoreStart(TopicPartition at, String name, long from, long to) {
                if (restoreBegan == 0) {
                    restoreBegan = System.nanoTime();
                }
            }

            @Override
            public void onBatchRestored(TopicPartition at, String name, long offset, long count) {}

            @Override
            public synchronized void onRestoreEnd(TopicPartition at, String name, long total) {
                restoreEnded = System.nanoTime();
            }
        });
        streams.setStateListener((now, before) -> {
            open = open || now == KafkaStreams.State.RUNNING;
            if (now == KafkaStreams.State.ERROR) {
                Runtime.getRuntime().halt(1);
            }
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(
                // As for the others: a worker that ends leaves its group, so that the next one need not wait for it.
                CloseOptions.groupMembershipOperation(CloseOptions.GroupMembershipOperation.LEAVE_GROUP)
                        .withTimeout(Duration.ofSeconds(20)))));
        streams.start();
        while (true) {
            say();
            Thread.sleep(50);
        }
    }
}
