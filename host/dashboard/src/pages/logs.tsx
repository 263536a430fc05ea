import { useEffect, useId, useRef, useState } from "preact/hooks";
import { count } from "../lib/format.ts";
import { filterLines, LEVELS, type Level, LINES_MAX, type Line } from "../lib/log.ts";
import { clockMs, day } from "../lib/time.ts";
import { where } from "../state/prefs.ts";
import { param, setParams } from "../state/route.ts";
import type { Watched } from "../state/watched.ts";
import { Icon, type IconName } from "../ui/icon.tsx";
import { Empty, Failure, Loading, Panel } from "../ui/panel.tsx";
import { Said } from "../ui/text.tsx";

const LABELS: [Level, string][] = [
  ["error", "Errors"],
  ["warn", "Warnings and errors"],
  ["info", "Information and above"],
  ["debug", "Debug and above"],
  ["trace", "All lines"],
];

function level(): Level {
  return LEVELS.find((l) => l === param("level")) ?? "info";
}

export function LogsTab({ of }: { of: Watched }) {
  const lines = of.lines.value;
  const error = of.errors.value.log;
  const [follow, setFollow] = useState(true);
  const shown = lines && filterLines(lines, level(), param("find"));
  return (
    <Panel
      title="Log"
      note={lines && shown ? `${count(shown.length)} of the last ${count(lines.length)} lines` : undefined}
      actions={
        <button type="button" aria-pressed={follow} onClick={() => setFollow(!follow)}>
          <Icon name="down" /> Follow
        </button>
      }
    >
      <Filters />
      {error !== undefined && <Failure text={error} again={() => of.reload(false)} />}
      {shown === null ? (
        error === undefined && <Loading what="the log" again={() => of.reload(false)} />
      ) : shown.length === 0 ? (
        <Empty title={lines?.length === 0 ? "Nothing was logged yet" : "No line matches"} />
      ) : (
        <Lines lines={shown} follow={follow} setFollow={setFollow} />
      )}
      {lines && lines.length >= LINES_MAX && <p class="quiet">Older lines are not shown.</p>}
    </Panel>
  );
}

function Filters() {
  const id = useId();
  return (
    <div class="filters">
      <p class="choice">
        <label class="sr-only" for={`${id}l`}>
          Level
        </label>
        <select id={`${id}l`} value={level()} onChange={(e) => setParams({ level: e.currentTarget.value })}>
          {LABELS.map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
      </p>
      <p class="search">
        <label class="sr-only" for={`${id}f`}>
          Lines that hold
        </label>
        <Icon name="search" />
        <input
          id={`${id}f`}
          type="search"
          placeholder="Lines that hold"
          value={param("find")}
          onInput={(e) => setParams({ find: e.currentTarget.value })}
        />
      </p>
    </div>
  );
}

interface LinesProps {
  lines: Line[];
  follow: boolean;
  setFollow(follow: boolean): void;
}

/** The lines, kept at their end while they are followed. To scroll up is to stop following. */
function Lines({ lines, follow, setFollow }: LinesProps) {
  const box = useRef<HTMLDivElement>(null);
  const newest = lines.at(-1)?.number;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new line moves the end
  useEffect(() => {
    if (follow && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [newest, lines.length, follow]);
  const onScroll = () => {
    const { current } = box;
    if (!current) return;
    const atEnd = current.scrollHeight - current.scrollTop - current.clientHeight < 24;
    if (atEnd !== follow) setFollow(atEnd);
  };
  return (
    <div
      class="log"
      ref={box}
      role="log"
      aria-live="off"
      aria-label="Log lines"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
      tabIndex={0}
      onScroll={onScroll}
    >
      {lines.map((line, i) => (
        <LogRow key={line.number} line={line} before={lines[i - 1]} />
      ))}
    </div>
  );
}

const ICONS: Partial<Record<Level, IconName>> = { error: "stopped", warn: "warn" };

function LogRow({ line, before }: { line: Line; before: Line | undefined }) {
  const zone = where.value.id;
  const date = line.at === null ? "" : day(line.at, zone);
  const newDay = line.at !== null && (!before || before.at === null || day(before.at, zone) !== date);
  const icon = ICONS[line.level];
  return (
    <>
      {newDay && <p class="log-day">{date}</p>}
      <p class={`log-line log-${line.level}`}>
        <span class="log-time">{line.at === null ? "" : clockMs(line.at, zone)}</span>
        <span class="log-level">
          {icon && <Icon name={icon} size={12} />}
          {line.level}
        </span>
        <span class="log-text">
          <Said text={line.text} lines />
        </span>
      </p>
    </>
  );
}
