// The official Node SDK, which has to be installed in the working directory:
//
//     npm install --no-save openai@6.49.0 && node ci/clients/openai_node.mjs http://127.0.0.1:8080

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";
import test from "node:test";

const usage = "usage: node openai_node.mjs http://127.0.0.1:8080";
const base = process.argv[2]?.replace(/\/+$/, "");
assert.match(base ?? "", /^http/, usage);

const OpenAI = createRequire(join(process.cwd(), "from-here.js"))("openai").OpenAI;
const model = "gpt-3.5-turbo";
const messages = [{ role: "user", content: "Name three things one finds on a beach, and say something about each." }];

// Retries would hide an error.
const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: "unused", maxRetries: 0, timeout: 120_000 });

const ask = (fields) =>
  client.chat.completions.create({ model, messages, max_completion_tokens: 32, temperature: 0, ...fields });

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const textOf = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");

test("a whole answer", async () => {
  const answer = await ask();
  assert.equal(answer.object, "chat.completion");
  assert.equal(answer.choices[0].message.role, "assistant");
  assert.ok(answer.choices[0].message.content.trim());
  assert.ok(["stop", "length"].includes(answer.choices[0].finish_reason));
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
});

test("a stream says what the whole answer says", async () => {
  const whole = await ask();
  const chunks = await collect(await ask({ stream: true, stream_options: { include_usage: true } }));
  assert.equal(chunks[0].choices[0].delta.role, "assistant");
  assert.equal(textOf(chunks), whole.choices[0].message.content);
  const last = chunks.pop();
  assert.deepEqual(last.choices, []);
  assert.deepEqual(last.usage, whole.usage);
  const reasons = chunks.map((chunk) => chunk.choices[0].finish_reason).filter(Boolean);
  assert.deepEqual(reasons, [whole.choices[0].finish_reason]);
});

test("the helper that collects a stream", async () => {
  const runner = client.chat.completions.stream({ model, messages, max_completion_tokens: 16, temperature: 0 });
  let text = "";
  runner.on("content", (delta) => (text += delta));
  const final = await runner.finalChatCompletion();
  assert.ok(text);
  assert.equal(text, final.choices[0].message.content);
});

test("deltas come as they are generated", async () => {
  const began = performance.now();
  const arrivals = [];
  const fields = { stream: true, max_completion_tokens: 128, logit_bias: { 0: -100, 2: -100, 4: -100 } };
  for await (const chunk of await ask(fields)) {
    if (chunk.choices[0]?.delta.content) arrivals.push(performance.now() - began);
  }
  const [first, last] = [arrivals[0], arrivals.at(-1)];
  assert.ok(arrivals.length > 64, `${arrivals.length} deltas for 128 tokens`);
  assert.ok(first < last / 2, `the first delta came after ${first} ms, the last after ${last} ms`);
});

test("a seed decides the text", async () => {
  const text = async (seed) =>
    (await ask({ temperature: 1.5, seed, max_completion_tokens: 48 })).choices[0].message.content;
  assert.equal(await text(7), await text(7));
  assert.notEqual(await text(7), await text(8));
});

test("a stop string ends the answer before it", async () => {
  const whole = (await ask()).choices[0].message.content;
  // Something the answer holds for certain, cut without regard to tokens.
  const middle = Math.floor(whole.length / 2);
  const stop = whole.slice(middle, middle + 5);
  const expected = whole.slice(0, whole.indexOf(stop));
  const answer = await ask({ stop });
  assert.equal(answer.choices[0].message.content, expected);
  assert.equal(answer.choices[0].finish_reason, "stop");
  assert.equal(textOf(await collect(await ask({ stop, stream: true }))), expected);
});

test("leaving the loop closes the stream, and the server goes on", async () => {
  let seen = 0;
  for await (const _ of await ask({ stream: true, max_completion_tokens: 512 })) {
    if (++seen === 3) break;
  }
  assert.equal(seen, 3);
  assert.ok((await ask({ max_completion_tokens: 4 })).choices[0].message.content);
});

test("models are listed and found by name", async () => {
  const listed = (await collect(client.models.list())).map((model) => model.id);
  assert.ok(listed.includes("local/smollm2"), listed.join(", "));
  for (const name of listed) assert.equal((await client.models.retrieve(name)).id, name);
});

test("a value out of range is a bad request", async () => {
  await assert.rejects(ask({ temperature: 9 }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError, String(error));
    assert.equal(error.param, "temperature");
    assert.equal(error.type, "invalid_request_error");
    assert.ok(error.requestID);
    return true;
  });
});

test("an unknown model is not found, and the error names those there are", async () => {
  await assert.rejects(ask({ model: "no-such-model" }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError, String(error));
    assert.equal(error.code, "model_not_found");
    assert.match(error.message, /local\/smollm2/);
    return true;
  });
  await assert.rejects(client.models.retrieve("no-such-model"), OpenAI.NotFoundError);
});

