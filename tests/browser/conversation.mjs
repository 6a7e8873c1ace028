// SPDX-License-Identifier: Apache-2.0
// Says to the browser face what was said to the native core (tests/faces.rs), lends it what that was lent, and tells what it answers.

const bytes = (text) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const text = (array) => Array.from(array, (byte) => String.fromCharCode(byte)).join("");
const given = (answer) => answer ?? undefined;

/** The host's side: it answers from the turn at hand, and takes down what is asked that the native core didn't ask. */
class Script {
    turn = undefined;
    asked = 0;
    log = [];
    wrong = null;

    begin(turn) {
        this.turn = turn;
        this.asked = 0;
        this.log = [];
        this.wrong = null;
    }

    ask(kind, question) {
        if (!this.turn) return undefined;
        const known = this.turn.asks[this.asked++]?.[kind];
        if (known && Object.entries(question).every(([name, value]) => known[name] === value)) return given(known.answer);
        this.wrong ??= `${kind} ${JSON.stringify(question)}, not ${JSON.stringify(this.turn.asks[this.asked - 1])}`;
        throw new Error(this.wrong);
    }

    host() {
        const asBytes = (answer) => (answer === undefined ? undefined : bytes(answer));
        return {
            now: () => BigInt(this.turn?.now ?? 0),
            monotonic: () => BigInt(this.turn?.monotonic ?? 0),
            random: (length) => asBytes(this.ask("random", { length })),
            peer: (fact) => asBytes(this.ask("peer", { fact })),
            routeMetadata: (key) => asBytes(this.ask("routeMetadata", { key })),
            environment: (variable) => this.ask("environment", { variable }),
            get: (name) => {
                const stored = this.ask("get", { name });
                return stored && { value: bytes(stored[0]), version: stored[1] };
            },
            set: (name, value, expected) => this.ask("set", { name, value: text(value), expected: String(expected) }),
            verify: (hash, key, signature, message) =>
                this.ask("verify", { hash, key: text(key), signature: text(signature), text: text(message) }),
            log: (level, line) => this.log.push([level === "warning", line]),
        };
    }
}

/** Calls in JSON: bytes as texts. */
const plain = (calls) =>
    calls.map((call) => {
        const [[kind, asked]] = Object.entries(call);
        const as = Object.fromEntries(Object.entries(asked).map(([name, value]) => [name, value instanceof Uint8Array ? text(value) : value]));
        return { [kind]: as };
    });

const woken = (gateway, { calls, wake }) => ({ woken: { calls: plain(calls), wake, isUrgent: gateway.isUrgent() } });

/** What the face answers in each turn, with the lines that it logged and the first thing that it asked for out of turn. */
export function play(tracegate, turns) {
    const script = new Script();
    const host = script.host();
    const gateways = new Map();
    const exchanges = new Map();
    const say = ([kind, said]) => {
        const gateway = gateways.get(said.gateway);
        switch (kind) {
            case "compile": {
                const { findings, fingerprint = null, clusters, variables } = tracegate.compile(said.policy);
                return { compiled: { findings, fingerprint, clusters, variables } };
            }
            case "start":
                try {
                    gateways.set(said.gateway, new tracegate.Gateway(said.policy, said.gateway, host));
                    return { started: { error: null } };
                } catch (error) {
                    return { started: { error: error.message } };
                }
            case "open":
                exchanges.set(said.exchange, gateway.open(said.exchange));
                return "done";
            case "step": {
                const exchange = exchanges.get(said.exchange);
                const { verdict, calls, properties } = exchange.step(said.event);
                return { step: { verdict, calls: plain(calls), properties, awaits: exchange.awaits() } };
            }
            case "drop":
                exchanges.get(said.exchange).free();
                exchanges.delete(said.exchange);
                return "done";
            case "tick":
                return woken(gateway, gateway.tick());
            case "reply": {
                const { reply } = said.answer;
                const answer = reply ? { reply: { headers: reply.headers, body: bytes(reply.body) } } : said.answer;
                return woken(gateway, gateway.reply(said.call, answer));
            }
            case "drain":
                return { drained: gateway.drain() };
            case "end":
                return { ended: { calls: plain(gateway.end()) } };
        }
    };
    const heard = turns.map((turn) => {
        script.begin(turn);
        const answer = say(Object.entries(turn.said)[0]);
        return { heard: answer, log: script.log, asked: script.asked, wrong: script.wrong };
    });
    // What is left ends without a trap, whoever else is asked then.
    script.begin(undefined);
    gateways.forEach((gateway) => gateway.free());
    exchanges.forEach((exchange) => exchange.free());
    return heard;
}
