// Every action says its result, or its error in the host's words.

import { expect, test } from "vitest";
import { HOSTILE } from "../../mock/jobs.ts";
import { job, opened, ready, useBrowser } from "./fixture.ts";
import { choose } from "./shots.ts";

const browser = useBrowser();

test("pause and resume", async () => {
  await opened(browser(), { at: job("clicks") }, async ({ page, world }) => {
    await page.getByRole("button", { name: "Pause" }).click();
    await page.locator("dialog").getByRole("button", { name: "Pause" }).click();
    await page.getByText("clicks is paused.").waitFor();
    expect(world.job("clicks").state).toBe("paused");
    await page.locator(".job-facts .tone-paused").waitFor();
    await page.getByRole("button", { name: "Resume" }).click();
    await page.locator("dialog").getByRole("button", { name: "Resume" }).click();
    await page.locator(".job-facts .tone-running").waitFor();
  });
});

test("a resume that does not help says so", async () => {
  await opened(browser(), { at: job("sensors") }, async ({ page }) => {
    await page.getByRole("button", { name: "Resume" }).click();
    await page.getByLabel("Skip records that are gone").check();
    await page.locator("dialog").getByRole("button", { name: "Resume" }).click();
    await page.locator(".notice-bad").getByText("sensors is stopped: Version 5 broke").waitFor();
  });
});

test("a refusal stays in the dialog, in the host's words", async () => {
  await opened(browser(), { at: job("backfill-2024") }, async ({ page, world }) => {
    await page.getByRole("button", { name: "Roll back" }).click();
    await page.locator("dialog").getByRole("button", { name: "Roll back" }).click();
    await page.locator("dialog").getByText("there is no version before 1").waitFor();
    await page.locator("dialog").getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("button", { name: "Resume" }).click();
    await page.locator("dialog").getByRole("button", { name: "Resume" }).click();
    await page.locator("dialog").getByText("has given out its last windows").waitFor();
    expect(world.job("backfill-2024").state).toBe("finished");
  });
});

test("roll back to a version of the list", async () => {
  await opened(browser(), { at: job("clicks", "/versions") }, async ({ page, world }) => {
    await page.getByRole("button", { name: /^Roll back to this.*version 4$/ }).click();
    await page.locator("dialog").getByText("Version 4 takes over").waitFor();
    await page.locator("dialog").getByRole("button", { name: "Roll back" }).click();
    await page.getByText("clicks has version 4 active").waitFor();
    expect(world.job("clicks").active.version).toBe(4);
    await page.locator(".deployment.active").getByText("rolled back by a user").waitFor();
  });
});

test("a shadow is dropped, a replay is stopped", async () => {
  await opened(browser(), { at: job("purchases", "/shadow") }, async ({ page }) => {
    await page.getByRole("button", { name: "Drop" }).click();
    await page.locator("dialog").getByRole("button", { name: "Drop" }).click();
    await page.getByText("This job has no shadow").waitFor();
  });
  await opened(browser(), { at: job(HOSTILE, "/replay") }, async ({ page }) => {
    await page.getByText("46 %.").waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await page.locator("dialog").getByRole("button", { name: "Stop" }).click();
    await page.getByText("The replay was stopped.").waitFor();
  });
});

test("undeploy says what goes, and wants the name", async () => {
  await opened(browser(), { at: job("purchases") }, async ({ page, world }) => {
    await ready(page);
    await page.getByRole("button", { name: "Undeploy" }).click();
    const dialog = page.locator("dialog");
    await dialog.getByText("the state of 3 keyed stages").waitFor();
    await dialog.getByText("its position in 20 partitions").waitFor();
    await dialog.getByText("the rows in hbase shop:purchases").waitFor();
    await dialog.getByText("streamhost.purchases").waitFor();
    const button = dialog.getByRole("button", { name: "Undeploy" });
    expect(await button.isDisabled()).toBe(true);
    await dialog.getByLabel("to confirm").fill("purchase");
    expect(await button.isDisabled()).toBe(true);
    await dialog.getByLabel("to confirm").fill("purchases");
    await button.click();
    await page.getByText("purchases is undeployed.").waitFor();
    await page.locator(".job-row").first().waitFor();
    expect(world.jobs.has("purchases")).toBe(false);
    expect(await page.getByRole("link", { name: "purchases" }).count()).toBe(0);
  });
});

test("an action against a host that is gone says so and changes nothing", async () => {
  await opened(browser(), { at: job("clicks") }, async ({ page, mock }) => {
    await ready(page);
    await page.getByRole("button", { name: "Pause" }).click();
    await mock.close();
    await page.locator("dialog").getByRole("button", { name: "Pause" }).click();
    await page.locator("dialog").getByText("The host does not answer").waitFor();
  });
});

test("dead letters: mark, retry, and what became of each", async () => {
  await opened(browser(), { at: job("clicks", "/dead-letters") }, async ({ page, world }) => {
    await ready(page);
    const boxes = page.locator("table.letters tbody input");
    for (const i of [0, 1, 2]) await boxes.nth(i).check();
    await page.getByText("3 letters marked").waitFor();
    await page.getByRole("button", { name: "Retry" }).click();
    await page.locator("dialog").getByRole("button", { name: "Retry" }).click();
    await page.getByText("3 dead letters retried: 2 rows delivered, 1 refused again.").waitFor();
    await page.locator("tr", { hasText: "retried, delivered" }).first().waitFor();
    const retried = world.letters.get("clicks")?.filter((letter) => letter.status === "retried");
    expect(retried?.length).toBeGreaterThanOrEqual(3);
  });
});

