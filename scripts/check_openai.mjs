// OpenAI's client for Node against a server: node check_openai.mjs FOLDER SAMPLE TEXT
// FOLDER holds node_modules/openai; the address and the key come from the environment.
import { createReadStream } from "node:fs";
import { createRequire } from "node:module";
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";

const [folder, sample, text] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const { default: OpenAI } = await import(pathToFileURL(require.resolve("openai")).href);
const client = new OpenAI({ maxRetries: 0 });
const file = () => createReadStream(sample);
const options = { model: "whisper-1", keywords: ["keys:6"] };

const json = await client.audio.transcriptions.create({ file: file(), ...options });
assert.equal(json.text, text);

const verbose = await client.audio.transcriptions.create({
  file: file(), ...options, response_format: "verbose_json", timestamp_granularities: ["word"],
});
assert.equal(verbose.words.map((word) => word.word).join(" "), text);

const stream = await client.audio.transcriptions.create({ file: file(), ...options, stream: true });
let deltas = "";
let done;
for await (const event of stream) {
  if (event.type === "transcript.text.delta") deltas += event.delta;
  if (event.type === "transcript.text.done") done = event.text;
}
assert.equal(deltas, text);
assert.equal(done, text);

const models = await client.models.list();
assert.deepEqual(models.data.map((model) => model.id), ["english", "whisper-1"]);

await assert.rejects(
  client.audio.transcriptions.create({ file: file(), ...options, temperature: 0.5 }),
  (error) => error.status === 400 && error.param === "temperature",
);
