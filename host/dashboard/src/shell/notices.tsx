import { dismiss, notices } from "../state/notices.ts";
import { Icon } from "../ui/icon.tsx";
import { Words } from "../ui/text.tsx";

/** What became of actions: said to the screen and to readers. */
export function Notices() {
  return (
    <div class="notices" role="log" aria-live="polite" aria-label="Results of actions">
      {notices.value.map((notice) => (
        <div key={notice.id} class={`notice notice-${notice.tone}`}>
          <Icon name={notice.tone === "good" ? "finished" : "warn"} />
          <div>
            <p>
              <Words text={notice.text} />
            </p>
            {notice.details.length > 0 && (
              <ul>
                {notice.details.map((detail) => (
                  <li key={detail}>
                    <Words text={detail} />
                  </li>
                ))}
              </ul>
            )}
          </div>
          <button type="button" class="ghost small" onClick={() => dismiss(notice.id)}>
            <Icon name="close" />
            <span class="sr-only">Dismiss</span>
          </button>
        </div>
      ))}
    </div>
  );
}
