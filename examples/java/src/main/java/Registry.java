import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.Conversions;
import org.apache.avro.Schema;
import org.apache.avro.data.TimeConversions;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;

/**
 * Schemas by id, and values framed as Confluent's serializers frame them: 0, the schema's id in 4 bytes, Avro.
 *
 * <p>A program that has Confluent's own Avro serializer needs none of this.
 */
final class Registry {
    private static final ObjectMapper JSON = new ObjectMapper();
    private final HttpClient http;
    private final Map<Integer, Schema> schemas = new HashMap<>();
    private final GenericData model = new GenericData();
    private final String url;

    /** A schema and its id. */
    record Registered(int id, Schema schema) {}

    Registry(String url, HttpClient http) {
        this.url = url;
        this.http = http;
        model.addLogicalTypeConversion(new Conversions.DecimalConversion());
        model.addLogicalTypeConversion(new TimeConversions.DateConversion());
        model.addLogicalTypeConversion(new TimeConversions.TimestampMillisConversion());
    }

    /** The newest schema of a topic's values. */
    Registered latest(String topic) throws IOException, InterruptedException {
        JsonNode answer = ask("/subjects/" + topic + "-value/versions/latest");
        return new Registered(answer.get("id").asInt(), new Schema.Parser().parse(answer.get("schema").asText()));
    }

    byte[] write(Registered registered, GenericRecord payload) throws IOException {
        ByteArrayOutputStream framed = new ByteArrayOutputStream();
        framed.write(0);
        framed.write(ByteBuffer.allocate(Integer.BYTES).putInt(registered.id()).array());
        BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(framed, null);
        new GenericDatumWriter<GenericRecord>(registered.schema(), model).write(payload, encoder);
        encoder.flush();
        return framed.toByteArray();
    }

    GenericRecord read(byte[] value) throws IOException, InterruptedException {
        ByteBuffer framed = ByteBuffer.wrap(value);
        if (framed.get() != 0) {
            throw new IOException("the value is not framed as Confluent's serializers do it");
        }
        int id = framed.getInt();
        if (!schemas.containsKey(id)) {
            schemas.put(id, new Schema.Parser().parse(ask("/schemas/ids/" + id).get("schema").asText()));
        }
        Schema schema = schemas.get(id);
        var body = DecoderFactory.get().binaryDecoder(value, framed.position(), framed.remaining(), null);
        return new GenericDatumReader<GenericRecord>(schema, schema, model).read(null, body);
    }

    private JsonNode ask(String path) throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url + path)).build();
        HttpResponse<String> answer = http.send(request, HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new IOException("the schema registry answers " + answer.statusCode() + " for " + path);
        }
        return JSON.readTree(answer.body());
    }
}
