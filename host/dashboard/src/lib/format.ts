// Numbers, sizes, durations as people read them. `null` is a dash: not known.

export const UNKNOWN = "–";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const threeDigits = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

const LARGE: [number, string][] = [
  [1e12, "tn"],
  [1e9, "bn"],
  [1e6, "M"],
  [1e3, "k"],
];

function shorten(value: number, gap: string): string {
  const found = LARGE.find(([size]) => Math.abs(value) >= size);
  return found ? `${threeDigits.format(value / found[0])}${gap}${found[1]}` : threeDigits.format(value);
}

type Maybe = number | null | undefined;

/** All digits: 20,013. */
export function count(value: Maybe): string {
  return value == null ? UNKNOWN : whole.format(value);
}

/** At most seven characters: 20,013, then 1.24 M and 1.24 bn. */
export function compact(value: Maybe): string {
  if (value == null) return UNKNOWN;
  return Math.abs(value) < 1e6 ? whole.format(value) : shorten(value, "\u202f");
}

/** A rate without its unit; slow ones keep a digit: 0.3. */
export function rate(value: Maybe): string {
  if (value == null) return UNKNOWN;
  return value !== 0 && Math.abs(value) < 10 ? oneDigit.format(value) : compact(value);
}

/** Short enough for an axis. */
export function axis(value: number): string {
  return shorten(value, "");
}

const SIZES = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytes(value: Maybe): string {
  if (value == null) return UNKNOWN;
  let unit = 0;
  let size = value;
  while (Math.abs(size) >= 1024 && unit < SIZES.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit > 0 && Math.abs(size) < 10 ? oneDigit.format(size) : whole.format(size)} ${SIZES[unit]}`;
}

export function percent(share: Maybe): string {
  return share == null ? UNKNOWN : `${whole.format(share * 100)} %`;
}

/** Two units at most: 812 ms, 1.2 s, 3 min 12 s, 2 h 5 min, 3 d 4 h. */
export function duration(ms: Maybe): string {
  if (ms == null) return UNKNOWN;
  if (ms < 0) return `−${duration(-ms)}`;
  if (ms < 1) return ms === 0 ? "0 ms" : "<1 ms";
  if (ms < 1000) return `${whole.format(ms)} ms`;
  if (ms < 10_000) return `${oneDigit.format(ms / 1000)} s`;
  const units: [string, number][] = [
    ["d", 86_400],
    ["h", 3600],
    ["min", 60],
    ["s", 1],
  ];
  const seconds = Math.round(ms / 1000);
  const first = units.findIndex(([, size]) => seconds >= size);
  const [name, size] = units[first] ?? ["s", 1];
  const next = units[first + 1];
  const rest = next ? Math.floor((seconds % size) / next[1]) : 0;
  const head = `${Math.floor(seconds / size)} ${name}`;
  return next && rest > 0 ? `${head} ${rest} ${next[0]}` : head;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** For how long, no finer than it matters: 45 s, 4 min 15 s, 22 min, 2 h 7 min, 23 h, 2 d 10 h, 12 d. */
export function rough(ms: number): string {
  const unit = [DAY, HOUR, MINUTE].find((size) => ms >= size * 10) ?? 1000;
  return duration(Math.max(1000, Math.floor(ms / unit) * unit));
}

/** How long ago; a time to come is `in 3 s`. */
export function ago(at: number, now: number): string {
  const passed = now - at;
  if (Math.abs(passed) < 2000) return "just now";
  const unit = [DAY, HOUR, MINUTE].find((size) => Math.abs(passed) >= size) ?? 1000;
  const about = duration(Math.floor(Math.abs(passed) / unit) * unit);
  return passed > 0 ? `${about} ago` : `in ${about}`;
}

/** The first eight of a digest: enough to tell versions apart. */
export function digest(value: string): string {
  return value.slice(0, 8);
}
