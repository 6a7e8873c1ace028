// SPDX-License-Identifier: Apache-2.0
// face.mjs DIRECTORY: what the browser face in the directory does for a page, and what it makes of hosts that fail, lie or call back.

import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { resolve } from "node:path";

const directory = resolve(process.argv[2]);
const { Gateway, compile, initSync, version } = await import(pathToFileURL(resolve(directory, "tracegate.js")));
const { memory } = initSync({ module: readFileSync(resolve(directory, "tracegate_bg.wasm")) });

const OPEN = JSON.stringify({ schema: 1, service: { name: "page" }, default: { action: "admit" } });
const head = [[":method", "GET"], [":path", "/orders/7"]];
const decide = (host, lines = head) => new Gateway(OPEN, 1, host).open(1).step({ request: lines }).verdict;

// Findings say where, and what was expected and found; a policy that can run has a fingerprint.
assert.match(version(), /^\d+\.\d+\.\d+$/);
assert.deepEqual(compile('{"schema": 2}').findings[0], {
    severity: "error",
    line: 1,
    column: 12,
    path: "schema",
    message: `expected 1, the newest schema that version ${version()} reads, found 2`,
});
assert.equal(compile('{"schema": 2}').fingerprint, undefined);
const sound = compile(OPEN);
assert.deepEqual(sound.findings.map(({ severity }) => severity), ["warning"]);
assert.match(sound.fingerprint, /^[0-9a-f]{16}$/);
assert.throws(() => new Gateway("{}", 1, {}), /1:1: expected a field `schema`, found none/);

// What the host leaves out the browser has.
const [{ replace }] = decide(undefined).continue;
assert.equal(replace.name, "traceparent");
assert.match(replace.value, /^00-[0-9a-f]{32}-[0-9a-f]{16}-03$/);
assert.notEqual(decide({}).continue[0].replace.value, replace.value);

// A host without randomness mints nothing, whichever way it fails.
for (const random of [() => undefined, () => new Uint8Array(3), () => "text", () => { throw new Error("no") }]) {
    assert.deepEqual(decide({ random }), { continue: [] });
}
// One whose every method throws, or answers nonsense, is as one that has nothing, whatever is asked of it; the browser's clock is its own.
const issuer = generateKeyPairSync("rsa", { modulusLength: 2048 });
const base64url = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const signed = `${base64url({ alg: "RS256", kid: "1" })}.${base64url({ iss: "issuer", aud: "orders", sub: "7", exp: 4102444800 })}`;
const token = `${signed}.${sign("sha256", Buffer.from(signed), issuer.privateKey).toString("base64url")}`;
const keys = { inline: { keys: [{ ...issuer.publicKey.export({ format: "jwk" }), kid: "1", use: "sig", alg: "RS256" }] } };
const rate = { limit: { rate: { requests: 5, window: "1s" } }, enforcement: { local: {} } };
const ASKING = JSON.stringify({
    ...JSON.parse(OPEN),
    secrets: { chain: { environment: { name: "CHAIN" } } },
    audit: { chain: { key: { secret: "chain" } } },
    identity: { providers: { customers: { jwt: { issuer: "issuer", audiences: ["orders"], algorithms: ["RS256"], keys } } } },
    quotas: {
        "of-the-source": { ...rate, key: ["source"], key_absent: "skip" },
        "of-the-route": { ...rate, limit_from: { route_metadata: { at_most: 50 } }, key: ["route"] },
    },
    routes: [{ name: "all", quotas: ["of-the-source", "of-the-route"], rules: [{ name: "who", require: { caller: { provider: "customers" } } }] }],
});
const nonsense = [() => { throw new Error("no") }, () => null, () => -1, () => true, () => "text", () => ({ value: "text", version: -1 })];
for (const answer of nonsense) {
    assert.throws(() => new Gateway(ASKING, 1, { environment: answer }), /CHAIN/);
    const asked = new Set();
    const names = ["now", "monotonic", "peer", "routeMetadata", "get", "set", "verify", "log"];
    const host = Object.fromEntries(names.map((name) => [name, (...questions) => (asked.add(name), answer(...questions))]));
    host.environment = () => Buffer.alloc(32, 7).toString("base64");
    const { refuse } = new Gateway(ASKING, 1, host).open(1).step({ request: [...head, ["authorization", `Bearer ${token}`]] }).verdict;
    assert.equal(refuse?.reason, "QuotaUnavailable", "the token is genuine whatever the host says, and what isn't kept isn't counted");
    assert.deepEqual(names.filter((name) => !asked.has(name)), []);
}
// A host that calls back within a call gets an error, and the call goes on.
let refused;
const calling = new Gateway(OPEN, 2, {
    random: (length) => {
        try {
            calling.tick();
        } catch (error) {
            refused = error.message;
        }
        return new Uint8Array(length).fill(7);
    },
});
assert.equal(calling.open(1).step({ request: head }).verdict.continue[0].replace.value, `00-${"07".repeat(16)}-${"07".repeat(8)}-03`);
assert.equal(refused, "the host called back within a call");

