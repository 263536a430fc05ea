// Keyboard, address bar, zone, colours.

import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { NARROW } from "./chromium.ts";
import { job, opened, ready, useBrowser } from "./fixture.ts";

const browser = useBrowser();

interface Focused {
  name: string;
  outline: boolean;
  inside: boolean;
}

/** What has the focus, and whether it can be seen. */
function focused(page: Page): Promise<Focused> {
  return page.evaluate(() => {
    const at = document.activeElement as HTMLElement;
    const ring = (element: Element | null) => {
      const style = element ? getComputedStyle(element) : null;
      return style !== null && style.outlineStyle !== "none" && Number.parseFloat(style.outlineWidth) >= 2;
    };
    const box = at.getBoundingClientRect();
    return {
      name: `${at.tagName.toLowerCase()} ${at.getAttribute("aria-label") ?? at.textContent?.trim().slice(0, 40) ?? ""}`,
      outline: ring(at) || ring(at.closest(".drop")),
      inside: box.width > 0 && box.height > 0 && box.right > 0 && box.left < innerWidth,
    };
  });
}

test.each(["#/", job("purchases"), job("clicks", "/batches"), job("clicks", "/dead-letters"), "#/deploy"])(
  "a walk by Tab over %s shows where it is",
  async (at) => {
    for (const size of [undefined, NARROW]) {
      await opened(browser(), { at, ...(size ? { size } : {}) }, async ({ page }) => {
        await ready(page);
        const seen = new Set<string>();
        for (let i = 0; i < 40; i += 1) {
          await page.keyboard.press("Tab");
          const now = await focused(page);
          if (now.name.startsWith("body")) break;
          seen.add(now.name);
          expect(now, `step ${i}`).toMatchObject({ outline: true, inside: true });
        }
        expect([...seen][0]).toBe("button Skip to content");
        expect(seen.size).toBeGreaterThan(8);
      });
    }
  },
);

test("the skip link leads to the content", async () => {
  await opened(browser(), {}, async ({ page }) => {
    await ready(page);
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("main");
    await page.keyboard.press("Tab");
    expect((await focused(page)).name).toContain("Deploy");
  });
});

test("a dialog keeps the focus, Escape closes it, and the focus goes back", async () => {
  await opened(browser(), { at: job("clicks") }, async ({ page }) => {
    await ready(page);
    await page.getByRole("button", { name: "Undeploy" }).focus();
    await page.keyboard.press("Enter");
    await page.locator("dialog[open]").waitFor();
    for (let i = 0; i < 6; i += 1) {
      await page.keyboard.press("Tab");
      const inside = await page.evaluate(
        () => document.activeElement === document.body || document.activeElement?.closest("dialog") !== null,
      );
      expect(inside).toBe(true);
    }
    await page.keyboard.press("Escape");
    await page.locator("dialog[open]").waitFor({ state: "detached" });
    expect((await focused(page)).name).toContain("Undeploy");
  });
});

test("a table is sorted by keyboard, and the order is in the address", async () => {
  await opened(browser(), {}, async ({ page }) => {
    await ready(page);
    await page.getByRole("button", { name: "Lag" }).focus();
    await page.keyboard.press("Enter");
    await expect.poll(() => page.url()).toContain("sort=-lag");
    const names = () => page.locator(".job-name").allInnerTexts();
    expect((await names())[0]).toBe("sensors");
    expect(await page.getByRole("columnheader", { name: "Lag" }).getAttribute("aria-sort")).toBe(
      "descending",
    );
    await page.keyboard.press("Enter");
    await expect.poll(async () => (await names()).at(-1)).toBe("wordcount"); // its lag is not known: last, both ways
  });
});

test("charts and batches are read by arrow keys", async () => {
  await opened(browser(), { at: job("clicks") }, async ({ page, go }) => {
    await ready(page);
    const chart = page.locator(".chart").first();
    await chart.getByRole("group").focus();
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("ArrowLeft");
    await expect.poll(() => chart.locator(".legend-time").innerText()).toMatch(/^at \d\d:\d\d:\d\d$/);
    await page.keyboard.press("Escape");
    await expect.poll(() => chart.locator(".legend-time").innerText()).toBe("now");
    await chart.getByRole("button", { name: "Throughput as a table" }).click();
    await chart.locator("tbody tr").first().waitFor();
    await go(job("clicks", "/batches"));
    await page.getByRole("slider", { name: "Batch" }).focus();
    await page.keyboard.press("Home");
    await expect.poll(() => page.url()).toContain("batch=");
    const first = await page.getByRole("slider", { name: "Batch" }).getAttribute("aria-valuenow");
    await page.keyboard.press("ArrowRight");
    await expect
      .poll(() => page.getByRole("slider", { name: "Batch" }).getAttribute("aria-valuenow"))
      .toBe(String(Number(first) + 1));
    await page.getByRole("button", { name: "Follow the newest" }).click();
    await expect.poll(() => page.url()).not.toContain("batch=");
  });
});

