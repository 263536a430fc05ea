// API.md's examples and the simulated host say the same.

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Mock, serve } from "../../mock/server.ts";
import { World } from "../../mock/world.ts";

const TEXT = readFileSync(new URL("../../API.md", import.meta.url), "utf8");
const EXAMPLES = [...TEXT.matchAll(/<!-- (example|event): (.+?) -->\n```json\n([\s\S]*?)\n```/g)].map(
  (found) => ({
    kind: found[1],
    name: found[2] ?? "",
    json: JSON.parse(found[3] ?? "") as unknown,
  }),
);

let mock: Mock;
beforeAll(async () => {
  mock = await serve(new World({ swapAfter: 0 }));
  mock.faults.delayMs = 0;
});
afterAll(() => mock.close());

async function ask(name: string): Promise<unknown> {
  const [method = "GET", path = "/", body] = name.split(" ");
  const sent = body === "wasm" ? `\0asm${" ".repeat(100)}` : body;
  const answer = await fetch(mock.url + path, { method, ...(sent ? { body: sent } : {}) });
  expect(answer.status, name).toBe(200);
  return answer.json();
}

/** The first event of a name on the stream. */
async function event(name: string): Promise<unknown> {
  const parts = ["graph", "series", "batches", "watermarks", "stages", "log"].map((part) => `with=${part}`);
  const stop = new AbortController();
  const answer = await fetch(`${mock.url}/v1/events?job=hashtags&${parts.join("&")}`, {
    signal: stop.signal,
  });
  let text = "";
  try {
    for await (const part of answer.body ?? []) {
      text += new TextDecoder().decode(part);
      const blocks = text.split("\n\n").slice(0, -1);
      const found = blocks.find(
        (b) => b.startsWith(`event: ${name}\n`) && (name !== "job" || b.includes('"points":{')),
      );
      if (found) return JSON.parse(found.slice(found.indexOf("data: ") + 6));
    }
  } finally {
    stop.abort();
  }
  throw new Error(`no event ${name}`);
}

/** All paths to values; of a list the first element stands for the others. */
function shape(value: unknown, at = ""): string[] {
  if (Array.isArray(value)) return value.length === 0 ? [] : shape(value[0], `${at}[]`);
  if (value === null || typeof value !== "object") return [at];
  return Object.entries(value).flatMap(([key, inner]) => shape(inner, `${at}.${key}`));
}

/** Fields that an example shows, and those that the host sends; below what either leaves empty nothing is compared. */
function differences(example: unknown, sent: unknown): string[] {
  const [a, b] = [shape(example), shape(sent)];
  const covers = (list: string[], path: string) =>
    list.some(
      (other) =>
        other === path ||
        path.startsWith(`${other}.`) ||
        other.startsWith(`${path}.`) ||
        other.startsWith(`${path}[`),
    );
  const empty = (list: string[], value: unknown, path: string) =>
    !covers(list, path) && !emptyAt(value, path);
  return [
    ...a.filter((path) => empty(b, sent, path)).map((path) => `only in API.md: ${path}`),
    ...b.filter((path) => empty(a, example, path)).map((path) => `only in the answer: ${path}`),
  ];
}

/** Whether the value is an empty list or object somewhere on the path. */
function emptyAt(value: unknown, path: string): boolean {
  let at: unknown = value;
  for (const step of path.match(/\[\]|\.[^.[]+/g) ?? []) {
    if (at === null || typeof at !== "object") return at === null;
    if (Object.keys(at).length === 0) return true;
    at = step === "[]" ? (at as unknown[])[0] : (at as Record<string, unknown>)[step.slice(1)];
  }
  return false;
}

test("API.md has examples", () => {
  expect(EXAMPLES.length).toBeGreaterThan(15);
});

test("differences are found", () => {
  expect(differences({ a: 1, b: [{ c: 1 }] }, { a: 2, b: [{ c: 2 }] })).toEqual([]);
  expect(differences({ a: 1 }, { a: 2, b: 3 })).toEqual(["only in the answer: .b"]);
  expect(differences({ a: 1, b: [{ c: 1 }] }, { a: 2, b: [{ d: 2 }] })).toHaveLength(2);
  expect(differences({ a: [], b: null }, { a: [{ x: 1 }], b: { y: 1 } })).toEqual([]);
});

test.each(EXAMPLES)("$kind $name", { timeout: 20_000 }, async ({ kind, name, json }) => {
  const sent = kind === "event" ? await event(name) : await ask(name);
  expect(differences(json, sent)).toEqual([]);
});
