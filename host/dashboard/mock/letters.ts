import type { Letter, LetterFull, LetterPage, Shown } from "../src/api/types.ts";
import { HOSTILE_REASON } from "./jobs.ts";
import { rfc3339 } from "./random.ts";
import type { SimJob } from "./sim-job.ts";

const PREVIEW_BYTES = 200;

export function shown(text: string, max = Number.POSITIVE_INFINITY): Shown {
  const size = new TextEncoder().encode(text).length;
  return { text: text.slice(0, max), base64: null, bytes: size, truncated: text.length > max };
}

function binary(bytes: number[]): Shown {
  return { text: null, base64: btoa(String.fromCharCode(...bytes)), bytes: bytes.length, truncated: false };
}

const KINDS: { reason: string; value(n: number): Shown; weight: number }[] = [
  { reason: "no quantity", value: (n) => shown(`${n},ann,http://example.org/${n % 40},`), weight: 9 },
  { reason: "3 fields, of 4", value: (n) => shown(`${n},bob,http://example.org/`), weight: 4 },
  {
    reason: "invalid JSON at line 1 column 44: expected `,` or `}`",
    value: (n) =>
      shown(
        `{"id":${n},"user":{"name":"Zoë Åkesson","tags":["a","b"]},"items":[{"sku":"A-1","n":2},{"sku":"B-9","n":1}],"note":null}`,
      ),
    weight: 3,
  },
  { reason: "not UTF-8: byte 3 is 0xff", value: () => binary([0, 1, 2, 255, 254, 128, 10, 13]), weight: 2 },
  {
    reason: "wasm trap: out of bounds memory access, in parse_reading",
    value: (n) => shown(`{"sensor":"s-${n}","celsius":"${"9".repeat(600)}"}`),
    weight: 2,
  },
  {
    reason: HOSTILE_REASON,
    value: () => shown(`<img src=x onerror="window.hacked=1">\u202e\u0007 = HYPERLINK("http://evil")`),
    weight: 1,
  },
];

/** A job's dead letters, newest first. */
export function makeLetters(job: SimJob, now: number): LetterFull[] {
  const { random, def } = job;
  const bag = KINDS.flatMap((kind) => Array.from({ length: kind.weight }, () => kind));
  return Array.from({ length: def.letters }, (_, i): LetterFull => {
    const kind = random.pick(bag);
    const at =
      now - (i + 1) * random.between(20_000, 160_000) - (job.state === "stopped" ? def.since * 1000 : 0);
    const stage = def.stages.length > 0 && i % 9 === 4 ? (def.stages[0]?.name ?? null) : null;
    const source = def.sources[0];
    const offset = 90_114_002 - i * 311;
    const version = Math.max(1, job.active.version - (i > 60 ? 1 : 0));
    const leftOut = i === 11;
    return {
      id: `${i % 3}-${def.letters - i + 1000}`,
      at: rfc3339(at),
      status: "new",
      version,
      batch: job.batch - i * 7,
      stage,
      sink: null,
      source:
        stage || !source
          ? null
          : { topic: source.target, partition: i % source.partitions, offset, time: rfc3339(at - 1800) },
      reason: stage ? "the merge of this key does not end: 2 s of 2 s used" : kind.reason,
      key: i % 4 === 0 ? shown("") : shown(`user-${random.whole(1, 9999)}`),
      value: leftOut ? shown("") : kind.value(random.whole(1000, 999_999)),
      retried:
        i % 17 === 3
          ? { at: rfc3339(at + 60_000), version, outcome: "dead-letter", rows: 0, reason: kind.reason }
          : null,
      left_out: leftOut,
      headers: [
        { name: "job", value: shown(def.name) },
        { name: "version", value: shown(String(version)) },
        { name: "reason", value: shown(kind.reason) },
        { name: "trace-id", value: shown(random.hex(32)) },
        { name: "blob", value: binary([1, 2, 3]) },
        ...(leftOut ? [{ name: "left-out", value: shown("17301504") }] : []),
      ],
    };
  }).map((letter) => (letter.retried ? { ...letter, status: "retried" } : letter));
}

const AGES: Record<string, number> = { "1h": 3_600_000, "24h": 86_400_000, "7d": 604_800_000 };

export function letterPage(job: SimJob, all: LetterFull[], query: URLSearchParams, now: number): LetterPage {
  const get = (name: string) => query.get(name) ?? "";
  const age = AGES[get("since")] ?? Number.POSITIVE_INFINITY;
  const matches = all.filter(
    (letter) =>
      (get("stage") === "" || letter.stage === get("stage")) &&
      (get("status") === "" || letter.status === get("status")) &&
      letter.reason.toLowerCase().includes(get("reason").toLowerCase()) &&
      now - Date.parse(letter.at) <= age,
  );
  const limit = Number(get("limit") || 50);
  const from = get("before") === "" ? 0 : matches.findIndex((letter) => letter.id === get("before")) + 1;
  const page = matches.slice(from, from + limit);
  const rest = matches.length > from + limit;
  return {
    topic: `${job.def.name}.dead-letters`,
    letters: page.map(brief),
    next: rest ? (page.at(-1)?.id ?? null) : null,
    scanned: all.length,
    reasons: counted(all.map((letter) => letter.reason)).map(([reason, count]) => ({ reason, count })),
    stages: counted(all.flatMap((letter) => letter.stage ?? [])).map(([stage, count]) => ({ stage, count })),
  };
}

function brief({ left_out: _, headers: __, ...letter }: LetterFull): Letter {
  const cut = (value: Shown) =>
    value.text === null ? value : { ...shown(value.text, PREVIEW_BYTES), bytes: value.bytes };
  return { ...letter, key: cut(letter.key), value: cut(letter.value) };
}

function counted(list: string[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const one of list) counts.set(one, (counts.get(one) ?? 0) + 1);
  return [...counts].toSorted((a, b) => b[1] - a[1]);
}
