import { expect, test } from "vitest";
import { noPoints } from "../../mock/sim-job.ts";
import type { Batch, Points, Series } from "../../src/api/types.ts";
import {
  appendBatches,
  appendPoints,
  lastKnown,
  slice,
  span,
  stack,
  withGaps,
  work,
} from "../../src/lib/series.ts";

function points(times: number[]): Points {
  const made = noPoints();
  made.times.push(...times);
  for (const column of Object.values(made)) {
    if (Array.isArray(column) && column !== made.times) column.push(...times.map((t) => t * 10));
  }
  for (const column of Object.values(made.steps_ms)) column.push(...times.map((t) => t * 2));
  return made;
}

const series = (times: number[]): Series => ({
  step_seconds: 5,
  points: points(times),
  deployments: [],
  limits: { memory_bytes: 1, lanes: 1 },
});

test("newer points are appended once", () => {
  const grown = appendPoints(series([5, 10]), points([10, 15, 20]));
  expect(grown.points.times).toEqual([5, 10, 15, 20]);
  expect(grown.points.lag).toEqual([50, 100, 150, 200]);
  expect(grown.points.steps_ms.deliver).toEqual([10, 20, 30, 40]);
  expect(appendPoints(grown, points([15, 20]))).toBe(grown);
});

test("points older than an hour go", () => {
  const grown = appendPoints(series([0, 5, 3600]), points([3605]));
  expect(grown.points.times).toEqual([5, 3600, 3605]);
  expect(grown.points.lag).toHaveLength(3);
});

test("a column that an older host does not send is unknown", () => {
  const more = points([15]);
  Reflect.deleteProperty(more, "cpu_cores");
  expect(appendPoints(series([10]), more).points.cpu_cores).toEqual([100, null]);
});

test("a slice has both ends", () => {
  expect(slice(points([5, 10, 15, 20]), 10, 15).times).toEqual([10, 15]);
  expect(slice(points([5]), 10, 15).times).toEqual([]);
  expect(slice(points([5, 10]), 0, 100).rows_per_second).toEqual([50, 100]);
});

test("a gap is no line", () => {
  expect(withGaps([5, 10, 60], [[1, 2, 3]], 5)).toEqual([
    [5, 10, 15, 60],
    [1, 2, null, 3],
  ]);
});

test("areas stand on one another", () => {
  expect(
    stack([
      [1, 2],
      [10, null],
      [100, 200],
    ]),
  ).toEqual([
    [1, 2],
    [11, 2],
    [111, 202],
  ]);
});

test("the last that is known", () => {
  expect([lastKnown([1, 2, null]), lastKnown([null]), lastKnown([])]).toEqual([2, null, null]);
});

const batch = (number: number, steps: Batch["steps"] = []): Batch => ({
  number,
  version: 1,
  deployment: 1,
  began: "",
  records: 0,
  bytes: 0,
  rows: 0,
  dropped: 0,
  late: 0,
  dead_letters: 0,
  retries: 0,
  steps,
  sinks: [],
});

test("batches are appended once, and the oldest go", () => {
  const grown = appendBatches([batch(1), batch(2)], [batch(2), batch(3), batch(4)], 3);
  expect(grown.map((b) => b.number)).toEqual([2, 3, 4]);
});

test("work leaves out what waits", () => {
  const one = batch(1, [
    { step: "gather", at_ms: 0, ms: 1000 },
    { step: "queue", at_ms: 1000, ms: 50 },
    { step: "transform", at_ms: 1050, ms: 20 },
    { step: "deliver", at_ms: 1070, ms: 30 },
  ]);
  expect([work(one), span(one)]).toEqual([50, 1100]);
});