const respond = (fields) =>
  client.responses.create({ model, input: messages[0].content, max_output_tokens: 32, temperature: 0, ...fields });

const deltasOf = (events) =>
  events.map((event) => (event.type === "response.output_text.delta" ? event.delta : "")).join("");

test("a response, whole and streamed", async () => {
  const whole = await respond();
  assert.ok(["completed", "incomplete"].includes(whole.status), whole.status);
  assert.ok(whole.output_text.trim());
  const events = await collect(await respond({ stream: true }));
  assert.deepEqual(events.map((event) => event.sequence_number), [...events.keys()]);
  const final = events.at(-1).response;
  assert.equal(deltasOf(events), whole.output_text);
  assert.deepEqual(final.usage, whole.usage);
});

test("a background stream that is dropped and resumed", async () => {
  const seen = [];
  for await (const event of await respond({ background: true, stream: true })) {
    seen.push(event);
    if (event.type === "response.output_text.delta") break;
  }
  const { id } = seen[0].response;
  const starting_after = seen.at(-1).sequence_number;
  const rest = await collect(await client.responses.retrieve(id, { stream: true, starting_after }));
  const all = [...seen, ...rest];
  assert.deepEqual(all.map((event) => event.sequence_number), [...all.keys()]);
  const final = await client.responses.retrieve(id);
  assert.deepEqual(final.output, rest.at(-1).response.output);
  assert.equal(deltasOf(all), final.output_text);
});

test("a response is cancelled and deleted", async () => {
  const { id } = await client.responses.create({ model: "slow/words", input: "Count.", background: true });
  assert.equal((await client.responses.cancel(id)).status, "cancelled");
  assert.equal((await client.responses.cancel(id)).status, "cancelled");
  await client.responses.delete(id);
  await assert.rejects(client.responses.retrieve(id), OpenAI.NotFoundError);
});

const person = {
  type: "object",
  properties: {
    name: { type: "string", maxLength: 16 },
    age: { type: "integer", minimum: 0, maximum: 130 },
    city: { enum: ["Rome", "Oslo"] },
  },
  required: ["name", "age", "city"],
  additionalProperties: false,
};

const checkPerson = (text) => {
  const value = JSON.parse(text);
  assert.deepEqual(Object.keys(value), ["name", "age", "city"]);
  assert.ok(Number.isInteger(value.age) && ["Rome", "Oslo"].includes(value.city), text);
};

test("an answer that obeys a schema, whole and streamed", async () => {
  const response_format = { type: "json_schema", json_schema: { name: "person", strict: true, schema: person } };
  const fields = { response_format, max_completion_tokens: 200 };
  const whole = await ask(fields);
  assert.equal(whole.choices[0].finish_reason, "stop");
  checkPerson(whole.choices[0].message.content);
  assert.equal(textOf(await collect(await ask({ ...fields, stream: true }))), whole.choices[0].message.content);
});

test("a required call, whole and through the helper", async () => {
  const tools = [{ type: "function", function: { name: "greet", parameters: person } }];
  const fields = { tools, tool_choice: "required", max_completion_tokens: 200 };
  const [call] = (await ask(fields)).choices[0].message.tool_calls;
  assert.equal(call.function.name, "greet");
  checkPerson(call.function.arguments);
  const runner = client.chat.completions.stream({ model, messages, temperature: 0, ...fields });
  const final = (await runner.finalChatCompletion()).choices[0];
  assert.equal(final.finish_reason, "tool_calls");
  assert.equal(final.message.tool_calls[0].function.arguments, call.function.arguments);
});

test("log probabilities come with their text", async () => {
  const fields = { logprobs: true, top_logprobs: 2 };
  const whole = (await ask(fields)).choices[0];
  assert.equal(whole.logprobs.content.map((entry) => entry.token).join(""), whole.message.content);
  assert.ok(whole.logprobs.content.every((entry) => entry.logprob <= 0 && entry.top_logprobs.length === 2));
  let [text, tokens] = ["", ""];
  for (const chunk of await collect(await ask({ ...fields, stream: true }))) {
    text += chunk.choices[0].delta.content ?? "";
    tokens += (chunk.choices[0].logprobs?.content ?? []).map((entry) => entry.token).join("");
    assert.equal(tokens, text);
  }
  assert.equal(text, whole.message.content);
});

// The endpoint `slow` of the server's configuration leaves silences, in which the server shows that it lives.
test("ids and signs of life are no part of an answer", async () => {
  const words = "one two three four five";
  const chunks = await collect(await ask({ model: "slow/words", stream: true }));
  assert.equal(textOf(chunks), words);
  assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
  const events = await collect(await client.responses.create({ model: "slow/words", input: "Count.", stream: true }));
  assert.equal(deltasOf(events), words);
  assert.equal(events.at(-1).type, "response.completed");
});
