import static java.nio.charset.StandardCharsets.UTF_8;

import java.math.BigDecimal;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Publishes an earthquake: {@code Publish CREDENTIALS_FILE EVENT_ID}. */
public final class Publish {
    private static final String EVENT_TYPE = "id.go.bmkg.earthquake.measured.v1";
    private static final String TOPIC = "events.bmkg.earthquake.measured.v1";

    public static void main(String[] arguments) throws Exception {
        Settings settings = new Settings(arguments[0]);
        String id = arguments[1]; // published again, it is the same event: the bus drops repeats
        Registry registry = settings.registry();
        Registry.Registered latest = registry.latest(TOPIC);
        Instant now = Instant.now().truncatedTo(ChronoUnit.MILLIS);

        GenericRecord quake = new GenericData.Record(latest.schema());
        quake.put("event_id", id);
        quake.put("origin_time", now);
        quake.put("latitude", -6.6);
        quake.put("longitude", 129.9);
        quake.put("depth_km", 140);
        quake.put("magnitude", new BigDecimal("5.8"));
        quake.put("magnitude_tenths", 58);
        quake.put("region", "Banda Sea");

        // CloudEvents 1.0, Kafka protocol binding, binary mode.
        Map<String, String> headers = new LinkedHashMap<>();
        headers.put("content-type", "application/avro");
        headers.put("ce_specversion", "1.0");
        headers.put("ce_id", id);
        headers.put("ce_source", "urn:lintas:" + settings.system());
        headers.put("ce_type", EVENT_TYPE);
        headers.put("ce_subject", "Banda Sea"); // the event type's subject field: region
        headers.put("ce_time", now.toString());

        Properties options = settings.properties;
        options.put("acks", "all");
        options.put("enable.idempotence", "true");
        ByteArraySerializer raw = new ByteArraySerializer();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(options, raw, raw)) {
            byte[] key = "Banda Sea".getBytes(UTF_8); // events of one key stay in order
            ProducerRecord<byte[], byte[]> event = new ProducerRecord<>(TOPIC, key, registry.write(latest, quake));
            headers.forEach((name, value) -> event.headers().add(name, value.getBytes(UTF_8)));
            RecordMetadata stored = producer.send(event).get();
            System.out.println(stored.topic() + " " + stored.partition() + " " + stored.offset());
        }
    }
}
