import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

export const DIST = fileURLToPath(new URL("../../dist", import.meta.url));

/** Debian's browser; nothing is downloaded. */
const EXECUTABLE = process.env.CHROMIUM ?? "/usr/bin/chromium";

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: EXECUTABLE,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

export const WIDE = { width: 1280, height: 900 };
export const NARROW = { width: 390, height: 844 };

export interface View {
  size?: { width: number; height: number };
  dark?: boolean;
  zone?: string;
}

/** A page of its own, and all that went wrong in it. */
export async function view(
  browser: Browser,
  options: View = {},
): Promise<{ page: Page; faults: string[]; context: BrowserContext }> {
  const size = options.size ?? WIDE;
  const context = await browser.newContext({
    viewport: size,
    colorScheme: options.dark ? "dark" : "light",
    timezoneId: options.zone ?? "Europe/Berlin",
    hasTouch: size.width < 500,
    locale: "en-GB",
  });
  const page = await context.newPage();
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
      faults.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const { hostname } = new URL(request.url());
    if (hostname !== "127.0.0.1") faults.push(`request to ${request.url()}`);
  });
  return { page, faults, context };
}
