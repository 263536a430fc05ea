// The jobs of the simulated host: one of each kind that the pages must show well.

import { type JobDef, PLAIN, type SourceDef } from "./definition.ts";

const topic = (name: string, partitions: number): SourceDef => ({
  kind: "kafka",
  name,
  target: name,
  partitions,
});

export const HOSTILE = `"><img src=x onerror="window.hacked=1">\u202egpj.exe`;
export const HOSTILE_REASON = `</script><script>window.hacked=1</script> {{7*7}} \u001b[31mred\u001b[0m ${"very-long-".repeat(30)}`;

const clicks: JobDef = {
  ...PLAIN,
  name: "clicks",
  sources: [topic("clicks", 12)],
  sinks: [{ kind: "hbase", name: "clicks", target: "clicks", guarantee: "idempotent", share: 0.94 }],
  edges: [
    ["source/clicks", "transform", "records", 1],
    ["transform", "sink/clicks", "rows", 0.94],
    ["transform", "dead-letters", "dead-letters", 0.0004],
  ],
  arrivals: (t) => 20_000 + 900 * Math.sin(t / 190) + (t > 2300 && t < 2420 ? 26_000 : 0),
  capacity: 32_000,
  cost: [5.2, 0, 9.5],
  deadShare: 0.0004,
  dropShare: 0.06,
  versions: 7,
  letters: 180,
  before: 1_284_000_000,
  lastError: [
    "hbase 10.0.4.11:9090: connection reset by peer; the batch was delivered on a new connection",
    9200,
  ],
};

const hashtags: JobDef = {
  ...PLAIN,
  name: "hashtags",
  sources: [topic("posts", 64)],
  stages: [
    {
      name: "tag-count",
      kind: "window",
      description: "hopping windows of 5 min every 1 min by event time, watermark 30 s: count",
      inputs: ["transform"],
      keys: 48_200,
      keyBytes: 61,
      keySchema: "string",
      valueSchema: "u64",
      windowSeconds: 300,
    },
    {
      name: "top-ten",
      kind: "window",
      description: "the same windows: the 10 largest",
      inputs: ["tag-count"],
      keys: 5,
      keyBytes: 900,
      keySchema: "unit",
      valueSchema: "list<(string, u64)>",
      windowSeconds: 300,
    },
  ],
  sinks: [
    { kind: "hbase", name: "trending", target: "trending", guarantee: "idempotent", share: 0.0002 },
    { kind: "kafka", name: "late-posts", target: "posts.late", guarantee: "exactly-once", share: 0.0011 },
  ],
  edges: [
    ["source/posts", "transform", "records", 1],
    ["transform", "stage/tag-count", "records", 1.8],
    ["stage/tag-count", "stage/top-ten", "results", 0.02],
    ["stage/top-ten", "sink/trending", "rows", 0.0002],
    ["stage/tag-count", "sink/late-posts", "late", 0.0011],
    ["transform", "dead-letters", "dead-letters", 0.00002],
  ],
  arrivals: (t) => 6200 + 1400 * Math.sin(t / 400),
  capacity: 21_000,
  cost: [11, 22, 2],
  lateShare: 0.0011,
  deadShare: 0.00002,
  versions: 3,
  memory: 31 << 20,
  holdsBack: {
    partition: 17,
    seconds: 96,
    why: "The newest record of posts/17 is 96 s behind that of the others. It still gets records, so it is not idle; windows that end after its event time wait for it.",
  },
  idle: [41, 52],
  letters: 7,
  before: 88_000_000,
};

