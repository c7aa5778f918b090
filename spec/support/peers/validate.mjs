// Reads lines of [schema, value, value…] as JSON, writes a line of [true or false…] for each: which of the values
// the schema lets through, by the validator that the official SDK uses. A schema that can't be compiled is told as
// {"error": …}.
import Ajv2020 from "ajv/dist/2020.js";
import { createInterface } from "node:readline";

for await (const line of createInterface({ input: process.stdin })) {
  const [schema, ...values] = JSON.parse(line);
  let answer;
  try {
    const validate = new Ajv2020.default({ strict: false, logger: false }).compile(schema);
    answer = values.map((value) => validate(value));
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
