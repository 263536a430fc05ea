import type { LogLine } from "../api/types.ts";

export const LEVELS = ["error", "warn", "info", "debug", "trace"] as const;
export type Level = (typeof LEVELS)[number];

export interface Line {
  number: number;
  at: number | null;
  level: Level;
  text: string;
}

const SHAPE = /^(\d{4}-\d\d-\d\dT\S+) +(ERROR|WARN|INFO|DEBUG|TRACE) +(.*)$/s;

/** A line as the host writes it: time, level, text. Any other line is text at `info`. */
export function parseLine(line: LogLine): Line {
  const found = SHAPE.exec(line.line);
  const at = found?.[1] ? Date.parse(found[1]) : Number.NaN;
  if (!found || Number.isNaN(at)) return { number: line.number, at: null, level: "info", text: line.line };
  return {
    number: line.number,
    at,
    level: (found[2] ?? "INFO").toLowerCase() as Level,
    text: found[3] ?? "",
  };
}

export const LINES_MAX = 2000;

/** Appends lines by number; none twice, the newest `LINES_MAX` stay. */
export function append(lines: Line[], more: LogLine[]): Line[] {
  const last = lines.at(-1)?.number ?? 0;
  const fresh = more.filter((line) => line.number > last).map(parseLine);
  return fresh.length === 0 ? lines : [...lines, ...fresh].slice(-LINES_MAX);
}

/** Lines of a level or worse that hold the text. */
export function filterLines(lines: Line[], level: Level, text: string): Line[] {
  const wanted = text.toLowerCase();
  const rank = LEVELS.indexOf(level);
  return lines.filter(
    (line) =>
      LEVELS.indexOf(line.level) <= rank && (wanted === "" || line.text.toLowerCase().includes(wanted)),
  );
}
