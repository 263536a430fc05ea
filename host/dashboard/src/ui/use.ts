import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { words } from "../api/client.ts";

export interface Resource<T> {
  value: T | null;
  error: string | null;
  busy: boolean;
  again(): void;
}

/**
 * Asks for something when `key` changes, and again every `everyMs`. What was there before stays until the
 * next answer; an answer to an older question is dropped.
 */
export function useResource<T>(
  key: string,
  ask: (signal: AbortSignal) => Promise<T>,
  everyMs = 0,
): Resource<T> {
  const [state, setState] = useState<{ key: string; value: T | null; error: string | null; busy: boolean }>({
    key,
    value: null,
    error: null,
    busy: true,
  });
  const [turn, setTurn] = useState(0);
  const asking = useRef(ask);
  asking.current = ask;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a turn asks again
  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const next = () => {
      if (everyMs > 0) timer = setTimeout(run, everyMs);
    };
    const run = () => {
      if (document.hidden) return next();
      asking.current(stop.signal).then(
        (value) => {
          if (stop.signal.aborted) return;
          setState({ key, value, error: null, busy: false });
          next();
        },
        (error: unknown) => {
          if (stop.signal.aborted) return;
          setState((old) => ({
            key,
            value: old.key === key ? old.value : null,
            error: words(error),
            busy: false,
          }));
          next();
        },
      );
    };
    setState((old) =>
      old.key === key ? { ...old, busy: true } : { key, value: null, error: null, busy: true },
    );
    run();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [key, turn, everyMs]);
  const again = useCallback(() => setTurn((t) => t + 1), []);
  return { value: state.value, error: state.error, busy: state.busy, again };
}

/** The width of an element, as it changes. */
export function useWidth(): [(element: HTMLElement | null) => void, number] {
  const [width, setWidth] = useState(0);
  const observer = useRef<ResizeObserver | null>(null);
  const ref = useCallback((element: HTMLElement | null) => {
    observer.current?.disconnect();
    observer.current = null;
    if (!element) return;
    setWidth(element.clientWidth);
    observer.current = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.current.observe(element);
  }, []);
  return [ref, width];
}

/** A value that changes only when typing has paused. */
export function useDebounced<T>(value: T, ms: number, set: (value: T) => void): void {
  const last = useRef(value);
  useEffect(() => {
    if (last.current === value) return undefined;
    const timer = setTimeout(() => {
      last.current = value;
      set(value);
    }, ms);
    return () => clearTimeout(timer);
  }, [value, ms, set]);
}
