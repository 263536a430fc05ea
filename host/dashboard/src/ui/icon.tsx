// Line icons on a grid of 16. They always stand beside a word or in a button with a label.

const PATHS = {
  running: "M5 3.2v9.6L12.5 8z",
  paused: "M5.5 3.5v9M10.5 3.5v9",
  retrying: "M13 8a5 5 0 1 1-1.6-3.7M13 2.5v3h-3",
  stopped: "M4 4l8 8M12 4l-8 8",
  finished: "M3 8.5l3.2 3.2L13 4.8",
  unknown: "M5.8 6a2.2 2.2 0 1 1 3.1 2c-.7.4-.9.8-.9 1.6M8 12.4v.1",
  sun: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1.2v1.3M8 13.5v1.3M1.2 8h1.3M13.5 8h1.3M3.2 3.2l.9.9M11.9 11.9l.9.9M3.2 12.8l.9-.9M11.9 4.1l.9-.9",
  moon: "M13 9.6A5.6 5.6 0 0 1 6.4 3 5.6 5.6 0 1 0 13 9.6z",
  auto: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 2v12M8 5l3.8-1M8 8h6M8 11l3.8 1",
  globe:
    "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM2 8h12M8 2c2 1.7 2.6 3.8 2.6 6S10 12.3 8 14M8 2C6 3.7 5.4 5.8 5.4 8S6 12.3 8 14",
  exit: "M6.5 2.500h-3v11h3M7 8h6.500M11 5.500L13.5 8 11 10.5",
  upload: "M8 10.500v-8M4.8 5.500L8 2.300l3.2 3.200M2.5 10.500v3h11v-3",
  close: "M4 4l8 8M12 4l-8 8",
  warn: "M8 2.300L14.3 13.200H1.700zM8 6.500v3.200M8 11.500v.1",
  info: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 7.300v3.700M8 5v.1",
  copy: "M5.5 5.500v-3h8v8h-3M2.5 5.500h8v8h-8z",
  back: "M9.8 3.500L5.3 8l4.5 4.5",
  next: "M6.2 3.500L10.7 8l-4.5 4.5",
  up: "M8 13V3.500M4.3 7.200L8 3.500l3.7 3.7",
  down: "M8 3v9.500M4.3 8.800L8 12.500l3.7-3.7",
  level: "M3 8h10M10 5l3 3-3 3",
  source: "M2.5 4.500h7M2.5 8h9.500M2.5 11.500h7M10.3 5.500L12.8 8l-2.5 2.5",
  transform: "M5.5 3L2.5 8l3 5M10.5 3l3 5-3 5M9 4.500l-2 7",
  stage: "M8 2.200l5.8 3L8 8.200l-5.8-3zM2.2 8L8 11l5.8-3M2.2 10.800l5.8 3 5.8-3",
  sink: "M2.8 4c0-1 2.3-1.7 5.2-1.700S13.2 3 13.2 4 10.9 5.7 8 5.7 2.8 5 2.8 4zM2.8 4v8c0 1 2.3 1.7 5.2 1.700s5.2-.7 5.2-1.700V4M2.8 8c0 1 2.3 1.7 5.2 1.700s5.2-.7 5.2-1.7",
  letter: "M2 3.500h12v9H2zM2 4l6 5 6-5",
  table: "M2.5 3.500h11v9h-11zM2.5 6.500h11M6.5 6.500v6",
  rollback: "M3 6.500h6.500a3.5 3.5 0 0 1 0 7H6M3 6.500l3-3M3 6.500l3 3",
  trash: "M3 4.500h10M6.5 4.500v-2h3v2M4.3 4.500l.6 9h6.200l.6-9",
  search: "M7 2.500a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.3 10.300L13.7 13.7",
} as const;

export type IconName = keyof typeof PATHS;

const FILLED: IconName[] = ["running"];

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path
        d={PATHS[name]}
        fill={FILLED.includes(name) ? "currentColor" : "none"}
        stroke="currentColor"
        stroke-width="1.5"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  );
}

/** Three lanes that run into one: the product's mark. */
export function Mark() {
  return (
    <svg class="mark" width="24" height="24" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="8" />
      <path d="M6 11h9l4 5h7M6 21h9l4-5" />
      <circle cx="26" cy="16" r="2.6" />
    </svg>
  );
}
