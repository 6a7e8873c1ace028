// SPDX-License-Identifier: Apache-2.0
// in_node.mjs DIRECTORY: plays conversations, one a line of standard input, with the face in the directory.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { resolve } from "node:path";
import { play } from "./conversation.mjs";

const directory = resolve(process.argv[2]);
const tracegate = await import(pathToFileURL(resolve(directory, "tracegate.js")));
tracegate.initSync({ module: readFileSync(resolve(directory, "tracegate_bg.wasm")) });

for await (const line of createInterface({ input: process.stdin })) {
    let answer;
    try {
        answer = play(tracegate, JSON.parse(line));
    } catch (error) {
        answer = String(error?.stack ?? error);
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
}