test("dead letters: a second retry is warned about, a drop is final", async () => {
  await opened(browser(), { at: job("clicks", "/dead-letters?status=retried") }, async ({ page, world }) => {
    await page.locator("button.reason").first().click();
    const id = await page.locator("dialog h2").first().innerText();
    await page.getByRole("button", { name: "Retry again" }).click();
    await page.getByText("1 letter was retried before: rows may be written twice.").waitFor();
    await page.locator("dialog").last().getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("button", { name: "Drop" }).last().click();
    await page.locator("dialog").last().getByRole("button", { name: "Drop" }).click();
    await page.getByText("1 dead letter dropped.").waitFor();
    const letter = world.letters.get("clicks")?.find((l) => id.endsWith(l.id));
    expect(letter?.status).toBe("dropped");
  });
});

test("dead letters: filters are in the address", async () => {
  await opened(browser(), { at: job("clicks", "/dead-letters") }, async ({ page }) => {
    await ready(page);
    await page.getByLabel("Reason holds").fill("quantity");
    await expect.poll(() => page.url()).toContain("reason=quantity");
    await expect
      .poll(async () => new Set(await page.locator("button.reason").allInnerTexts()))
      .toEqual(new Set(["no quantity"]));
    await page.getByRole("button", { name: "Older" }).click();
    await expect.poll(() => page.url()).toContain("before=");
    await page.reload();
    await page.locator("button.reason").first().waitFor();
    expect(await page.getByLabel("Reason holds").inputValue()).toBe("quantity");
    await page.goBack();
    await expect.poll(() => page.url()).not.toContain("before=");
  });
});

test("a component: dropped, checked, deployed", async () => {
  await opened(browser(), { at: "#/deploy" }, async ({ page, world }) => {
    await ready(page);
    await page.getByText("Options").click();
    await page.getByLabel("Settings, KEY=VALUE").fill("every=2s\n\nsource.clicks=clicks-test");
    await choose("job=clicks")(page);
    await page.getByText("clicks can be deployed").waitFor();
    await page.getByText("What changes against version 7").waitFor();
    await page.getByText("added column clickinfo:referrer").waitFor();
    expect(world.job("clicks").active.version).toBe(7);
    await page.locator(".verdict").getByRole("button", { name: "Deploy" }).click();
    await page.getByText("clicks has version 8 active").waitFor();
    await page.getByText("is ignored: the job goes on where it is.").waitFor();
    expect(world.job("clicks").active.settings).toEqual({ every: "2s", "source.clicks": "clicks-test" });
    await expect.poll(() => page.url()).toContain("#/jobs/clicks");
  });
});

test("a component that is refused cannot be deployed, and all reasons are said", async () => {
  await opened(browser(), { at: "#/deploy" }, async ({ page, world }) => {
    await choose("job=hashtags wasi schema")(page);
    await page.getByText("hashtags cannot be deployed like this").waitFor();
    await page.getByText("a guest has no sockets").waitFor();
    await page.getByText("keeps values of another shape").waitFor();
    expect(await page.locator(".verdict").getByRole("button", { name: "Deploy" }).isDisabled()).toBe(true);
    expect(world.job("hashtags").active.version).toBe(3);
  });
});

test("what a check said holds for its own settings alone", async () => {
  await opened(browser(), { at: "#/deploy" }, async ({ page }) => {
    await choose("job=new-one")(page);
    await page.getByText("new-one cannot be deployed like this").waitFor();
    await page.getByText("Options").click();
    await page.getByLabel("Create tables").check();
    expect(await page.locator(".verdict").count()).toBe(0);
    await page.getByRole("button", { name: "Check with these settings" }).click();
    await page.getByText("new-one can be deployed").waitFor();
    await page.getByLabel("Reset state").check();
    await page.getByRole("button", { name: "Check with these settings" }).click();
    await page.locator(".verdict").getByRole("button", { name: "Deploy" }).click();
    await page.getByText("Deploy and reset the state?").waitFor();
    expect(await page.getByRole("button", { name: "Deploy and reset" }).isDisabled()).toBe(true);
  });
});

test("a file that is no component is refused in the host's words", async () => {
  await opened(browser(), { at: "#/deploy" }, async ({ page }) => {
    await choose("", "hello")(page);
    await page.getByText("this is no WebAssembly component").waitFor();
  });
});

test("a dropped file is taken", async () => {
  await opened(browser(), { at: "#/deploy" }, async ({ page }) => {
    await page.locator(".drop").waitFor();
    const data = await page.evaluateHandle(() => {
      const transfer = new DataTransfer();
      transfer.items.add(new File(["\0asm job=clicks"], "dropped.wasm"));
      return transfer;
    });
    await page.dispatchEvent(".drop", "drop", { dataTransfer: data });
    await page.getByText("clicks can be deployed").waitFor();
    await page.getByText("dropped.wasm").waitFor();
  });
});

test("state is read by prefix, a page at a time", async () => {
  await opened(browser(), { at: job("hashtags", "/stages") }, async ({ page }) => {
    await page.getByRole("link", { name: "Read state" }).first().click();
    await page.getByRole("button", { name: /^Next/ }).click();
    await page.getByRole("button", { name: "First page" }).waitFor();
    await page.getByLabel("Key, or how it begins").fill("rust");
    await page.getByRole("button", { name: "Read", exact: true }).click();
    await expect.poll(() => page.url()).toContain("prefix=rust");
    await expect
      .poll(async () =>
        (await page.locator("tbody tr").allInnerTexts()).every((row) => row.startsWith("rust")),
      )
      .toBe(true);
    await page
      .getByRole("button", { name: /Open entry rust/ })
      .first()
      .click();
    await page.locator("dialog .value pre").first().waitFor();
  });
});