const purchases: JobDef = {
  ...PLAIN,
  name: "purchases",
  sources: [topic("orders", 8), topic("payments", 8), topic("customers", 4)],
  stages: [
    {
      name: "customers",
      kind: "lookup",
      description: "table of the compacted topic customers",
      inputs: ["source/customers"],
      keys: 2_100_400,
      keyBytes: 118,
      keySchema: "u64",
      valueSchema: "Customer v2",
      windowSeconds: null,
    },
    {
      name: "paid",
      kind: "join",
      description: "orders with payments within 15 min, left",
      inputs: ["transform"],
      keys: 310_220,
      keyBytes: 204,
      keySchema: "u64",
      valueSchema: "(Order, Payment)",
      windowSeconds: 900,
    },
    {
      name: "spend-by-day",
      kind: "running",
      description: "sum, kept for 40 days after the last record of a key",
      inputs: ["paid"],
      keys: 894_113,
      keyBytes: 33,
      keySchema: "(u64, date)",
      valueSchema: "i64",
      windowSeconds: null,
    },
  ],
  sinks: [
    { kind: "hbase", name: "purchases", target: "shop:purchases", guarantee: "idempotent", share: 0.46 },
    { kind: "hbase", name: "spend", target: "shop:spend", guarantee: "idempotent", share: 0.41 },
    { kind: "kafka", name: "unpaid", target: "orders.unpaid", guarantee: "exactly-once", share: 0.012 },
    { kind: "kafka", name: "audit", target: "audit", guarantee: "at-least-once", share: 1 },
  ],
  edges: [
    ["source/orders", "transform", "records", 0.5],
    ["source/payments", "transform", "records", 0.47],
    ["source/customers", "stage/customers", "records", 0.03],
    ["transform", "stage/customers", "records", 0.5],
    ["stage/customers", "stage/paid", "results", 0.5],
    ["transform", "stage/paid", "records", 0.47],
    ["stage/paid", "stage/spend-by-day", "results", 0.46],
    ["stage/paid", "sink/purchases", "rows", 0.46],
    ["stage/paid", "sink/unpaid", "rows", 0.012],
    ["stage/spend-by-day", "sink/spend", "rows", 0.41],
    ["transform", "sink/audit", "rows", 1],
    ["transform", "dead-letters", "dead-letters", 0.0007],
  ],
  arrivals: (t) => 8600 + 700 * Math.sin(t / 90) + (t > 2900 ? 1900 : 0),
  capacity: 9900,
  cost: [14, 19, 58],
  deadShare: 0.0007,
  lateShare: 0.0002,
  versions: 12,
  memory: 44 << 20,
  slow: {
    node: "sink/purchases",
    why: "It was busy 97 % of the last 10 s, and closed batches wait 210 ms for it. One gateway with 2 connections takes 4,600 rows/s here: more connections ([hbase] connections) or a second gateway would help; more lanes would not.",
  },
  letters: 96,
  before: 402_000_000,
};

const orders: JobDef = {
  ...PLAIN,
  name: "orders-enriched",
  sources: [topic("orders", 8)],
  sinks: [{ kind: "hbase", name: "orders", target: "orders", guarantee: "idempotent", share: 1 }],
  edges: [
    ["source/orders", "transform", "records", 1],
    ["transform", "sink/orders", "rows", 1],
    ["transform", "dead-letters", "dead-letters", 0],
  ],
  state: "retrying",
  since: 252,
  reason:
    "hbase gateway 10.0.4.11:9090: connection refused (os error 111). It is tried again every 5 s; the batch is kept.",
  arrivals: (t) => 1200 + 60 * Math.sin(t / 60),
  capacity: 9000,
  everyMs: 5000,
  versions: 4,
  before: 71_000_000,
};

const sessions: JobDef = {
  ...PLAIN,
  name: "sessions",
  sources: [topic("pageviews", 6)],
  stages: [
    {
      name: "session",
      kind: "session",
      description: "sessions with a gap of 30 min: fold",
      inputs: ["transform"],
      keys: 12_090,
      keyBytes: 410,
      keySchema: "string",
      valueSchema: "Session",
      windowSeconds: 1800,
    },
  ],
  sinks: [{ kind: "hbase", name: "sessions", target: "sessions", guarantee: "idempotent", share: 0.04 }],
  edges: [
    ["source/pageviews", "transform", "records", 1],
    ["transform", "stage/session", "records", 1],
    ["stage/session", "sink/sessions", "rows", 0.04],
    ["transform", "dead-letters", "dead-letters", 0],
  ],
  state: "paused",
  since: 7640,
  arrivals: () => 310,
  cost: [8, 16, 3],
  versions: 2,
  before: 19_000_000,
};

