import { expect, test } from "vitest";
import { job, opened, ready, useBrowser } from "./fixture.ts";

const browser = useBrowser();

async function signIn(page: import("playwright-core").Page, token: string) {
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
}

test("a token is wanted, a wrong one is told apart from none", async () => {
  await opened(browser(), { token: "secret" }, async ({ page }) => {
    await page.getByText("this daemon wants its token").waitFor();
    await signIn(page, "wrong");
    await page.getByText("this is not the daemon's token").waitFor();
    await signIn(page, "secret");
    await ready(page);
    expect(await page.locator(".job-row").count()).toBe(9);
  });
});

test("it works for the stream and for actions, and stays over a reload", async () => {
  await opened(browser(), { token: "secret", at: job("clicks") }, async ({ page, world }) => {
    await signIn(page, "secret");
    await ready(page);
    await page.reload();
    await ready(page);
    await page.getByRole("button", { name: "Pause" }).click();
    await page.locator("dialog").getByRole("button", { name: "Pause" }).click();
    await page.getByText("clicks is paused.").waitFor();
    expect(world.job("clicks").state).toBe("paused");
    expect(
      await page.evaluate(() => [
        sessionStorage.getItem("streamhost-token"),
        localStorage.getItem("streamhost-token"),
      ]),
    ).toEqual(["secret", null]);
    expect(page.url()).not.toContain("secret");
  });
});

test("it stays in the browser on demand, and signing out forgets it in all tabs", async () => {
  await opened(browser(), { token: "secret" }, async ({ page, mock }) => {
    await page.getByLabel("Stay signed in").check();
    await signIn(page, "secret");
    await ready(page);
    const other = await page.context().newPage();
    await other.goto(mock.url);
    await ready(other);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByText("You have signed out.").waitFor();
    expect(await page.evaluate(() => localStorage.length + sessionStorage.length)).toBeLessThanOrEqual(2); // theme, zone
    expect(await page.evaluate(() => localStorage.getItem("streamhost-token"))).toBe(null);
    await other.getByLabel("Token").waitFor();
    await other.close();
    await page.reload();
    await page.getByLabel("Token").waitFor();
  });
});

test("a token that is no longer right leads to the login", async () => {
  await opened(browser(), { token: "secret" }, async ({ page }) => {
    await page.evaluate(() => sessionStorage.setItem("streamhost-token", "of last year"));
    await page.reload();
    await page.getByText("this is not the daemon's token").waitFor();
  });
});

test("a host without a token has no login and no sign-out", async () => {
  await opened(browser(), {}, async ({ page }) => {
    await ready(page);
    expect(await page.getByRole("button", { name: "Sign out" }).count()).toBe(0);
  });
});
