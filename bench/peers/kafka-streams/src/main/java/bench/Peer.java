package bench;

import java.nio.file.Path;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.config.SaslConfigs;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;

/**
 * Kafka Streams doing the bench's work: a source, one processor, a sink per inbox and one for the
 * audit records; exactly_once_v2; one thread; settings chosen for throughput.
 *
 * <p>Does: routing, decisions on the payload, reduced releases, pseudonyms, one audit record per
 * event with its SHA-256. Does not: catalogue, duplicates, dead letters, quarantine, checks of the
 * envelope, salted commitments, released envelopes.
 */
public final class Peer {
  private static final String SOURCE = "source";
  private static final String ROUTER = "router";

  private Peer() {}

  public static void main(String[] arguments) throws Exception {
    Work work = Work.read(Path.of(arguments[0]));
    KafkaStreams streams = new KafkaStreams(topology(work), settings(work));
    CountDownLatch over = new CountDownLatch(1);
    streams.setStateListener(
        (now, before) -> {
          if (now == KafkaStreams.State.ERROR) {
            over.countDown();
          }
        });
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
    over.await();
    System.exit(1);
  }

  private static Topology topology(Work work) {
    ByteArraySerializer bytes = new ByteArraySerializer();
    Topology topology =
        new Topology()
            .addSource(SOURCE, new ByteArrayDeserializer(), new ByteArrayDeserializer(), work.source())
            .addProcessor(ROUTER, () -> new Router(work), SOURCE)
            .addSink(Router.AUDIT, work.audit(), bytes, bytes, ROUTER);
    for (Work.Inbox inbox : work.inboxes()) {
      topology.addSink(inbox.name(), inbox.topic(), bytes, bytes, ROUTER);
    }
    return topology;
  }

  private static Properties settings(Work work) {
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, work.group());
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, work.bootstrap());
    settings.put(StreamsConfig.SECURITY_PROTOCOL_CONFIG, "SASL_PLAINTEXT");
    settings.put(SaslConfigs.SASL_MECHANISM, "SCRAM-SHA-512");
    settings.put(
        SaslConfigs.SASL_JAAS_CONFIG,
        "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"%s\" password=\"%s\";"
            .formatted(work.username(), work.password()));
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, work.commitMs());
    settings.put(StreamsConfig.STATE_DIR_CONFIG, System.getProperty("java.io.tmpdir") + "/streams");
    settings.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 10_000);
    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5_000);
    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), 4 << 20);
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 512 << 10);
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 20);
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.BUFFER_MEMORY_CONFIG), 128L << 20);
    return settings;
  }
}
