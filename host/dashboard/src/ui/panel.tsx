import type { ComponentChildren } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import { visibleLine } from "../lib/text.ts";
import { Icon, type IconName } from "./icon.tsx";
import { Words } from "./text.tsx";

interface PanelProps {
  title: string;
  /** Beside the title: what is shown, in a few words. */
  note?: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
  flush?: boolean;
}

export function Panel({ title, note, actions, children, flush = false }: PanelProps) {
  const id = useId();
  return (
    <section class={flush ? "panel flush" : "panel"} aria-labelledby={id}>
      <header class="panel-head">
        <h2 id={id}>{visibleLine(title)}</h2>
        {note !== undefined && <p class="quiet">{note}</p>}
        {actions && <div class="panel-actions">{actions}</div>}
      </header>
      {children}
    </section>
  );
}

const PATIENCE_MS = 10_000;

/** Waits, but not for ever: after a while it says so and offers to ask again. */
export function Loading({ what, again }: { what: string; again?: () => void }) {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, []);
  if (!late) {
    return (
      <div class="loading" role="status">
        <span class="skeleton" />
        <span class="skeleton short" />
        <span class="sr-only">Loading {what}</span>
      </div>
    );
  }
  return (
    <Note tone="warn" icon="warn">
      The host has not sent {what} within {PATIENCE_MS / 1000} s.{" "}
      <button type="button" class="link" onClick={again ?? (() => location.reload())}>
        Ask again
      </button>
    </Note>
  );
}

/** Something went wrong: the host's words, and a way to ask again. */
export function Failure({ text, again }: { text: string; again?: (() => void) | undefined }) {
  return (
    <Note tone="bad" icon="warn">
      <Words text={text} />
      {again && (
        <>
          {" "}
          <button type="button" class="link" onClick={again}>
            Ask again
          </button>
        </>
      )}
    </Note>
  );
}

type Tone = "good" | "warn" | "bad" | "info" | "idle";

export function Note({ tone, icon, children }: { tone: Tone; icon: IconName; children: ComponentChildren }) {
  return (
    <div class={`note note-${tone}`} role={tone === "bad" ? "alert" : undefined}>
      <Icon name={icon} />
      <div>{children}</div>
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

/** Name and value pairs. */
export function Facts({ facts }: { facts: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
