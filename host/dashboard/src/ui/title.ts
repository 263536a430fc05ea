import { useEffect } from "preact/hooks";
import { visibleLine } from "../lib/text.ts";
import { stale } from "../state/live.ts";

/** The browser tab's title; it says of trouble where other tabs are looked at. */
export function useTitle(title: string, trouble = false): void {
  const warned = trouble || stale.value;
  useEffect(() => {
    document.title = `${warned ? "⚠ " : ""}${visibleLine(title)} · streamhost`;
  }, [title, warned]);
}
