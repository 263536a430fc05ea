// Contrast of all pairs of colours that meet, text on canvas included, which axe does not see.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const CSS = readFileSync(new URL("../../src/styles/base.css", import.meta.url), "utf8");
const TOKENS = new Map(
  [...CSS.matchAll(/--([a-z0-9-]+): light-dark\(#([0-9a-f]{6}), #([0-9a-f]{6})\)/g)].map((m) => [
    m[1] ?? "",
    [m[2] ?? "", m[3] ?? ""],
  ]),
);

function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [0, 2, 4].map((at) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string, theme: number): number {
  const [x, y] = [a, b].map((name) => luminance(TOKENS.get(name)?.[theme] ?? "")).sort((p, q) => q - p);
  return ((x ?? 0) + 0.05) / ((y ?? 0) + 0.05);
}

const GROUNDS = ["bg", "panel", "sunken", "hover"];
const TONES = ["ok", "warn", "bad", "info", "idle", "accent"];
const TEXT: [string, string][] = [
  ...["ink", "ink-2", ...TONES].flatMap((text) => GROUNDS.map((ground): [string, string] => [text, ground])),
  ...TONES.flatMap((tone) => [tone, "ink", "ink-2"].map((text): [string, string] => [text, `${tone}-soft`])),
  ["on-accent", "accent"],
];
const STEPS = ["gather", "queue", "transform", "stages", "intent", "deliver", "checkpoint"];
const SHAPES: [string, string][] = [
  ...["c1", "c2", "c3", "edge", ...STEPS.map((s) => `step-${s}`)].map((shape): [string, string] => [
    shape,
    "panel",
  ]),
  ["edge", "bg"],
];

test.each([0, 1])("text can be read, theme %d", (theme) => {
  const faint = TEXT.filter(([text, ground]) => !(contrast(text, ground, theme) >= 4.5));
  expect(faint.map(([a, b]) => `${a} on ${b}: ${contrast(a, b, theme).toFixed(2)}`)).toEqual([]);
});

test.each([0, 1])("shapes can be seen, theme %d", (theme) => {
  const faint = SHAPES.filter(([shape, ground]) => !(contrast(shape, ground, theme) >= 3));
  expect(faint.map(([a, b]) => `${a} on ${b}: ${contrast(a, b, theme).toFixed(2)}`)).toEqual([]);
});
