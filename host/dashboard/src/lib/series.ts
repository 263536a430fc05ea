import { type Batch, type Points, type Series, STEPS } from "../api/types.ts";

export const WINDOW_SECONDS = 3600;

type Column = (number | null)[];

function columns(points: Points): [string, Column][] {
  const plain = Object.entries(points).filter(([name, value]) => name !== "times" && Array.isArray(value));
  const steps = STEPS.map((step): [string, Column] => [`steps_ms.${step}`, points.steps_ms[step] ?? []]);
  return [...(plain as [string, Column][]), ...steps];
}

function rebuild(times: number[], from: Map<string, Column>): Points {
  const get = (name: string) => from.get(name) ?? times.map(() => null);
  const steps = Object.fromEntries(STEPS.map((step) => [step, get(`steps_ms.${step}`)]));
  return {
    times,
    records_per_second: get("records_per_second"),
    rows_per_second: get("rows_per_second"),
    dead_letters_per_second: get("dead_letters_per_second"),
    late_per_second: get("late_per_second"),
    lag: get("lag"),
    latency_p50_ms: get("latency_p50_ms"),
    latency_p99_ms: get("latency_p99_ms"),
    steps_ms: steps as Points["steps_ms"],
    cpu_cores: get("cpu_cores"),
    guest_memory_bytes: get("guest_memory_bytes"),
  };
}

/** Appends newer points and lets go of those older than an hour. */
export function appendPoints(series: Series, more: Points): Series {
  const last = series.points.times.at(-1) ?? 0;
  const first = more.times.findIndex((time) => time > last);
  if (first < 0) return series;
  const all = [...series.points.times, ...more.times.slice(first)];
  const cut = all.findIndex((time) => time >= (all.at(-1) ?? 0) - WINDOW_SECONDS);
  const fresh = new Map(columns(more));
  const joined = columns(series.points).map(([name, old]): [string, Column] => {
    const added = fresh.get(name)?.slice(first) ?? more.times.slice(first).map(() => null);
    return [name, [...old, ...added].slice(cut)];
  });
  return { ...series, points: rebuild(all.slice(cut), new Map(joined)) };
}

/** The points from `from` to `to`, both in seconds. */
export function slice(points: Points, from: number, to: number): Points {
  const start = points.times.findIndex((time) => time >= from);
  if (start < 0) return rebuild([], new Map());
  const after = points.times.findIndex((time) => time > to);
  const end = after < 0 ? points.times.length : after;
  const cut = columns(points).map(([name, values]): [string, Column] => [name, values.slice(start, end)]);
  return rebuild(points.times.slice(start, end), new Map(cut));
}

/** A gap of more than three steps is shown as one: a null is put into it, so that no line is drawn across. */
export function withGaps(times: number[], values: Column[], step: number): [number[], ...Column[]] {
  const outTimes: number[] = [];
  const out: Column[] = values.map(() => []);
  times.forEach((time, i) => {
    const before = times[i - 1];
    if (before !== undefined && time - before > step * 3) {
      outTimes.push(before + step);
      for (const column of out) column.push(null);
    }
    outTimes.push(time);
    out.forEach((column, c) => {
      column.push(values[c]?.[i] ?? null);
    });
  });
  return [outTimes, ...out];
}

/** Sums from the first column up, so that areas stand on one another. */
export function stack(values: Column[]): Column[] {
  const sums: Column[] = [];
  for (const column of values) {
    const below = sums.at(-1);
    sums.push(column.map((value, i) => (value === null && !below ? null : (value ?? 0) + (below?.[i] ?? 0))));
  }
  return sums;
}

/** The newest value that is known. */
export function lastKnown(values: Column): number | null {
  return values.findLast((value) => value !== null) ?? null;
}

/** Appends newer batches; the newest `max` stay. */
export function appendBatches(batches: Batch[], more: Batch[], max: number): Batch[] {
  const last = batches.at(-1)?.number ?? -1;
  const fresh = more.filter((batch) => batch.number > last);
  return fresh.length === 0 ? batches : [...batches, ...fresh].slice(-max);
}

/** Milliseconds from a batch's begin to its last step's end. */
export function span(batch: Batch): number {
  return Math.max(0, ...batch.steps.map((step) => step.at_ms + step.ms));
}

/** Milliseconds that the host worked on it: all but gathering and waiting for the batch before. */
export function work(batch: Batch): number {
  return batch.steps.reduce((sum, s) => (s.step === "gather" || s.step === "queue" ? sum : sum + s.ms), 0);
}
