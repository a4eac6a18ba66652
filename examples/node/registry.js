// Schemas by id, and values framed as Confluent's serializers frame them: 0, the schema's id in 4 bytes, Avro.
import avro from "avsc";

class Moment extends avro.types.LogicalType {
  _fromValue(milliseconds) { return new Date(milliseconds); }
  _toValue(date) { return date.getTime(); }
}

// Decimals are texts here: JavaScript's numbers would round them.
class Decimal extends avro.types.LogicalType {
  constructor(schema, options) {
    super(schema, options);
    this.scale = schema.scale ?? 0;
  }
  _fromValue(bytes) {
    const unscaled = BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString("hex") || "0"}`));
    const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(this.scale + 1, "0");
    const at = digits.length - this.scale;
    return (unscaled < 0n ? "-" : "") + digits.slice(0, at) + (this.scale ? `.${digits.slice(at)}` : "");
  }
  _toValue(text) {
    const [whole, fraction = ""] = text.split(".");
    const unscaled = BigInt(whole + fraction.padEnd(this.scale, "0"));
    let length = 1;
    while (BigInt.asIntN(length * 8, unscaled) !== unscaled) length += 1;
    return Buffer.from(BigInt.asUintN(length * 8, unscaled).toString(16).padStart(length * 2, "0"), "hex");
  }
}

const LOGICAL_TYPES = { "timestamp-millis": Moment, decimal: Decimal };

export class Registry {
  #schemas = new Map();
  #url;

  constructor(url) { this.#url = url; }

  // The newest schema of a topic's values.
  async latest(topic) {
    const { id, schema } = await this.#ask(`/subjects/${topic}-value/versions/latest`);
    return { id, type: type(schema) };
  }

  write({ id, type }, payload) {
    const header = Buffer.alloc(5);
    header.writeInt32BE(id, 1);
    return Buffer.concat([header, type.toBuffer(payload)]);
  }

  async read(value) {
    if (value[0] !== 0) throw new Error("the value is not framed as Confluent's serializers do it");
    const id = value.readInt32BE(1);
    if (!this.#schemas.has(id)) this.#schemas.set(id, type((await this.#ask(`/schemas/ids/${id}`)).schema));
    return this.#schemas.get(id).fromBuffer(value.subarray(5));
  }

  async #ask(path) {
    const answer = await fetch(this.#url + path);
    if (!answer.ok) throw new Error(`the schema registry answers ${answer.status} for ${path}`);
    return answer.json();
  }
}

function type(schema) {
  return avro.Type.forSchema(JSON.parse(schema), { logicalTypes: LOGICAL_TYPES });
}
