// The page's state is in the fragment of its URL, `#/jobs/clicks/logs?level=warn`: it can be shared and
// goes back and forth, and the host serves one file.

import { computed, signal } from "@preact/signals";
import { href, parse } from "../lib/url.ts";

export { href };

export const route = signal(parse(location.hash));
/** Changes with the page, not with its filters. */
export const page = computed(() => route.value.path.join("/"));

window.addEventListener("hashchange", () => {
  route.value = parse(location.hash);
});

export function go(target: string): void {
  location.hash = target;
}

/** One value of the page's state. */
export function param(name: string): string {
  return route.value.query.get(name) ?? "";
}

/** Changes values of the page's state; each step of a slider or key press is no entry of the history. */
export function setParams(changes: Record<string, string | null>, remember = false): void {
  const { path, query } = parse(location.hash);
  const values: Record<string, string | null> = { ...Object.fromEntries(query), ...changes };
  const target = href(path, values);
  if (target === location.hash) return;
  if (remember) go(target);
  else {
    history.replaceState(null, "", target);
    route.value = parse(target);
  }
}
