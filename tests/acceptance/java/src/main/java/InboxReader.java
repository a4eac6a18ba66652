import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.FileReader;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Base64;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.errors.SaslAuthenticationException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads a topic with a system's credentials file, as it was delivered, and prints each record as a line of JSON.
 *
 * <p>Arguments: credentials file, topic, group. Exit 0: read to the end; 3: the topic is refused; 4: the password is.
 */
public final class InboxReader {
    private static final ObjectMapper JSON = new ObjectMapper();
    private final HttpClient http = HttpClient.newHttpClient();
    private final Map<Integer, Schema> schemas = new HashMap<>();
    private final String registry;

    private InboxReader(String registry) {
        this.registry = registry;
    }

    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        try (FileReader file = new FileReader(arguments[0])) {
            settings.load(file);
        }
        settings.put("group.id", arguments[2]);
        settings.put("auto.offset.reset", "earliest");
        settings.put("isolation.level", "read_committed");
        settings.put("enable.auto.commit", "false");
        settings.put("default.api.timeout.ms", "20000");
        InboxReader reader = new InboxReader(settings.getProperty("schema.registry.url"));
        ByteArrayDeserializer raw = new ByteArrayDeserializer();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings, raw, raw)) {
            consumer.subscribe(List.of(arguments[1]));
            reader.printAll(consumer);
        } catch (AuthorizationException refused) {
            System.err.println(refused.getMessage());
            System.exit(3);
        } catch (SaslAuthenticationException refused) {
            System.err.println(refused.getMessage());
            System.exit(4);
        }
    }

    private void printAll(KafkaConsumer<byte[], byte[]> consumer) throws IOException, InterruptedException {
        Set<TopicPartition> open = new HashSet<>();
        Map<TopicPartition, Long> ends = Map.of();
        while (ends.isEmpty() || !open.isEmpty()) {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(500))) {
                System.out.println(JSON.writeValueAsString(line(record)));
            }
            if (ends.isEmpty() && !consumer.assignment().isEmpty()) {
                ends = consumer.endOffsets(consumer.assignment());
                open.addAll(ends.keySet());
            }
            Map<TopicPartition, Long> until = ends;
            open.removeIf(partition -> consumer.position(partition) >= until.get(partition));
        }
    }

    private ObjectNode line(ConsumerRecord<byte[], byte[]> record) throws IOException, InterruptedException {
        ObjectNode line = JSON.createObjectNode();
        ObjectNode headers = line.putObject("headers");
        for (Header header : record.headers()) {
            boolean salt = header.key().equals("lintas-salt");
            headers.put(header.key(), salt ? Base64.getEncoder().encodeToString(header.value()) : new String(header.value(), "UTF-8"));
        }
        line.set("data", JSON.readTree(payload(record.value()).toString()));
        return line;
    }

    /** Confluent's framing: 0, the schema's id in 4 bytes, Avro. */
    private GenericRecord payload(byte[] value) throws IOException, InterruptedException {
        ByteBuffer framed = ByteBuffer.wrap(value);
        if (framed.get() != 0) {
            throw new IOException("not framed");
        }
        Schema schema = schema(framed.getInt());
        BinaryDecoder body = DecoderFactory.get().binaryDecoder(value, 5, value.length - 5, null);
        GenericRecord payload = new GenericDatumReader<GenericRecord>(schema, schema, new GenericData()).read(null, body);
        if (!body.isEnd()) {
            throw new IOException("bytes are left over");
        }
        return payload;
    }

    private Schema schema(int id) throws IOException, InterruptedException {
        if (!schemas.containsKey(id)) {
            HttpRequest ask = HttpRequest.newBuilder(URI.create(registry + "/schemas/ids/" + id)).build();
            JsonNode answer = JSON.readTree(http.send(ask, HttpResponse.BodyHandlers.ofString()).body());
            schemas.put(id, new Schema.Parser().parse(answer.get("schema").asText()));
        }
        return schemas.get(id);
    }
}
