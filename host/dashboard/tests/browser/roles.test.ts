import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { axeFaults, job, opened, ready, useBrowser } from "./fixture.ts";

const browser = useBrowser();

async function signIn(page: Page) {
  await page.getByLabel("Token").fill("secret");
  await page.getByRole("button", { name: "Sign in" }).click();
  await ready(page);
}

const off = (page: Page, name: string) => page.getByRole("button", { name, exact: true }).isDisabled();

test("who may only look sees buttons that are off, with the reason, and no way to deploy", async () => {
  await opened(browser(), { token: "secret", role: "read", at: job("clicks") }, async ({ page, go }) => {
    await signIn(page);
    await page.getByText("The token night-shift has the role read, and this needs operate.").waitFor();
    for (const name of ["Pause", "Roll back", "Undeploy"]) expect(await off(page, name), name).toBe(true);
    expect(await page.getByRole("link", { name: "Deploy" }).count()).toBe(0);
    expect(await axeFaults(page)).toEqual([]);
    await go(job("clicks", "/dead-letters"));
    await ready(page);
    await page.locator(".mark-bar-row").getByText("this needs operate").waitFor();
    await go("#/deploy");
    await page.getByText("has the role read, and this needs deploy").waitFor();
  });
});

test("who operates may pause, and may not undeploy", async () => {
  await opened(
    browser(),
    { token: "secret", role: "operate", at: job("clicks") },
    async ({ page, world }) => {
      await signIn(page);
      await page.getByText("has the role operate, and this needs deploy").waitFor();
      expect(await off(page, "Undeploy")).toBe(true);
      await page.getByRole("button", { name: "Pause" }).click();
      await page.locator("dialog").getByRole("button", { name: "Pause" }).click();
      await page.getByText("clicks is paused.").waitFor();
      expect(world.job("clicks").state).toBe("paused");
    },
  );
});

test("who deploys, and who needs no token, may do all of it", async () => {
  await opened(browser(), { token: "secret", role: "deploy", at: job("clicks") }, async ({ page }) => {
    await signIn(page);
    for (const name of ["Pause", "Roll back", "Undeploy"]) expect(await off(page, name), name).toBe(false);
    expect(await page.locator(".role-note").count()).toBe(0);
  });
  await opened(browser(), { at: job("clicks") }, async ({ page }) => {
    await ready(page);
    expect(await off(page, "Undeploy")).toBe(false);
    expect(await page.getByRole("link", { name: "Deploy" }).count()).toBeGreaterThan(0);
  });
});
