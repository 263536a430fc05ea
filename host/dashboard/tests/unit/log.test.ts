import { expect, test } from "vitest";
import { append, filterLines, LINES_MAX, parseLine } from "../../src/lib/log.ts";

const AT = "2026-11-29T14:03:07.120Z";

test.each([
  [`${AT} INFO  checkpoint of batch 7`, { at: Date.parse(AT), level: "info", text: "checkpoint of batch 7" }],
  [`${AT} ERROR two\nlines`, { at: Date.parse(AT), level: "error", text: "two\nlines" }],
  [`${AT} WARN  `, { at: Date.parse(AT), level: "warn", text: "" }],
  ["no time at all", { at: null, level: "info", text: "no time at all" }],
  ["2026-99-99T99:99:99Z INFO  x", { at: null, level: "info", text: "2026-99-99T99:99:99Z INFO  x" }],
  ["", { at: null, level: "info", text: "" }],
])("%j", (line, want) => {
  expect(parseLine({ number: 1, line })).toEqual({ number: 1, ...want });
});

test("lines are appended once, and the oldest go", () => {
  const first = append(
    [],
    [1, 2].map((number) => ({ number, line: `l${number}` })),
  );
  const grown = append(
    first,
    [2, 3].map((number) => ({ number, line: `l${number}` })),
  );
  expect(grown.map((line) => line.number)).toEqual([1, 2, 3]);
  expect(append(grown, [])).toBe(grown);
  const many = Array.from({ length: LINES_MAX + 5 }, (_, i) => ({ number: i + 4, line: "x" }));
  expect(append(grown, many)).toHaveLength(LINES_MAX);
});

test("a level shows itself and what is worse", () => {
  const lines = ["ERROR a", "WARN  b", "INFO  c", "DEBUG d"].map((text, i) =>
    parseLine({ number: i, line: `${AT} ${text}` }),
  );
  const texts = (level: "error" | "warn" | "info" | "trace", find = "") =>
    filterLines(lines, level, find).map((l) => l.text);
  expect(texts("warn")).toEqual(["a", "b"]);
  expect(texts("trace")).toEqual(["a", "b", "c", "d"]);
  expect(texts("info", "C")).toEqual(["c"]);
});
