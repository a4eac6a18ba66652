import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Reads an inbox, a line of JSON for each delivery: {@code Read CREDENTIALS_FILE GROUP COUNT}. */
public final class Read {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] arguments) throws Exception {
        Settings settings = new Settings(arguments[0]);
        Registry registry = settings.registry();
        Properties options = settings.properties;
        options.put("group.id", arguments[1]); // the system's own name, or one that begins with it and a point
        options.put("auto.offset.reset", "earliest");
        options.put("isolation.level", "read_committed"); // lanes write in transactions
        options.put("enable.auto.commit", "false");
        ByteArrayDeserializer raw = new ByteArrayDeserializer();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(options, raw, raw)) {
            consumer.subscribe(List.of("inbox." + settings.system()));
            for (int left = Integer.parseInt(arguments[2]); left > 0; ) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                    System.out.println(JSON.writeValueAsString(line(record, registry)));
                    left--;
                }
                consumer.commitSync(); // what has been printed is done; after a crash a few come again
            }
        }
    }

    private static ObjectNode line(ConsumerRecord<byte[], byte[]> record, Registry registry) throws Exception {
        ObjectNode line = JSON.createObjectNode();
        ObjectNode event = line.putObject("event");
        for (Header header : record.headers()) {
            if (header.key().startsWith("ce_")) {
                event.put(header.key().substring(3), new String(header.value(), UTF_8));
            }
        }
        GenericRecord payload = registry.read(record.value());
        ObjectNode data = line.putObject("data");
        for (Schema.Field field : payload.getSchema().getFields()) {
            Object value = payload.get(field.pos()); // BigDecimal, Instant, LocalDate, nested records ...
            if (value instanceof Integer || value instanceof Double) {
                data.putPOJO(field.name(), value);
            } else {
                data.put(field.name(), value == null ? null : value.toString());
            }
        }
        return line;
    }
}
