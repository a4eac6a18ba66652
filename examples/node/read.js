// Reads an inbox, a line of JSON for each delivery: node read.js CREDENTIALS_FILE GROUP COUNT
import { Registry } from "./registry.js";
import { readSettings } from "./settings.js";

const [file, groupId, count] = process.argv.slice(2); // the group is the system's own name, or begins with it and a point
const { system, kafka, registry: url } = readSettings(file);
const registry = new Registry(url);
const consumer = kafka.consumer({ groupId, readUncommitted: false }); // lanes write in transactions
let left = Number(count);

await consumer.connect();
await consumer.subscribe({ topic: `inbox.${system}`, fromBeginning: true });
await new Promise((resolve, reject) => {
  consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
  consumer.run({
    // What has been printed is committed when this returns; after a crash a few come again.
    eachMessage: async ({ message }) => {
      if (left === 0) return;
      const attributes = Object.entries(message.headers).filter(([name]) => name.startsWith("ce_"));
      const event = Object.fromEntries(attributes.map(([name, text]) => [name.slice(3), text.toString()]));
      console.log(JSON.stringify({ event, data: await registry.read(message.value) }));
      left -= 1;
      if (left === 0) resolve();
    },
  });
});
await consumer.disconnect();
