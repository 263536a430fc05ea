import { useState } from "preact/hooks";
import type { Shown } from "../api/types.ts";
import { ago, bytes, rough } from "../lib/format.ts";
import { pretty, visible, visibleLine } from "../lib/text.ts";
import { clockMs, full, moment, parse } from "../lib/time.ts";
import { now } from "../state/live.ts";
import { where } from "../state/prefs.ts";
import { Icon } from "./icon.tsx";

/** Text from the host: isolated, so that its direction stays its own, with hidden characters shown. */
export function Said({ text, lines = false }: { text: string; lines?: boolean }) {
  return <bdi class={lines ? "said said-lines" : "said"}>{lines ? visible(text) : visibleLine(text)}</bdi>;
}

/** A sentence of the host, with what it quotes in backticks set as code. */
export function Words({ text }: { text: string }) {
  return (
    <bdi class="said said-lines">
      {visible(text)
        .split(/`([^`\n]+)`/)
        // biome-ignore lint/suspicious/noArrayIndexKey: the parts of a sentence have no other name
        .map((part, i) => (i % 2 === 1 ? <code key={i}>{part}</code> : part))}
    </bdi>
  );
}

type When = string | number | null | undefined;

function ms(at: When): number | null {
  return typeof at === "number" ? at : parse(at);
}

/** A time in the reader's zone; all of it, with the zone, in its title. */
export function At({ at, exact = false }: { at: When; exact?: boolean }) {
  const time = ms(at);
  if (time === null) return <span class="quiet">–</span>;
  const text = exact ? clockMs(time, where.value.id) : moment(time, now.value, where.value.id);
  return (
    <time dateTime={new Date(time).toISOString()} title={full(time, where.value)}>
      {text}
    </time>
  );
}

/** How long ago, counting on. */
export function Ago({ at }: { at: When }) {
  const time = ms(at);
  if (time === null) return <span class="quiet">–</span>;
  return (
    <time dateTime={new Date(time).toISOString()} title={full(time, where.value)}>
      {ago(time, now.value)}
    </time>
  );
}

/** For how long. */
export function Since({ at }: { at: When }) {
  const time = ms(at);
  if (time === null) return <span class="quiet">–</span>;
  return (
    <time dateTime={new Date(time).toISOString()} title={`since ${full(time, where.value)}`}>
      {rough(Math.max(0, now.value - time))}
    </time>
  );
}

/** The start of a value on one line. */
export function Preview({ value }: { value: Shown | null }) {
  if (!value) return <span class="quiet">none</span>;
  if (value.bytes === 0) return <span class="quiet">empty</span>;
  if (value.text === null) return <span class="quiet">{bytes(value.bytes)} of binary data</span>;
  return (
    <code class="preview">
      <Said text={value.text} />
    </code>
  );
}

/** All of a value: text with JSON indented on demand, or base64. */
export function Value({ value, label }: { value: Shown; label: string }) {
  const [raw, setRaw] = useState(false);
  const text = value.text ?? value.base64 ?? "";
  const indented = value.text === null ? text : pretty(text);
  return (
    <section class="value" aria-label={label}>
      <header>
        <h3>{label}</h3>
        <span class="quiet">
          {bytes(value.bytes)}
          {value.text === null && value.bytes > 0 ? ", not UTF-8: shown as base64" : ""}
          {value.truncated ? ", shown in part" : ""}
        </span>
        <span class="grow" />
        {indented !== text && (
          <button type="button" class="small" aria-pressed={raw} onClick={() => setRaw(!raw)}>
            As sent
          </button>
        )}
        <Copy text={text} label={`Copy ${label.toLowerCase()}`} />
      </header>
      {value.bytes === 0 ? (
        <p class="quiet">empty</p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
        <pre tabIndex={0}>
          <Said text={raw ? text : indented} lines />
        </pre>
      )}
    </section>
  );
}

export function Copy({ text, label }: { text: string; label: string }) {
  const [said, setSaid] = useState("");
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => setSaid("Copied"),
      () => setSaid("The browser does not allow it"),
    );
  return (
    <button type="button" class="small copy" onClick={copy} onBlur={() => setSaid("")}>
      <Icon name="copy" size={14} />
      <span class="sr-only">{label}</span>
      <span role="status">{said}</span>
    </button>
  );
}
