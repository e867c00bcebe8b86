// OpenAI's client for JavaScript.
import OpenAI, { toFile } from "openai";
import { deepEqual } from "node:assert/strict";

const { CHECK_BASE: base, CHECK_KEY: key, CHECK_MODEL: model } = process.env;
const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: key, maxRetries: 0, timeout: 20_000 });
const USUAL = "Hello from the scripted upstream.";
const messages = (content = "Hello") => [{ role: "user", content }];
const tools = [
    { type: "function", function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } } },
];

const checks = {
    async saysItWhole() {
        const reply = await client.chat.completions.create({ model, messages: messages() });
        deepEqual(reply.choices[0].message.content, USUAL);
    },
    async saysItInPieces() {
        let text = "";
        for await (const chunk of await client.chat.completions.create({ model, messages: messages(), stream: true })) {
            text += chunk.choices[0].delta.content ?? "";
        }
        deepEqual(text, USUAL);
    },
    async streamsToolCalls() {
        const stream = client.chat.completions.stream({ model, messages: messages("[[call=weather,weather]]"), tools });
        const reply = await stream.finalChatCompletion();
        deepEqual(reply.choices[0].message.tool_calls.map((call) => JSON.parse(call.function.arguments)), [
            { city: "Paris" },
            { city: "Paris" },
        ]);
    },
    async responds() {
        deepEqual((await client.responses.create({ model, input: "Hello" })).output_text, USUAL);
    },
    async embeds() {
        deepEqual((await client.embeddings.create({ model, input: ["one", "two"] })).data.length, 2);
    },
    async transcribes() {
        const file = await toFile(Buffer.alloc(40_000, 1), "hello.wav");
        deepEqual((await client.audio.transcriptions.create({ model, file })).text, USUAL);
    },
    async speaks() {
        const sound = await client.audio.speech.create({ model, voice: "alloy", input: "Hello" });
        deepEqual((await sound.arrayBuffer()).byteLength, 500);
    },
    async raisesWhatTheProviderSays() {
        const error = await client.chat.completions.create({ model, messages: messages("[[status=429]]") }).catch((e) => e);
        deepEqual(error instanceof OpenAI.RateLimitError, true);
    },
    async mayLeaveInTheMiddle() {
        const stream = await client.chat.completions.create({
            model, messages: messages("[[words=500 slow=0.002]]"), stream: true,
        });
        for await (const _ of stream) break;
        deepEqual((await client.chat.completions.create({ model, messages: messages() })).choices.length, 1);
    },
};

for (const [name, run] of Object.entries(checks)) {
    const error = await run().then(() => "", (reason) => String(reason.stack ?? reason));
    console.log(JSON.stringify({ check: name, error }));
}
