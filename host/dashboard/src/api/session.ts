import { signal } from "@preact/signals";

const KEY = "streamhost-token";

function stored(): { token: string; kept: boolean } {
  try {
    const kept = localStorage.getItem(KEY);
    if (kept) return { token: kept, kept: true };
    return { token: sessionStorage.getItem(KEY) ?? "", kept: false };
  } catch {
    return { token: "", kept: false }; // storage is switched off: the token lives as long as the page
  }
}

/** The token that every call carries; empty where none was given. */
export const token = signal(stored().token);
/** The host refused a call for want of a token: its words. */
export const refused = signal<string | null>(null);

/** Keeps a token for this tab, or for this browser. */
export function signIn(value: string, keep: boolean): void {
  token.value = value;
  refused.value = null;
  try {
    (keep ? localStorage : sessionStorage).setItem(KEY, value);
    (keep ? sessionStorage : localStorage).removeItem(KEY);
  } catch {
    // kept in memory
  }
}

/** Forgets the token everywhere. */
export function signOut(words: string): void {
  refused.value = words; // before the token goes: without one nothing is asked again
  token.value = "";
  try {
    localStorage.removeItem(KEY);
    sessionStorage.removeItem(KEY);
  } catch {
    // there was none
  }
}

/** A sign-out in one tab is one in all. */
window.addEventListener("storage", (event) => {
  if (event.key === KEY && stored().token !== token.value) token.value = stored().token;
});
