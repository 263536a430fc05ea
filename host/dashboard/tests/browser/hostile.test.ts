// Names, reasons, keys, values and log lines come from records that anyone may have written.

import { expect, test } from "vitest";
import { HOSTILE } from "../../mock/jobs.ts";
import { visible } from "../../src/lib/text.ts";
import { job, opened, ready, useBrowser } from "./fixture.ts";

const browser = useBrowser();

const SCRIPT = `<script>window.hacked=1</script><img src=x onerror="window.hacked=1">`;

test("nothing that the host says becomes code", { timeout: 120_000 }, async () => {
  await opened(browser(), {}, async ({ page, world, go }) => {
    world.job("clicks").log(world.now(), "ERROR", `${SCRIPT}\u001b[2J\u202e`);
    const tabs = [
      "",
      "/batches",
      "/watermarks",
      "/stages",
      "/versions",
      "/dead-letters",
      "/logs",
      "/settings",
    ];
    const pages = [
      "#/",
      ...tabs.map((tab) => job(HOSTILE, tab)),
      job("clicks", "/logs?level=error"),
      job("hashtags", "/stages/tag-count"),
    ];
    for (const at of pages) {
      await go(at);
      await ready(page);
      expect(await page.evaluate(() => "hacked" in window), at).toBe(false);
      expect(await page.locator("#app img, #app script, #app iframe").count(), at).toBe(0);
      // In texts, tooltips and names for readers: what is made visible stays as it is.
      const texts = await page.evaluate(() => {
        const named = [...document.querySelectorAll("#app [title], #app [aria-label]")];
        const names = named.flatMap((e) => [
          e.getAttribute("title") ?? "",
          e.getAttribute("aria-label") ?? "",
        ]);
        return [document.title, document.querySelector("#app")?.textContent ?? "", ...names];
      });
      for (const text of texts) expect(visible(text), at).toBe(text);
    }
    expect(await page.getByText("<script>alert(1)</script>").count()).toBeGreaterThan(0);
  });
});

test("a job is found and acted on by its whole name", async () => {
  await opened(browser(), {}, async ({ page, world }) => {
    await page.getByRole("link", { name: "window.hacked" }).first().click();
    await ready(page);
    expect(await page.title()).toContain("⟨U+202E⟩");
    await page.getByRole("button", { name: "Resume" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Resume" }).click();
    await page.locator(".notice-good").waitFor();
    expect(world.job(HOSTILE).state).toBe("running");
  });
});

test("a letter's content is shown and not obeyed", async () => {
  await opened(browser(), { at: job(HOSTILE, "/dead-letters") }, async ({ page, world }) => {
    const letters = world.letters.get(HOSTILE) ?? [];
    const [letter] = letters;
    if (letter) {
      letter.value = { text: SCRIPT, base64: null, bytes: 70, truncated: false };
      letter.headers.push({
        name: SCRIPT,
        value: { text: SCRIPT, base64: null, bytes: 70, truncated: false },
      });
    }
    await page.locator("button.reason").first().click();
    await page.locator(".value pre").first().waitFor();
    expect(await page.locator(".headers").innerText()).toContain(SCRIPT);
    expect(await page.evaluate(() => "hacked" in window)).toBe(false);
  });
});

test("a hostile link in the address bar does nothing", async () => {
  await opened(
    browser(),
    { at: `#/jobs/${encodeURIComponent(SCRIPT)}?find=${encodeURIComponent(SCRIPT)}` },
    async ({ page }) => {
      await page.getByText("This job is not deployed").waitFor();
      expect(await page.evaluate(() => "hacked" in window)).toBe(false);
    },
  );
});
