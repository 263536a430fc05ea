import axe from "axe-core";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect } from "vitest";
import { type Mock, type MockOptions, serve } from "../../mock/server.ts";
import { World, type WorldOptions } from "../../mock/world.ts";
import { DIST, launch, type View, view } from "./chromium.ts";

/** One browser for a file of tests. */
export function useBrowser(): () => Browser {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launch();
  });
  afterAll(() => browser.close());
  return () => browser;
}

export interface Opened {
  page: Page;
  world: World;
  mock: Mock;
  /** Goes to a page of the dashboard, anew. */
  go(hash: string): Promise<void>;
}

export interface Setup extends View, MockOptions {
  world?: WorldOptions;
  at?: string;
}

/** A simulated host and a page that shows it. What goes wrong in the page fails the test. */
export async function opened(
  browser: Browser,
  setup: Setup,
  test: (opened: Opened) => Promise<void>,
): Promise<void> {
  const world = new World({ swapAfter: 0, ...setup.world });
  const mock = await serve(world, {
    dist: DIST,
    ...(setup.token ? { token: setup.token } : {}),
    ...(setup.role ? { role: setup.role } : {}),
  });
  mock.faults.delayMs = 20;
  const { page, faults, context } = await view(browser, setup);
  page.setDefaultTimeout(10_000);
  const go = async (hash: string) => {
    await page.goto("about:blank");
    await page.goto(`${mock.url}/${hash}`);
  };
  try {
    await go(setup.at ?? "#/");
    await test({ page, world, mock, go });
    expect(faults).toEqual([]);
  } finally {
    await context.close();
    await mock.close();
  }
}

export const job = (name: string, rest = "") => `#/jobs/${encodeURIComponent(name)}${rest}`;

/** Waits until the page has what it shows, and the stream is live. */
export async function ready(page: Page): Promise<void> {
  await page.locator(".connected.is-live").waitFor();
  await page.locator(".page h1").waitFor();
  await expect.poll(() => page.locator(".loading").count(), { timeout: 10_000 }).toBe(0);
}

/** What axe finds, in words. */
export async function axeFaults(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return page.evaluate(async () => {
    const run = (window as unknown as { axe: { run(options: object): Promise<{ violations: AxeFault[] }> } })
      .axe;
    interface AxeFault {
      id: string;
      help: string;
      nodes: { html: string; failureSummary?: string }[];
    }
    const { violations } = await run.run({
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    });
    return violations.map(
      (v) => `${v.id}: ${v.help}\n${v.nodes.map((n) => `${n.html}\n${n.failureSummary}`).join("\n")}`,
    );
  });
}
