import { rough } from "../lib/format.ts";
import { connection, now, retryNow } from "../state/live.ts";
import { Icon } from "../ui/icon.tsx";
import { At } from "../ui/text.tsx";

/** Says that the host is gone, since when, and that what is shown is old. */
export function LostBanner() {
  const state = connection.value;
  if (state.state !== "lost") return null;
  now.value; // counts on
  return (
    <div class="lost">
      <Icon name="warn" />
      <p role="alert">
        <b>
          No connection to the host since <At at={state.since} />.
        </b>{" "}
        {state.why} What you see is from before then.
      </p>
      <p class="lost-try">
        <span>{rough(Date.now() - state.since)}, trying again</span>
        <button type="button" class="small" onClick={retryNow}>
          Try now
        </button>
      </p>
    </div>
  );
}
