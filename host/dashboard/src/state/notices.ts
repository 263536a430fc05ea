import { signal } from "@preact/signals";

export interface Notice {
  id: number;
  tone: "good" | "bad";
  text: string;
  details: string[];
}

const GOOD_MS = 12_000;
const NOTICES_MAX = 5;

export const notices = signal<Notice[]>([]);
let last = 0;

/** Says what became of an action. An error stays until it is dismissed. */
export function say(tone: Notice["tone"], text: string, details: string[] = []): void {
  last += 1;
  const id = last;
  notices.value = [...notices.value, { id, tone, text, details }].slice(-NOTICES_MAX);
  if (tone === "good" && details.length === 0) setTimeout(() => dismiss(id), GOOD_MS);
}

export function dismiss(id: number): void {
  notices.value = notices.value.filter((notice) => notice.id !== id);
}
