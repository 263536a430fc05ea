import { useEffect } from "preact/hooks";
import { visibleLine } from "../lib/text.ts";

/** The browser tab's title. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${visibleLine(title)} · streamhost`;
  }, [title]);
}
