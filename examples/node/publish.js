// Publishes an earthquake: node publish.js CREDENTIALS_FILE EVENT_ID
import { Registry } from "./registry.js";
import { readSettings } from "./settings.js";

const EVENT_TYPE = "id.go.bmkg.earthquake.measured.v1";
const TOPIC = "events.bmkg.earthquake.measured.v1";

const [file, id] = process.argv.slice(2); // published again with its id, it is the same event: the bus drops repeats
const { system, kafka, registry: url } = readSettings(file);
const registry = new Registry(url);
const now = new Date();

const value = registry.write(await registry.latest(TOPIC), {
  event_id: id,
  origin_time: now,
  latitude: -6.6,
  longitude: 129.9,
  depth_km: 140,
  magnitude: "5.8",
  magnitude_tenths: 58,
  region: "Banda Sea",
});
const producer = kafka.producer({ idempotent: true });
await producer.connect();
try {
  const [stored] = await producer.send({
    topic: TOPIC,
    acks: -1,
    messages: [{
      key: "Banda Sea", // events of one key stay in order
      value,
      headers: { // CloudEvents 1.0, Kafka protocol binding, binary mode
        "content-type": "application/avro",
        ce_specversion: "1.0",
        ce_id: id,
        ce_source: `urn:lintas:${system}`,
        ce_type: EVENT_TYPE,
        ce_subject: "Banda Sea", // the event type's subject field: region
        ce_time: now.toISOString(),
      },
    }],
  });
  console.log(stored.topicName, stored.partition, stored.baseOffset);
} finally {
  await producer.disconnect();
}
