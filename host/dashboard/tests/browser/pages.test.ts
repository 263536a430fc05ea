// Every page, wide and narrow, light and dark: nothing fails, nothing is cut off, axe finds nothing.

import { expect, test } from "vitest";
import { HOSTILE } from "../../mock/jobs.ts";
import { NARROW, WIDE } from "./chromium.ts";
import { axeFaults, job, opened, ready, useBrowser } from "./fixture.ts";

const browser = useBrowser();

const PAGES = [
  "#/",
  job("clicks"),
  job("purchases"),
  job("orders-enriched"),
  job("sensors"),
  job("sessions"),
  job("backfill-2024"),
  job(HOSTILE),
  job("purchases", "/batches?gather=1"),
  job("hashtags", "/watermarks"),
  job("purchases", "/stages"),
  job("hashtags", "/stages/tag-count"),
  job("clicks", "/versions"),
  job("purchases", "/shadow"),
  job("purchases", "/replay"),
  job(HOSTILE, "/replay"),
  job("clicks", "/replay"),
  job("clicks", "/dead-letters"),
  job("clicks", "/dead-letters?reason=nothing-holds-this"),
  job(HOSTILE, "/dead-letters"),
  job("clicks", "/logs?level=trace"),
  job("clicks", "/settings"),
  job("not-there"),
  "#/deploy",
  "#/host",
  "#/audit",
  "#/audit?job=nothing-has-this-name",
  "#/nowhere",
];

const FORMS = [
  { form: "wide light", size: WIDE, dark: false },
  { form: "wide dark", size: WIDE, dark: true },
  { form: "narrow light", size: NARROW, dark: false },
  { form: "narrow dark", size: NARROW, dark: true },
];

test.each(FORMS)("all pages, $form", { timeout: 240_000 }, async ({ size, dark }) => {
  await opened(browser(), { size, dark }, async ({ page, go }) => {
    for (const at of PAGES) {
      await go(at);
      await ready(page);
      const overflow = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
      expect(overflow, `${at} is wider than the screen`).toBeLessThanOrEqual(0);
      expect(await axeFaults(page), at).toEqual([]);
    }
  });
});

test("dialogs, with axe", { timeout: 120_000 }, async () => {
  for (const { size, dark } of FORMS) {
    await opened(browser(), { size, dark, at: job("sensors") }, async ({ page, go }) => {
      await ready(page);
      for (const name of ["Resume", "Roll back", "Undeploy"]) {
        await page.getByRole("button", { name }).first().click();
        await page.locator("dialog[open]").waitFor();
        expect(await axeFaults(page), name).toEqual([]);
        await page.keyboard.press("Escape");
        await page.locator("dialog[open]").waitFor({ state: "detached" });
      }
      await go(job("sensors", "/dead-letters"));
      await page.locator("button.reason").first().click();
      await page.locator(".letter-reason").waitFor();
      expect(await axeFaults(page), "letter").toEqual([]);
    });
  }
});

test("text can be enlarged and motion switched off", async () => {
  await opened(browser(), { size: { width: 640, height: 800 }, at: job("clicks") }, async ({ page }) => {
    await page.emulateMedia({ reducedMotion: "reduce" });
    await ready(page);
    const moving = await page.evaluate(
      () => document.getAnimations().filter((a) => a.playState === "running").length,
    );
    expect(moving).toBe(0);
  });
});
