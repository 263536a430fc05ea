import { expect, test } from "vitest";
import { HOSTILE } from "../../mock/jobs.ts";
import { href, parse } from "../../src/lib/url.ts";

test.each([
  ["", [], ""],
  ["#/", [], ""],
  ["#/jobs/clicks/logs?level=warn&find=a%26b", ["jobs", "clicks", "logs"], "level=warn&find=a%26b"],
  ["#/jobs/a%2Fb", ["jobs", "a/b"], ""],
  ["#/jobs/100%", ["jobs", "100%"], ""],
  ["#/x?a=1?b=2", ["x"], "a=1%3Fb%3D2"],
])("%s", (hash, path, query) => {
  const found = parse(hash);
  expect(found.path).toEqual(path);
  expect(found.query.toString()).toBe(query);
});

test("a page's address leads back to it", () => {
  const path = ["jobs", HOSTILE, "dead-letters"];
  const made = href(path, { reason: "a&b=c #?", stage: "", letter: null });
  const found = parse(made);
  expect(found.path).toEqual(path);
  expect([...found.query]).toEqual([["reason", "a&b=c #?"]]);
});
