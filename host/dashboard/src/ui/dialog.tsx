import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { words } from "../api/client.ts";
import { visibleLine } from "../lib/text.ts";
import { Failure } from "./panel.tsx";

interface DialogProps {
  title: string;
  children: ComponentChildren;
  close(): void;
  wide?: boolean;
}

/** A modal dialog of the browser: it keeps the focus, Escape closes it, and the focus goes back. */
export function Dialog({ title, children, close, wide = false }: DialogProps) {
  const box = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const back = document.activeElement;
    box.current?.showModal();
    return () => {
      if (back instanceof HTMLElement) back.focus();
    };
  }, []);
  return (
    <dialog ref={box} class={wide ? "dialog wide" : "dialog"} aria-labelledby={id} onClose={close}>
      <h2 id={id}>{visibleLine(title)}</h2>
      {children}
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  children: ComponentChildren;
  action: string;
  danger?: boolean;
  /** What must be typed before the action can be taken. */
  typed?: string;
  run(): Promise<void>;
  close(): void;
}

/** Asks before something is done, and stays open with the host's words when it is refused. */
export function Confirm({ title, children, action, danger = false, typed, run, close }: ConfirmProps) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const [text, setText] = useState("");
  const id = useId();
  // A name with characters that cannot be typed is typed as it is shown.
  const confirmed = typed === undefined || text === typed || text === visibleLine(typed);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await run();
      close();
    } catch (failure) {
      setError(words(failure));
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} close={close}>
      <form onSubmit={submit}>
        <div class="dialog-body">{children}</div>
        {typed !== undefined && (
          <p class="field">
            <label for={id}>
              Type <code>{visibleLine(typed)}</code> to confirm
            </label>
            <input
              id={id}
              autocomplete="off"
              spellcheck={false}
              value={text}
              onInput={(e) => setText(e.currentTarget.value)}
            />
          </p>
        )}
        {error !== null && <Failure text={error} />}
        <footer class="dialog-foot">
          <button type="button" onClick={close}>
            {busy ? "Close, do not wait" : "Cancel"}
          </button>
          <button type="submit" class={danger ? "danger" : "primary"} disabled={busy || !confirmed}>
            {busy ? <Waiting what={action} /> : action}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

/** Counts the seconds of something that takes its time. */
export function Waiting({ what }: { what: string }) {
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setSeconds((s) => s + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  return (
    <span role="status">
      {what} …{seconds > 1 ? ` ${seconds} s` : ""}
    </span>
  );
}
