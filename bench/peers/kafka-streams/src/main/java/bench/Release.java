package bench;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.HexFormat;
import java.util.List;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;

/** What one consumer sees of an event: some of its fields, some of them as tokens, framed as Confluent does. */
final class Release {
  private static final int TOKEN_BYTES = 16;

  private final GenericRecord released;
  private final int[] source; // for each released field its position in the event
  private final boolean[] pseudonym;
  private final GenericDatumWriter<GenericRecord> writer;
  private final byte[] frame;
  private final Mac mac;
  private final ByteArrayOutputStream out = new ByteArrayOutputStream(1024);
  private BinaryEncoder encoder;

  Release(Schema event, Work.Inbox inbox) {
    List<Schema.Field> fields = inbox.schema().getFields();
    released = new GenericData.Record(inbox.schema());
    source = fields.stream().mapToInt(field -> event.getField(field.name()).pos()).toArray();
    pseudonym = new boolean[fields.size()];
    for (Schema.Field field : fields) {
      pseudonym[field.pos()] = inbox.pseudonyms().contains(field.name());
    }
    writer = new GenericDatumWriter<>(inbox.schema());
    frame = ByteBuffer.allocate(5).put((byte) 0).putInt(inbox.schemaId()).array();
    try {
      mac = Mac.getInstance("HmacSHA256");
      mac.init(new SecretKeySpec(inbox.key(), "HmacSHA256"));
    } catch (GeneralSecurityException error) {
      throw new IllegalStateException(error);
    }
  }

  byte[] of(GenericRecord event) throws IOException {
    for (int field = 0; field < source.length; field++) {
      Object value = event.get(source[field]);
      released.put(field, pseudonym[field] ? token(value.toString()) : value);
    }
    out.reset();
    out.write(frame);
    encoder = EncoderFactory.get().binaryEncoder(out, encoder);
    writer.write(released, encoder);
    encoder.flush();
    return out.toByteArray();
  }

  private String token(String value) {
    byte[] digest = mac.doFinal(value.getBytes(StandardCharsets.UTF_8));
    return "p1-" + HexFormat.of().formatHex(digest, 0, TOKEN_BYTES);
  }
}