// Nor does what runs code of its own when it is looked at: an array that is none, or has another length than it says, or goes in circles.
const odd = () => { throw new Error("odd") };
const circle = [];
circle.push(circle);
const arrays = [
    Object.create(Uint8Array.prototype),
    new Proxy(new Uint8Array(16), { get: odd, getPrototypeOf: odd }),
    Object.defineProperty(new Uint8Array(3), "length", { value: 2 ** 31 }),
    new Uint8Array((16 << 20) + 1),
    Object.defineProperty({}, "value", { get: odd, enumerable: true }),
    circle,
];
const quota = { limit: { rate: { requests: 1, window: "1s" } }, key: ["source"], key_absent: "skip", enforcement: { local: {} } };
const LIMITED = JSON.stringify({ ...JSON.parse(OPEN), quotas: { quota }, routes: [{ name: "all", quotas: ["quota"] }] });
for (const array of arrays) {
    let [answer, source] = [array, array];
    const asked = [];
    const lend = (name, value) => (asked.push(name), value);
    const bearing = new Gateway(LIMITED, 5, {
        random: (length) => answer ?? new Uint8Array(length).fill(7),
        peer: () => lend("peer", source),
        get: () => lend("get", { value: array, version: 1 }),
        set: () => lend("set", "unavailable"),
    });
    assert.deepEqual(bearing.open(1).step({ request: head }).verdict, { continue: [] });
    [answer, source] = [undefined, new TextEncoder().encode("203.0.113.9:4711")];
    assert.ok("refuse" in bearing.open(2).step({ request: head }).verdict, "what can't be counted is refused");
    assert.deepEqual([...new Set(asked)], ["peer", "get", "set"]);
    bearing.tick();
}

// What is no policy is an error.
for (const document of [undefined, null, 7, {}, new Proxy({}, { get: odd })]) {
    assert.throws(() => compile(document), /expected a policy as a text in JSON/);
    assert.throws(() => new Gateway(document, 1, {}), /expected a policy as a text in JSON/);
}
// What is no event is an error, and the exchange is what it was.
const exchange = new Gateway(OPEN, 3, {}).open(1);
for (const event of [undefined, null, 7, "request", {}, { request: 7 }, { nonsense: [] }, { request: [["a", "\u0100"]] }, { closed: {} }]) {
    assert.throws(() => exchange.step(event), /expected an Event: /);
}
const endless = { [Symbol.iterator]: () => ({ next: () => ({ done: false, value: ["a", "b"] }) }) };
for (const event of [{ request: endless }, { get request() { return odd(); } }, new Proxy({}, { ownKeys: odd }), { request: [["a", Symbol()]] }, { request: circle }, { request: new Map() }]) {
    assert.throws(() => exchange.step(event), /expected an Event: /);
}
assert.ok("continue" in exchange.step({ request: head }).verdict);
exchange.free();
// Answers to calls that nobody asked for change nothing.
const gateway = new Gateway(OPEN, 4, {});
for (const call of [0, -1, 0.5, NaN, Infinity, 2 ** 64]) {
    assert.deepEqual(gateway.reply(call, { failed: "timedOut" }), { calls: [], wake: [] });
}
// Nor does a body that no memory holds.
assert.deepEqual(gateway.reply(0, { reply: { headers: [], body: new Uint8Array(1 << 28) } }), { calls: [], wake: [] });
for (const reply of [{ headers: [], body: new ArrayBuffer(1 << 28) }, { headers: circle, body: new Uint8Array() }]) {
    assert.throws(() => gateway.reply(0, { reply }), /expected an Answer: /);
}
// One text in many places is as long as it would be taken in.
const crowd = Array(300).fill(["a", "x".repeat(1 << 20)]);
assert.throws(() => gateway.open(1).step({ request: crowd }), /expected an Event: expected at most 16777216 characters in all/);
assert.throws(() => gateway.reply(0, { reply: { headers: crowd, body: new Uint8Array() } }), /expected an Answer: /);
assert.ok(memory.buffer.byteLength < 1 << 27, "what is too long isn't taken in");
assert.throws(() => gateway.reply(0, { failed: "otherwise" }), /expected an Answer: /);
assert.throws(() => gateway.reply(0, { reply: { headers: [], body: Object.create(Uint8Array.prototype) } }), /expected an Answer: /);

// An exchange that is freed while its gateway is at work ends all the same, before anything else.
const traces = { spans: { otlp: { cluster: "otel", uri: "http://otel:4318/v1/traces" } } };
const SPANS = JSON.stringify({ ...JSON.parse(OPEN), export: { traces } });
let freed;
const freeing = new Gateway(SPANS, 6, {
    now: () => {
        freed?.free();
        freed = undefined;
        return 0n;
    },
});
const [first, second] = [freeing.open(1), freeing.open(2)];
first.step({ request: head });
freed = first;
second.step({ request: head });
assert.equal(freed, undefined);
const recorded = () => freeing.drain().counts.filter(([name]) => name === "tracegate.spans.recorded.spans");
assert.deepEqual(recorded(), [["tracegate.spans.recorded.spans", 1]]);
second.free();
assert.deepEqual(recorded(), [["tracegate.spans.recorded.spans", 1]]);
gateway.free();
console.log("ok");
