// What is embedded in the binary: small, whole, and in need of nothing from elsewhere.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const DIST = fileURLToPath(new URL("../../dist/", import.meta.url));
const BYTES_MAX = 250_000;
const read = (name: string) => readFileSync(DIST + name, "utf8");

test("the files are those that API.md names", () => {
  expect(readdirSync(DIST).sort()).toEqual(["app.css", "app.js", "icon.svg", "index.html", "licenses.md"]);
});

test("it is small", () => {
  const size = readdirSync(DIST).reduce((sum, name) => sum + statSync(DIST + name).size, 0);
  expect(size).toBeLessThan(BYTES_MAX);
});

test("nothing comes from elsewhere, and nothing is inline", () => {
  const page = read("index.html");
  expect(page).not.toMatch(/<style|style=|<script(?![^>]*\bsrc=)|\bon\w+=|https?:/);
  expect(read("app.css")).not.toMatch(/url\(|@import|https?:/);
  const addresses = new Set(read("app.js").match(/https?:\/\/[^\s"'`)]+/g));
  addresses.delete("http://www.w3.org/2000/svg");
  addresses.delete("http://www.w3.org/1999/xhtml");
  addresses.delete("http://www.w3.org/1998/Math/MathML");
  expect([...addresses]).toEqual([]);
});

test("no text becomes code", () => {
  const own = readdirSync(fileURLToPath(new URL("../../src/", import.meta.url)), { recursive: true }).map(
    String,
  );
  for (const name of own.filter((n) => /\.tsx?$/.test(n))) {
    const text = readFileSync(fileURLToPath(new URL(`../../src/${name}`, import.meta.url)), "utf8");
    expect(text, name).not.toMatch(
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/,
    );
  }
});

test("licences of all that is in it go with it", () => {
  for (const name of ["preact", "@preact/signals", "uplot", "eventsource-parser"]) {
    expect(read("licenses.md")).toContain(name);
  }
});

test("the lock file names no registry", () => {
  const lock = readFileSync(fileURLToPath(new URL("../../package-lock.json", import.meta.url)), "utf8");
  expect(lock).not.toMatch(/"resolved"/);
});
