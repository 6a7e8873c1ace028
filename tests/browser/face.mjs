// SPDX-License-Identifier: Apache-2.0
// face.mjs DIRECTORY: what the browser face in the directory does for a page, and what it makes of hosts that fail, lie or call back.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { resolve } from "node:path";

const directory = resolve(process.argv[2]);
const { Gateway, compile, initSync, version } = await import(pathToFileURL(resolve(directory, "tracegate.js")));
initSync({ module: readFileSync(resolve(directory, "tracegate_bg.wasm")) });

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
// One whose every method throws, or answers nonsense, is as one that has nothing; the browser's clock and randomness are its own.
for (const answer of [() => { throw new Error("no") }, () => null, () => -1, () => ({ value: "text", version: -1 })]) {
    const names = ["now", "monotonic", "peer", "routeMetadata", "environment", "get", "set", "verify", "log"];
    const { continue: edits } = decide(Object.fromEntries(names.map((name) => [name, answer])));
    assert.equal(edits[0].replace.name, "traceparent");
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

// What is no event is an error, and the exchange is what it was.
const exchange = new Gateway(OPEN, 3, {}).open(1);
for (const event of [undefined, null, 7, "request", {}, { request: 7 }, { nonsense: [] }, { request: [["a", "\u0100"]] }, { closed: {} }]) {
    assert.throws(() => exchange.step(event), /expected an Event: /);
}
assert.ok("continue" in exchange.step({ request: head }).verdict);
// Answers to calls that nobody asked for change nothing.
const gateway = new Gateway(OPEN, 4, {});
for (const call of [0, -1, 0.5, NaN, Infinity, 2 ** 64]) {
    assert.deepEqual(gateway.reply(call, { failed: "timedOut" }), { calls: [], wake: [] });
}
assert.throws(() => gateway.reply(0, { failed: "otherwise" }), /expected an Answer: /);
console.log("ok");
