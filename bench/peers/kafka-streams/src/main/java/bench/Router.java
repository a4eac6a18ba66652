package bench;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;
import org.apache.avro.Schema;
import org.apache.avro.SchemaBuilder;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.processor.api.RecordMetadata;

/** Gives each event to the inboxes that it is for, reduced to what each may see, and writes it up. */
final class Router implements Processor<byte[], byte[], byte[], byte[]> {
  static final String AUDIT = "audit";

  private static final int FRAME = 5; // 0x00 and the schema id
  private static final Schema ENTRY =
      SchemaBuilder.record("Decision")
          .namespace("bench")
          .fields()
          .requiredString("topic")
          .requiredInt("partition")
          .requiredLong("offset")
          .name("inboxes")
          .type()
          .array()
          .items()
          .stringType()
          .noDefault()
          .requiredBytes("sha256")
          .endRecord();

  private final boolean decodes;
  private final List<Consumer> consumers = new ArrayList<>();
  private final GenericDatumReader<GenericRecord> reader;
  private final GenericDatumWriter<GenericRecord> entries = new GenericDatumWriter<>(ENTRY);
  private final ByteArrayOutputStream out = new ByteArrayOutputStream(1024);
  private final MessageDigest sha256;
  private ProcessorContext<byte[], byte[]> context;
  private BinaryDecoder decoder;
  private BinaryEncoder encoder;
  private GenericRecord event;

  /** One inbox with what is made ready for it once. */
  private record Consumer(Work.Inbox inbox, Release release) {}

  Router(Work work) {
    for (Work.Inbox inbox : work.inboxes()) {
      consumers.add(new Consumer(inbox, inbox.schema() == null ? null : new Release(work.schema(), inbox)));
    }
    decodes = work.inboxes().stream().anyMatch(inbox -> inbox.schema() != null || inbox.leastSeverity() != null);
    reader = new GenericDatumReader<>(work.schema());
    try {
      sha256 = MessageDigest.getInstance("SHA-256");
    } catch (GeneralSecurityException error) {
      throw new IllegalStateException(error);
    }
  }

  @Override
  public void init(ProcessorContext<byte[], byte[]> context) {
    this.context = context;
  }

  @Override
  public void process(Record<byte[], byte[]> record) {
    try {
      route(record);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  private void route(Record<byte[], byte[]> record) throws IOException {
    String subject = new String(record.headers().lastHeader("ce_subject").value(), StandardCharsets.UTF_8);
    if (decodes) {
      decoder = DecoderFactory.get().binaryDecoder(record.value(), FRAME, record.value().length - FRAME, decoder);
      event = reader.read(event, decoder);
    }
    List<String> names = new ArrayList<>(consumers.size());
    for (Consumer consumer : consumers) {
      Work.Inbox inbox = consumer.inbox();
      if (inbox.region() != null && !inbox.region().equals(subject)) {
        continue;
      }
      if (inbox.leastSeverity() != null && (int) event.get("severity") < inbox.leastSeverity()) {
        continue;
      }
      names.add(inbox.name());
      byte[] value = consumer.release() == null ? record.value() : consumer.release().of(event);
      context.forward(record.withValue(value), inbox.name()); // takes a copy of the headers along
    }
    context.forward(record.withValue(entry(record.value(), names)).withHeaders(new RecordHeaders()), AUDIT);
  }

  private byte[] entry(byte[] value, List<String> names) throws IOException {
    RecordMetadata source = context.recordMetadata().orElseThrow();
    GenericRecord entry = new GenericData.Record(ENTRY);
    entry.put("topic", source.topic());
    entry.put("partition", source.partition());
    entry.put("offset", source.offset());
    entry.put("inboxes", names);
    entry.put("sha256", ByteBuffer.wrap(sha256.digest(value)));
    out.reset();
    encoder = EncoderFactory.get().binaryEncoder(out, encoder);
    entries.write(entry, encoder);
    encoder.flush();
    return out.toByteArray();
  }
}
