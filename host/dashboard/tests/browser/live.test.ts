// What changes on the host is seen, and a host that is gone is seen at once.

import { expect, test } from "vitest";
import { serve } from "../../mock/server.ts";
import { DIST } from "./chromium.ts";
import { job, opened, ready, useBrowser } from "./fixture.ts";

const browser = useBrowser();

test("a dead daemon is seen at once, and its return as well", async () => {
  await opened(browser(), {}, async ({ page, mock, world }) => {
    await ready(page);
    expect(await page.locator(".job-row .tone-running").count()).toBe(4);
    const port = Number(new URL(mock.url).port);
    const died = Date.now();
    await mock.close();
    await page.locator(".lost").waitFor();
    expect(Date.now() - died).toBeLessThan(1500);
    expect(await page.locator(".job-row .tone-running").count()).toBe(0);
    expect(await page.locator(".job-row .row-running").count()).toBe(0);
    expect(await page.locator(".job-row").first().innerText()).toContain("unknown");
    const again = await serve(world, { dist: DIST }, port);
    try {
      await page.locator(".connected.is-live").waitFor();
      expect(await page.locator(".lost").count()).toBe(0);
      expect(await page.locator(".job-row .tone-running").count()).toBe(4);
    } finally {
      await again.close();
    }
    await page.locator(".lost").waitFor();
  });
});

test("a host that hangs is seen after some silence", async () => {
  await opened(browser(), { at: job("clicks") }, async ({ page, mock }) => {
    await ready(page);
    mock.faults.frozen = true;
    await page.locator(".lost").waitFor({ timeout: 8000 });
    expect(await page.locator(".lost").innerText()).toContain("said nothing");
    expect(await page.locator(".job-facts").innerText()).toContain("unknown");
    expect(await page.getByRole("button", { name: "Pause" }).isDisabled()).toBe(true);
    mock.faults.frozen = false;
    await page.locator(".connected.is-live").waitFor();
    expect(await page.getByRole("button", { name: "Pause" }).isEnabled()).toBe(true);
  });
});

test("rates move, and a swap is seen while it happens", async () => {
  await opened(browser(), { at: job("clicks") }, async ({ page, world }) => {
    await ready(page);
    const value = () => page.locator(".figure-value").first().innerText();
    const before = await value();
    await expect.poll(value, { timeout: 5000 }).not.toBe(before);
    expect(Number((await value()).replace(/\D/g, ""))).toBeGreaterThan(10_000);
    await page.getByRole("link", { name: "version 7", exact: true }).waitFor();
    world.deploy("clicks", {});
    await page.getByRole("link", { name: "version 8", exact: true }).waitFor();
  });
});

test("a job that stops says why, and an old reason goes", async () => {
  await opened(browser(), { at: job("clicks") }, async ({ page, world }) => {
    await ready(page);
    world.job("clicks").set("stopped", "a broker said no", world.now());
    await page.getByText("The job stopped.").waitFor();
    await page.getByText("a broker said no").waitFor();
    world.job("clicks").set("running", null, world.now());
    await page.locator(".job-facts .tone-running").waitFor();
    expect(await page.getByText("a broker said no").count()).toBe(0);
  });
});

test("a job that is undeployed elsewhere is not shown as if it were there", async () => {
  await opened(browser(), { at: job("wordcount") }, async ({ page, world }) => {
    await ready(page);
    world.undeploy("wordcount");
    await page.getByText("This job is not deployed").waitFor();
    await page.getByText("there is no job").waitFor();
    expect(await page.getByRole("button", { name: "Pause" }).count()).toBe(0);
  });
});

test("batches and log lines come by themselves", async () => {
  await opened(browser(), { at: job("clicks", "/batches") }, async ({ page, world, go }) => {
    await ready(page);
    const newest = () => page.locator("table.data tbody tr").first().innerText();
    const before = await newest();
    await expect.poll(newest, { timeout: 5000 }).not.toBe(before);
    await go(job("clicks", "/logs"));
    await ready(page);
    world.job("clicks").log(world.now(), "INFO", "a line of this test");
    await page.getByText("a line of this test").waitFor();
  });
});

test("a part that the host cannot give is said, the others are shown", async () => {
  await opened(browser(), {}, async ({ page, mock, go }) => {
    mock.faults.broken.set(
      "/v1/jobs/clicks/series",
      "the series are being written anew: try again in a moment",
    );
    await go(job("clicks"));
    await page.getByText("the series are being written anew").waitFor();
    await page.locator(".node").first().waitFor();
    mock.faults.broken.clear();
    await page.getByRole("button", { name: "Ask again" }).click();
    await page.locator(".chart").first().waitFor();
  });
});

test("no page waits for ever", async () => {
  await opened(browser(), {}, async ({ page, mock, go }) => {
    mock.faults.broken.set("/v1/host", "the host is busy with other requests: try again in a moment");
    await go("#/host");
    await page.getByText("busy with other requests").waitFor();
    mock.faults.broken.clear();
    await page.getByRole("heading", { name: "stream-1" }).waitFor();
  });
});

test("a page in the background closes its stream and comes back", async () => {
  await opened(browser(), {}, async ({ page, mock }) => {
    await page.clock.install();
    await page.reload();
    await ready(page);
    const hide = (hidden: boolean) =>
      page.evaluate((value) => {
        Object.defineProperty(document, "hidden", { value, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
      }, hidden);
    await expect.poll(() => mock.faults.streams).toBe(1);
    await hide(true);
    await page.clock.runFor(31_000);
    await expect.poll(() => mock.faults.streams).toBe(0);
    await hide(false);
    await expect.poll(() => mock.faults.streams).toBe(1);
    await page.locator(".connected.is-live").waitFor();
  });
});

test("a page has one stream, whatever it shows", async () => {
  await opened(browser(), {}, async ({ page, mock }) => {
    await ready(page);
    await page.getByRole("link", { name: "clicks", exact: true }).click();
    for (const tab of ["Batches", "Watermarks", "Logs", "Overview"]) {
      await page.getByRole("link", { name: tab, exact: true }).click();
      await ready(page);
    }
    await expect.poll(() => mock.faults.streams).toBe(1);
  });
});

test("to try again now is to try at once", async () => {
  await opened(browser(), {}, async ({ page, mock, world }) => {
    await ready(page);
    const port = Number(new URL(mock.url).port);
    await page.clock.install();
    await mock.close();
    await page.locator(".lost").waitFor();
    const again = await serve(world, { dist: DIST }, port);
    await page.getByRole("button", { name: "Try now" }).click();
    await page.locator(".connected.is-live").waitFor();
    await again.close();
  });
});

test("a batch that is in one step for long is told, with the step", async () => {
  await opened(browser(), { at: job("purchases") }, async ({ page }) => {
    await ready(page);
    await page.getByText(/has been in its step deliver for/).waitFor();
  });
});
