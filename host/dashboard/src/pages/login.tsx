import { useState } from "preact/hooks";
import { call, words } from "../api/client.ts";
import { signIn, signOut, token } from "../api/session.ts";
import { Mark } from "../ui/icon.tsx";
import { Failure } from "../ui/panel.tsx";
import { Words } from "../ui/text.tsx";

/** Asks for the token, and tries it before it keeps it. */
export function LoginPage({ words: said }: { words: string }) {
  const [text, setText] = useState("");
  const [keep, setKeep] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    token.value = text.trim();
    try {
      await call(["v1", "jobs"]);
      signIn(text.trim(), keep);
    } catch (failure) {
      const why = words(failure);
      setError(why);
      signOut(why);
    } finally {
      setBusy(false);
    }
  };
  return (
    <main class="login" id="main">
      <form class="login-box" onSubmit={submit}>
        <h1>
          <Mark /> streamhost
        </h1>
        {error === null && (
          <p class="quiet">
            <Words text={said} />
          </p>
        )}
        <p class="field">
          <label for="token">Token</label>
          <input
            id="token"
            type="password"
            autocomplete="current-password"
            required
            value={text}
            onInput={(e) => setText(e.currentTarget.value)}
          />
          <span class="hint">
            It is in the file that <code>token-file</code> names in the daemon's streamhost.toml.
          </span>
        </p>
        <p class="check">
          <input id="keep" type="checkbox" checked={keep} onInput={(e) => setKeep(e.currentTarget.checked)} />
          <label for="keep">Stay signed in on this browser. Otherwise until this tab is closed.</label>
        </p>
        {error !== null && <Failure text={error} />}
        <button type="submit" class="primary" disabled={busy || text.trim() === ""}>
          {busy ? "Signing in …" : "Sign in"}
        </button>
      </form>
    </main>
  );
}
