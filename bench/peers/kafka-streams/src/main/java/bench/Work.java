package bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import org.apache.avro.Schema;

/** What the bench tells a peer; see bench/work.py, which writes the file. */
record Work(
    String bootstrap,
    String username,
    String password,
    String group,
    String source,
    String audit,
    Schema schema,
    List<Inbox> inboxes,
    int commitMs) {

  /** One consumer; {@code region}, {@code leastSeverity} and {@code schema} may be null. */
  record Inbox(
      String name,
      String topic,
      String region,
      Integer leastSeverity,
      Schema schema,
      int schemaId,
      Set<String> pseudonyms,
      byte[] key) {}

  static Work read(Path path) throws IOException {
    JsonNode work = new ObjectMapper().readTree(Files.readString(path));
    List<Inbox> inboxes = new ArrayList<>();
    for (JsonNode inbox : work.get("inboxes")) {
      Set<String> pseudonyms = new HashSet<>();
      inbox.get("pseudonyms").forEach(name -> pseudonyms.add(name.asText()));
      inboxes.add(
          new Inbox(
              inbox.get("name").asText(),
              inbox.get("topic").asText(),
              inbox.get("region").isNull() ? null : inbox.get("region").asText(),
              inbox.get("least_severity").isNull() ? null : inbox.get("least_severity").asInt(),
              inbox.get("schema").isNull() ? null : parse(inbox.get("schema")),
              inbox.get("schema_id").asInt(),
              pseudonyms,
              HexFormat.of().parseHex(inbox.get("key").asText())));
    }
    return new Work(
        work.get("bootstrap").asText(),
        work.get("username").asText(),
        work.get("password").asText(),
        work.get("group").asText(),
        work.get("source").asText(),
        work.get("audit").asText(),
        parse(work.get("schema")),
        inboxes,
        work.get("commit_ms").asInt());
  }

  private static Schema parse(JsonNode schema) {
    return new Schema.Parser().parse(schema.toString());
  }
}
