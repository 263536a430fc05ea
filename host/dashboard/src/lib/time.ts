// Times in the reader's zone, or in UTC; the zone is always named somewhere on the page.

export interface Zone {
  /** IANA name for the formatter. */
  id: string;
  /** What people read: `Europe/Berlin (UTC+01:00)`. */
  label: string;
  /** Where there is little room: `CET`. */
  short: string;
}

/** The browser's zone with its present offset, or UTC. */
export function zone(utc: boolean, at: Date): Zone {
  if (utc) return { id: "UTC", label: "UTC", short: "UTC" };
  const id = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  const offset = part(id, at, { timeZoneName: "longOffset" }, "timeZoneName").replace("GMT", "UTC") || "UTC";
  const short = part(id, at, { timeZoneName: "short" }, "timeZoneName");
  return { id, short, label: id === "UTC" || offset === "UTC" ? id : `${id} (${offset})` };
}

function part(id: string, at: Date, options: Intl.DateTimeFormatOptions, type: string): string {
  const parts = new Intl.DateTimeFormat("en-GB", { timeZone: id, ...options }).formatToParts(at);
  return parts.find((p) => p.type === type)?.value ?? "";
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(id: string, name: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${id} ${name}`;
  let made = formats.get(key);
  if (!made) {
    made = new Intl.DateTimeFormat("en-GB", { timeZone: id, hourCycle: "h23", ...options });
    formats.set(key, made);
  }
  return made;
}

const HMS = { hour: "2-digit", minute: "2-digit", second: "2-digit" } as const;

/** `14:03:07`. */
export function clock(ms: number, id: string): string {
  return format(id, "clock", HMS).format(ms);
}

/** `14:03:07.120`. */
export function clockMs(ms: number, id: string): string {
  return format(id, "ms", { ...HMS, fractionalSecondDigits: 3 }).format(ms);
}

/** `14:03`. */
export function minute(ms: number, id: string): string {
  return format(id, "minute", { hour: "2-digit", minute: "2-digit" }).format(ms);
}

/** `29 Nov 2026`. */
export function day(ms: number, id: string): string {
  return format(id, "day", { day: "numeric", month: "short", year: "numeric" }).format(ms);
}

/** The clock alone for today, else with the day; the year where it is another. */
export function moment(ms: number, now: number, id: string): string {
  const date = day(ms, id);
  const today = day(now, id);
  if (date === today) return clock(ms, id);
  const sameYear = date.slice(-4) === today.slice(-4);
  return `${sameYear ? date.slice(0, -5) : date}, ${clock(ms, id)}`;
}

/** All of it: `29 Nov 2026, 14:03:07.120 Europe/Berlin (UTC+01:00)`. */
export function full(ms: number, where: Zone): string {
  return `${day(ms, where.id)}, ${clockMs(ms, where.id)} ${where.label}`;
}

/** Milliseconds of an RFC 3339 time; null where there is none. */
export function parse(text: string | null | undefined): number | null {
  if (!text) return null;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}