const sensors: JobDef = {
  ...PLAIN,
  name: "sensors",
  sources: [topic("readings", 16), topic("devices", 1)],
  stages: [
    {
      name: "average",
      kind: "window",
      description: "tumbling windows of 10 min by event time: average",
      inputs: ["transform"],
      keys: 8400,
      keyBytes: 48,
      keySchema: "string",
      valueSchema: "(f64, u64)",
      windowSeconds: 600,
    },
  ],
  sinks: [{ kind: "hbase", name: "averages", target: "averages", guarantee: "idempotent", share: 0.01 }],
  edges: [
    ["source/readings", "transform", "records", 0.98],
    ["source/devices", "transform", "records", 0.02],
    ["transform", "stage/average", "records", 0.98],
    ["stage/average", "sink/averages", "rows", 0.01],
    ["transform", "dead-letters", "dead-letters", 0.001],
  ],
  state: "stopped",
  since: 1340,
  reason:
    "Version 5 broke on 101 records of batch 41,877, more than the 100 that one batch may cost, and it is not new: there is no version to go back to by itself.\nThe first: readings/3@90,114,002: wasm trap: out of bounds memory access, in parse_reading.\nLook at the dead letters, deploy a version that reads them, or `streamhost rollback sensors`; then `streamhost resume sensors`.",
  arrivals: () => 2400,
  cost: [9, 12, 3],
  deadShare: 0.001,
  versions: 5,
  letters: 101,
  before: 640_000_000,
};

const backfill: JobDef = {
  ...PLAIN,
  name: "backfill-2024",
  sources: [topic("clicks-2024", 12)],
  sinks: [
    { kind: "kafka", name: "clicks-clean", target: "clicks-clean", guarantee: "exactly-once", share: 0.97 },
  ],
  edges: [
    ["source/clicks-2024", "transform", "records", 1],
    ["transform", "sink/clicks-clean", "rows", 0.97],
    ["transform", "dead-letters", "dead-letters", 0],
  ],
  state: "finished",
  since: 210_000,
  everyMs: 0,
  before: 5_120_000_000,
};

const wordcount: JobDef = {
  ...PLAIN,
  name: "wordcount",
  sources: [{ kind: "socket", name: "lines", target: "127.0.0.1:9999", partitions: 1 }],
  stages: [
    {
      name: "words",
      kind: "each-batch",
      description: "count of each batch",
      inputs: ["transform"],
      keys: 0,
      keyBytes: 0,
      keySchema: "string",
      valueSchema: "u64",
      windowSeconds: null,
    },
  ],
  sinks: [{ kind: "console", name: "console", target: "stdout", guarantee: "at-least-once", share: 4 }],
  edges: [
    ["source/lines", "transform", "records", 1],
    ["transform", "stage/words", "records", 9],
    ["stage/words", "sink/console", "rows", 4],
    ["transform", "dead-letters", "dead-letters", 0],
  ],
  arrivals: (t) => (t % 7 < 2 ? 3 : 0),
  capacity: 100,
  everyMs: 5000,
  cost: [30, 40, 20],
  lanes: 1,
  before: 9100,
};

const hostile: JobDef = {
  ...PLAIN,
  name: HOSTILE,
  sources: [topic(`<b>topic</b>\u0000\u2028`, 2)],
  sinks: [{ kind: "hbase", name: `sink"'<`, target: "x".repeat(180), guarantee: "idempotent", share: 1 }],
  edges: [
    [`source/<b>topic</b>\u0000\u2028`, "transform", "records", 1],
    ["transform", `sink/sink"'<`, "rows", 1],
    ["transform", "dead-letters", "dead-letters", 0.01],
  ],
  state: "stopped",
  since: 90,
  reason: HOSTILE_REASON,
  arrivals: () => 10,
  deadShare: 0.01,
  letters: 12,
  before: 100,
};

export const JOBS: JobDef[] = [
  backfill,
  clicks,
  hashtags,
  hostile,
  orders,
  purchases,
  sensors,
  sessions,
  wordcount,
];
