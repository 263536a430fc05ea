// Pictures of every page, to be looked at: `npm run shots -- DIR [NAME…]`.

import { mkdirSync } from "node:fs";
import type { Page } from "playwright-core";
import { HOSTILE } from "../../mock/jobs.ts";
import { serve } from "../../mock/server.ts";
import { World } from "../../mock/world.ts";
import { DIST, launch, NARROW, view, WIDE } from "./chromium.ts";

interface Shot {
  name: string;
  at: string;
  act?(page: Page): Promise<void>;
}

const job = (name: string, rest = "") => `#/jobs/${encodeURIComponent(name)}${rest}`;
const press = (name: string) => async (page: Page) => page.getByRole("button", { name }).first().click();

const SHOTS: Shot[] = [
  { name: "jobs", at: "#/" },
  { name: "jobs-filtered", at: "#/?find=orders&sort=-lag" },
  { name: "clicks", at: job("clicks") },
  { name: "clicks-5m", at: job("clicks", "?range=5m") },
  { name: "hashtags", at: job("hashtags") },
  { name: "purchases", at: job("purchases") },
  { name: "retrying", at: job("orders-enriched") },
  { name: "stopped", at: job("sensors") },
  { name: "paused", at: job("sessions") },
  { name: "finished", at: job("backfill-2024") },
  { name: "hostile", at: job(HOSTILE) },
  { name: "batches", at: job("purchases", "/batches") },
  { name: "batches-gather", at: job("clicks", "/batches?gather=1") },
  { name: "watermarks", at: job("hashtags", "/watermarks") },
  { name: "stages", at: job("purchases", "/stages") },
  { name: "state", at: job("hashtags", "/stages/tag-count") },
  { name: "versions", at: job("clicks", "/versions") },
  { name: "dead-letters", at: job("clicks", "/dead-letters") },
  {
    name: "letter",
    at: job("clicks", "/dead-letters"),
    act: async (page) => page.locator("button.reason").nth(2).click(),
  },
  { name: "letters-none", at: job("sessions", "/dead-letters") },
  { name: "logs", at: job("clicks", "/logs?level=debug") },
  { name: "settings", at: job("clicks", "/settings") },
  { name: "undeploy", at: job("purchases"), act: press("Undeploy") },
  { name: "resume-stopped", at: job("sensors"), act: press("Resume") },
  { name: "host", at: "#/host" },
  { name: "audit", at: "#/audit" },
  { name: "shadow", at: job("purchases", "/shadow") },
  { name: "replay", at: job("purchases", "/replay") },
  { name: "replay-runs", at: job(HOSTILE, "/replay") },
  { name: "replay-none", at: job("clicks", "/replay") },
  { name: "shadow-none", at: job("clicks", "/shadow") },
  { name: "deploy", at: "#/deploy" },
  { name: "deploy-checked", at: "#/deploy", act: choose("job=purchases") },
  { name: "deploy-refused", at: "#/deploy", act: choose("job=hashtags wasi schema") },
  { name: "deploy-not-wasm", at: "#/deploy", act: choose("", "hello") },
  { name: "gone", at: job("no-such-job") },
];

export function choose(text: string, magic = "\0asm") {
  return async (page: Page) => {
    const buffer = Buffer.from(`${magic}${text}${" ".repeat(180_000)}`, "latin1");
    await page.setInputFiles("input[type=file]", {
      name: "clicks.wasm",
      mimeType: "application/wasm",
      buffer,
    });
    await page.locator(".verdict, .note-bad").first().waitFor();
  };
}

/** Takes them in four ways: wide and narrow, light and dark. */
export async function main([folder, ...names]: string[]): Promise<void> {
  if (!folder) throw new Error("npm run shots -- DIR [NAME…]");
  mkdirSync(folder, { recursive: true });
  const mock = await serve(new World({ swapAfter: 2 }), { dist: DIST });
  const locked = await serve(new World(), { dist: DIST, token: "secret" });
  const browser = await launch();
  const wanted = SHOTS.filter((shot) => names.length === 0 || names.some((n) => shot.name === n));
  for (const [form, size] of [
    ["wide", WIDE],
    ["narrow", NARROW],
  ] as const) {
    for (const dark of [false, true]) {
      const { page, faults, context } = await view(browser, { size, dark });
      const file = (name: string) => `${folder}/${name}-${form}-${dark ? "dark" : "light"}.png`;
      for (const shot of wanted) {
        await page.goto(`${mock.url}/${shot.at}`);
        await page.reload();
        await page.locator(".panel, .empty, .drop").first().waitFor();
        await page.waitForTimeout(shot.at.includes("/jobs/") ? 1600 : 900);
        await shot.act?.(page);
        await page.waitForTimeout(250);
        const dialog = await page.locator("dialog[open]").count();
        await page.screenshot({ path: file(shot.name), fullPage: dialog === 0 });
      }
      if (names.length === 0 || names.includes("login")) {
        await page.goto(`${locked.url}/`);
        await page.getByLabel("Token").fill("wrong");
        await page.getByRole("button", { name: "Sign in" }).click();
        await page.locator(".note-bad").waitFor();
        await page.screenshot({ path: file("login") });
      }
      if (names.length === 0 || names.includes("lost")) {
        await lost(page, file);
      }
      if (faults.length > 0) console.log(form, dark, faults);
      await context.close();
    }
  }
  await browser.close();
  await mock.close();
  await locked.close();
}

async function lost(page: Page, file: (name: string) => string) {
  const dying = await serve(new World(), { dist: DIST });
  await page.goto(`${dying.url}/`);
  await page.locator(".job-row").first().waitFor();
  await dying.close();
  await page.locator(".lost").waitFor();
  await page.waitForTimeout(2500);
  await page.screenshot({ path: file("lost"), fullPage: true });
}