test("a stretch of a chart is dragged, kept in the address, and let go", async () => {
  await opened(browser(), { at: job("clicks") }, async ({ page }) => {
    await ready(page);
    const box = await page.locator(".chart .u-over").first().boundingBox();
    if (!box) throw new Error("no chart");
    await page.mouse.move(box.x + box.width * 0.3, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, box.y + 50, { steps: 5 });
    await page.mouse.up();
    await expect.poll(() => page.url()).toContain("from=");
    const url = page.url();
    await page.reload();
    await ready(page);
    expect(page.url()).toBe(url);
    await page.getByRole("button", { name: "Zoomed, reset" }).click();
    await expect.poll(() => page.url()).not.toContain("from=");
    await page.getByRole("button", { name: "5 min", exact: true }).click();
    await expect.poll(() => page.url()).toContain("range=5m");
  });
});

test("filters and the page are in the address, and the back button goes back", async () => {
  await opened(browser(), {}, async ({ page }) => {
    await ready(page);
    await page.getByRole("button", { name: /^stopped/ }).click();
    await page.getByLabel("Find a job").fill("readings");
    await expect.poll(() => page.locator(".job-row").count()).toBe(1);
    await page.reload();
    await ready(page);
    expect(await page.locator(".job-row").count()).toBe(1);
    await page.locator(".job-name").click();
    await ready(page);
    await page.getByRole("link", { name: "Logs" }).click();
    await page.getByLabel("Level").selectOption("error");
    await expect.poll(() => page.url()).toContain("level=error");
    await page.goBack();
    await page.goBack();
    await expect.poll(() => page.url()).toContain("find=readings");
    expect(await page.locator(".job-row").count()).toBe(1);
  });
});

test("times are in the reader's zone, which is named, or in UTC", async () => {
  for (const [zone, label] of [
    ["America/New_York", "America/New_York (UTC-0"],
    ["Pacific/Auckland", "Pacific/Auckland (UTC+1"],
    ["UTC", "UTC"],
  ] as const) {
    await opened(browser(), { zone, at: job("clicks", "/settings") }, async ({ page, world }) => {
      await ready(page);
      const button = page.getByRole("button", { name: /Times in/ });
      expect(await button.innerText()).toContain(label);
      const time = page.locator(".facts time").first();
      const local = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit" });
      expect(await time.innerText()).toMatch(new RegExp(`^${local.format(world.now()).slice(0, 3)}`));
      await button.click();
      const utc = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", hour: "2-digit", minute: "2-digit" });
      expect(await time.innerText()).toMatch(new RegExp(`${utc.format(world.now()).slice(0, 3)}`));
      expect(await time.getAttribute("title")).toMatch(/UTC$/);
      await page.reload();
      await ready(page);
      expect(await button.getAttribute("aria-pressed")).toBe("true");
    });
  }
});

test("ages are by the host's clock", async () => {
  const ahead = () => Date.now() + 3 * 3_600_000;
  await opened(browser(), { world: { now: ahead }, at: job("clicks") }, async ({ page, world }) => {
    await ready(page);
    world.deploy("clicks", {});
    await expect.poll(() => page.locator(".job-facts").innerText()).toMatch(/deployed (just now|\d s ago)/);
  });
});

test("colours follow the system, and a switch that stays", async () => {
  await opened(browser(), { dark: true }, async ({ page }) => {
    await ready(page);
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const dark = await background();
    await page.emulateMedia({ colorScheme: "light" });
    const light = await background();
    expect(light).not.toBe(dark);
    await page.getByRole("button", { name: /Colours/ }).click();
    expect(await page.getByRole("button", { name: "Colours: light" }).count()).toBe(1);
    await page.getByRole("button", { name: /Colours/ }).click();
    expect(await background()).toBe(dark);
    await page.reload();
    await ready(page);
    expect(await background()).toBe(dark);
    await page.getByRole("button", { name: "Colours: dark" }).click();
    expect(await background()).toBe(light);
  });
});
