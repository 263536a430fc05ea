import { expect, test } from "vitest";
import { plural, pretty, truncate, visible, visibleLine } from "../../src/lib/text.ts";

test.each([
  ["plain", "plain"],
  ["a\u202egpj.exe", "a⟨U+202E⟩gpj.exe"],
  ["\u001b[31mred", "⟨ESC⟩[31mred"],
  ["nul\u0000 del\u007f bel\u0007", "nul⟨NUL⟩ del⟨DEL⟩ bel⟨BEL⟩"],
  ["\u200bzero\u2066width\ufeff", "⟨U+200B⟩zero⟨U+2066⟩width⟨U+FEFF⟩"],
  ["tag\u{e0041}", "tag⟨U+E0041⟩"],
  ["two\nlines\tand a tab", "two\nlines\tand a tab"],
  ["emoji 👩‍💻 and ünï", "emoji 👩‍💻 and ünï"],
  ["<b>&amp;</b>", "<b>&amp;</b>"],
])("visible %j", (text, want) => {
  expect(visible(text)).toBe(want);
});

test("one line stays one line", () => {
  expect(visibleLine("a\nb\tc")).toBe("a↵b c");
});

test.each([
  ['{"a":1,"b":[1,2]}', '{\n  "a": 1,\n  "b": [\n    1,\n    2\n  ]\n}'],
  ["{}", "{}"],
  ['{"a":{},"b":[]}', '{\n  "a": {},\n  "b": []\n}'],
  ["12345678901234567890", "12345678901234567890"],
  ['{"n":12345678901234567890.10}', '{\n  "n": 12345678901234567890.10\n}'],
  ['{"s":"a, {b}: \\"c\\""}', '{\n  "s": "a, {b}: \\"c\\""\n}'],
  ["7,ann,http://x/", "7,ann,http://x/"],
])("pretty %s", (text, want) => {
  expect(pretty(text)).toBe(want);
});

test("pretty changes white space alone", () => {
  const json =
    '{"id":1,"user":{"name":"Zoë","tags":["a","b"]},"items":[{"n":2},{"n":-1.5e9}],"note":null,"ok":true}';
  expect(JSON.parse(pretty(json))).toEqual(JSON.parse(json));
  expect(pretty(json).replace(/\n */g, "").replaceAll('": ', '":')).toBe(json);
});

test("truncate does not cut a character in two", () => {
  expect(truncate("short", 10)).toBe("short");
  expect(truncate("aaaa👍bbbb", 5)).not.toMatch(/[\ud800-\udbff](?![\udc00-\udfff])/);
});

test("plural", () => {
  expect([plural(1, "row"), plural(2, "row"), plural(1200, "entry", "entries")]).toEqual([
    "1 row",
    "2 rows",
    "1,200 entries",
  ]);
});
