import { expect, test } from "vitest";
import { ago, axis, bytes, compact, count, duration, percent, rate, rough } from "../../src/lib/format.ts";
import { clock, clockMs, day, full, moment, parse, zone } from "../../src/lib/time.ts";

test.each([
  [count, 20013, "20,013"],
  [count, null, "–"],
  [compact, 999_999, "999,999"],
  [compact, 1_240_000, "1.24\u202fM"],
  [compact, 1_356_204_113, "1.36\u202fbn"],
  [rate, 0, "0"],
  [rate, 0.34, "0.3"],
  [rate, 19_631.4, "19,631"],
  [rate, undefined, "–"],
  [axis, 20_000, "20k"],
  [axis, 0.5, "0.5"],
  [axis, 1_500_000, "1.5M"],
  [bytes, 0, "0 B"],
  [bytes, 1023, "1,023 B"],
  [bytes, 1536, "1.5 KiB"],
  [bytes, 67_108_864, "64 MiB"],
  [bytes, null, "–"],
  [percent, 0.974, "97 %"],
  [duration, 0, "0 ms"],
  [duration, 0.4, "<1 ms"],
  [duration, 812, "812 ms"],
  [duration, 1240, "1.2 s"],
  [duration, 59_600, "1 min"],
  [duration, 192_000, "3 min 12 s"],
  [duration, 7_500_000, "2 h 5 min"],
  [duration, 273_600_000, "3 d 4 h"],
  [duration, null, "–"],
  [rough, 0, "1 s"],
  [rough, 45_900, "45 s"],
  [rough, 255_000, "4 min 15 s"],
  [rough, 1_340_000, "22 min"],
  [rough, 7_640_000, "2 h 7 min"],
  [rough, 86_000_000, "23 h"],
] as [(value: number | null | undefined) => string, number | null | undefined, string][])(
  "%o(%s) is %s",
  (format, value, want) => {
    expect(format(value)).toBe(want);
  },
);

test.each([
  [0, "just now"],
  [5300, "5 s ago"],
  [255_000, "4 min ago"],
  [7_640_000, "2 h ago"],
  [200_000_000, "2 d ago"],
  [-90_000, "in 1 min"],
])("%d ms ago", (passed, want) => {
  expect(ago(1_000_000_000 - passed, 1_000_000_000)).toBe(want);
});

const AT = Date.parse("2026-11-29T13:03:07.120Z");

test("times are in the zone that is named", () => {
  expect(clock(AT, "UTC")).toBe("13:03:07");
  expect(clock(AT, "Europe/Berlin")).toBe("14:03:07");
  expect(clockMs(AT, "America/New_York")).toBe("08:03:07.120");
  expect(clock(Date.parse("2026-11-29T00:00:00Z"), "UTC")).toBe("00:00:00");
  expect(day(Date.parse("2026-11-29T23:30:00Z"), "Europe/Berlin")).toBe("30 Nov 2026");
});

test("a moment says the day where it is another", () => {
  expect(moment(AT, AT + 60_000, "UTC")).toBe("13:03:07");
  expect(moment(AT, AT + 86_400_000, "UTC")).toBe("29 Nov, 13:03:07");
  expect(moment(AT, AT + 400 * 86_400_000, "UTC")).toBe("29 Nov 2026, 13:03:07");
  expect(full(AT, zone(true, new Date(AT)))).toBe("29 Nov 2026, 13:03:07.120 UTC");
});

test("what is no time is none", () => {
  expect([parse(null), parse(""), parse("soon"), parse("2026-11-29T13:03:07.120Z")]).toEqual([
    null,
    null,
    null,
    AT,
  ]);
});
