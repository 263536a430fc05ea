import { signOut, token } from "../api/session.ts";
import { connection, host, lacks } from "../state/live.ts";
import { forbidden } from "../state/me.ts";
import { type Theme, theme, utc, where } from "../state/prefs.ts";
import { route } from "../state/route.ts";
import { Icon, type IconName, Mark } from "../ui/icon.tsx";
import { connectionWords } from "../ui/state.tsx";
import { Said } from "../ui/text.tsx";

const PAGES = [
  { label: "Jobs", href: "#/", first: [undefined, "jobs"] },
  { label: "Deploy", href: "#/deploy", first: ["deploy"] },
  { label: "Audit", href: "#/audit", first: ["audit"] },
  { label: "Host", href: "#/host", first: ["host"] },
];

const offered = ({ label }: { label: string }) =>
  (label !== "Host" || !lacks("host")) && (label !== "Deploy" || forbidden("deploy") === null);

export function Header() {
  const at = route.value.path[0];
  return (
    <header class="top">
      <a class="brand" href="#/" aria-label="streamhost, all jobs">
        <Mark />
        <span>streamhost</span>
      </a>
      <nav aria-label="Main">
        {PAGES.filter(offered).map((page) => (
          <a key={page.label} href={page.href} aria-current={page.first.includes(at) ? "page" : undefined}>
            {page.label}
          </a>
        ))}
      </nav>
      <span class="grow" />
      <Connected />
      <div class="top-buttons">
        <ZoneButton />
        <ThemeButton />
        {token.value !== "" && (
          <button type="button" class="ghost" onClick={() => signOut("You have signed out.")}>
            <Icon name="exit" />
            <span class="label">Sign out</span>
            <span class="label-short">Out</span>
          </button>
        )}
      </div>
    </header>
  );
}

function Connected() {
  const state = connection.value.state;
  return (
    <span class={`connected is-${state}`} role="status">
      <span class="dot" aria-hidden="true" />
      {connectionWords()}
      {host.value && (
        <span class="connected-host">
          <Said text={host.value.host} /> <Said text={host.value.version} />
        </span>
      )}
    </span>
  );
}

function ZoneButton() {
  const { label, short } = where.value;
  return (
    <button
      type="button"
      class="ghost"
      aria-pressed={utc.value}
      title={`Times are in ${label}. Press for ${utc.value ? "your own zone" : "UTC"}.`}
      onClick={() => {
        utc.value = !utc.value;
      }}
    >
      <Icon name="globe" />
      <span class="sr-only">Times in </span>
      <span class="label">{label}</span>
      <span class="label-short">{short}</span>
    </button>
  );
}

const THEMES: Record<Theme, { next: Theme; icon: IconName; label: string }> = {
  auto: { next: "light", icon: "auto", label: "as the system" },
  light: { next: "dark", icon: "sun", label: "light" },
  dark: { next: "auto", icon: "moon", label: "dark" },
};

function ThemeButton() {
  const { next, icon, label } = THEMES[theme.value];
  return (
    <button
      type="button"
      class="ghost"
      title={`Colours: ${label}. Press for ${THEMES[next].label}.`}
      onClick={() => {
        theme.value = next;
      }}
    >
      <Icon name={icon} />
      <span class="sr-only">Colours: {label}</span>
    </button>
  );
}
