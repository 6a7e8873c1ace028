// SPDX-License-Identifier: Apache-2.0
/** What a host lends. Whatever it leaves out the browser has: a clock, randomness, and otherwise nothing. One that throws has no answer. */
export interface Host {
    /** Nanoseconds since 1970-01-01T00:00:00Z. */
    now?(): bigint;
    /** Nanoseconds from an origin of the host's choice. Never goes back. */
    monotonic?(): bigint;
    /** As many unpredictable bytes as asked for; any other number counts as none. */
    random?(length: number): Uint8Array | undefined;
    /** What is known of who sends the request at hand: asked within `Exchange.step` alone. */
    peer?(fact: "source-address" | "uri-san" | "dns-san" | "subject" | "sha256"): Uint8Array | undefined;
    /** What the metadata of the host's route say under this key. */
    routeMetadata?(key: string): Uint8Array | undefined;
    /** The value of a variable that the policy names. */
    environment?(variable: string): string | undefined;
    /** A value, and which version of it this is. Names don't tell gateways apart: those that are no one edge get hosts with values of their own. */
    get?(name: string): { value: Uint8Array; version: number } | undefined;
    /** Sets a value, if what is there now is what is expected; otherwise says why not. */
    set?(name: string, value: Uint8Array, expected: "any" | "absent" | number): "conflict" | "unavailable" | undefined;
    /** Whether the signature is that of the text. `hash` is `sha256`, `sha384` or `sha512`, `key` in DER. */
    verify?(hash: string, key: Uint8Array, signature: Uint8Array, text: Uint8Array): boolean | undefined;
    /** Takes a line for the log. */
    log?(level: "info" | "warning", line: string): void;
}
