// SPDX-License-Identifier: Apache-2.0
// What TypeScript is told of the face: everything that comes and goes has a type of its own, and what is none doesn't compile.

import init, { Gateway, compile, version } from "./tracegate.js";
import type { Answer, Awaits, Call, Compiled, Drained, Event, Failed, Finding, Host, HostFailure, Step, Verdict, Woken } from "./tracegate.js";

const values = new Map<string, { value: Uint8Array; version: number }>();
const host: Host = {
    now: () => 0n,
    peer: (fact) => (fact === "source-address" ? new TextEncoder().encode("203.0.113.9:4711") : undefined),
    get: (name) => values.get(name),
    set: (name, value, expected) => {
        const known = values.get(name)?.version;
        if (expected === "absent" ? known !== undefined : expected !== "any" && expected !== known) return "conflict";
        values.set(name, { value, version: (known ?? 0) + 1 });
        return undefined;
    },
    log: (level, line) => console.log(level === "warning" ? `! ${line}` : line),
};

/** Where a call goes to. */
export function target(call: Call): string {
    if ("checkRateLimit" in call) return call.checkRateLimit.cluster;
    const { scheme, authority, path } = "fetch" in call ? call.fetch : call.export;
    return `${scheme}://${authority}${path}`;
}

/** What becomes of a request. */
export function shown(verdict: Verdict): string {
    if (verdict === "wait") return "waits";
    if ("refuse" in verdict) return `${verdict.refuse.status} ${verdict.refuse.reason}`;
    return verdict.continue.map((edit) => ("replace" in edit ? `${edit.replace.name}: ${edit.replace.value}` : `without ${edit.remove}`)).join("\n");
}

/** A request's way through the edge. */
export async function decide(policy: string): Promise<string[]> {
    await init();
    const compiled: Compiled = compile(policy);
    const wrong: Finding[] = compiled.findings.filter(({ severity }) => severity === "error");
    if (compiled.fingerprint === undefined) return wrong.map(({ line, column, path, message }) => `${line}:${column}: ${path}: ${message}`);
    const gateway = new Gateway(policy, 1, host);
    const exchange = gateway.open(1);
    const request: Event = { request: [[":method", "GET"], [":path", "/"]] };
    const step: Step = exchange.step(request);
    const awaits: Awaits = exchange.awaits();
    if (awaits.close) exchange.step({ closed: { requestBytes: 0, responseBytes: awaits.totals ? 7 : 0 } });
    const failure: HostFailure = "headNotEdited";
    exchange.step({ hostFailed: failure });
    const failed: Failed = { status: 14 };
    const answers: Answer[] = [{ failed: "timedOut" }, { failed }, { reply: { headers: [[":status", "200"]], body: new Uint8Array() } }];
    const woken: Woken[] = [gateway.tick(), ...answers.map((answer) => gateway.reply(1, answer))];
    const drained: Drained = gateway.drain();
    const counts: [string, number][] = drained.counts;
    exchange.free();
    return [version(), shown(step.verdict), ...woken.flatMap(({ calls }) => calls.map(target)), ...counts.map(([name]) => name), `${gateway.isUrgent()}`];
}

// @ts-expect-error: a policy is a text
compile(7);
// @ts-expect-error: an id is a number
new Gateway("{}", "1", host);
// @ts-expect-error: there is no such event
export const event: Event = { opened: [] };
// @ts-expect-error: lines are pairs of texts
export const lines: Event = { request: [["a", 7]] };
// @ts-expect-error: a body is bytes
export const answer: Answer = { reply: { headers: [], body: "text" } };
// @ts-expect-error: a host has no such way to say no
export const liar: Host = { set: () => "perhaps" };
