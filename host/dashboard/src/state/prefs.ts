import { computed, effect, signal } from "@preact/signals";
import { type Zone, zone } from "../lib/time.ts";

export type Theme = "auto" | "light" | "dark";

function load(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function save(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // it holds until the page is left
  }
}

const storedTheme = load("streamhost-theme");
export const theme = signal<Theme>(storedTheme === "light" || storedTheme === "dark" ? storedTheme : "auto");
export const utc = signal(load("streamhost-zone") === "utc");

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const systemDark = signal(prefersDark.matches);
prefersDark.addEventListener("change", (event) => {
  systemDark.value = event.matches;
});

/** What is on the screen: charts are painted anew when it changes. */
export const dark = computed(() => theme.value === "dark" || (theme.value === "auto" && systemDark.value));

export const where = computed<Zone>(() => zone(utc.value, new Date()));

effect(() => {
  document.documentElement.dataset.theme = theme.value;
  save("streamhost-theme", theme.value);
});
effect(() => save("streamhost-zone", utc.value ? "utc" : "local"));
