// A system's credentials file: a properties file as Java's clients take it.
import { readFileSync } from "node:fs";
import kafkajs from "kafkajs";
import { compressFrame, decompressFrame } from "lz4-napi";

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs;

// Lanes compress with LZ4, which kafkajs leaves to whoever needs it.
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: (encoder) => compressFrame(encoder.buffer),
  decompress: (buffer) => decompressFrame(buffer),
});

export function readSettings(file) {
  const lines = readFileSync(file, "utf8").split("\n").filter((line) => line.includes("="));
  const properties = Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2)));
  const found = /username="([^"]+)" password="([^"]+)"/.exec(properties["sasl.jaas.config"] ?? "");
  if (found === null) throw new Error(`${file} names no user and password`);
  const [, username, password] = found;
  const kafka = new Kafka({
    brokers: properties["bootstrap.servers"].split(","),
    ssl: properties["security.protocol"] === "SASL_SSL",
    sasl: { mechanism: "scram-sha-512", username, password },
    logLevel: logLevel.ERROR,
  });
  return { system: username, kafka, registry: properties["schema.registry.url"] };
}
