// Who asks, and what he may do: what he may not is shown and is off, with the reason.

import { effect, signal } from "@preact/signals";
import { call } from "../api/client.ts";
import { refused, token } from "../api/session.ts";
import type { Me, Role } from "../api/types.ts";
import { connection } from "./live.ts";

/** None while the host has not said, or is too old to. */
export const me = signal<Me | null>(null);

const ROLES: Role[] = ["read", "operate", "deploy"];

/** Why the token does not do for what needs this role; null where it does. */
export function forbidden(needs: Role): string | null {
  const who = me.value;
  if (who === null || ROLES.indexOf(who.role) >= ROLES.indexOf(needs)) return null;
  return `The token ${who.name ?? ""} has the role ${who.role}, and this needs ${needs}.`;
}

/** Asks anew for each token, and each time the host is there again, as roles may have changed. */
export function follow(): void {
  effect(() => {
    const asked = token.value;
    // Who has signed out is not asked who he is.
    if (refused.value !== null || connection.value.state !== "live") return;
    call<Me>(["v1", "me"]).then(
      (who) => {
        if (token.peek() === asked) me.value = who;
      },
      () => {
        if (token.peek() === asked) me.value = null; // the host refuses by itself what may not be
      },
    );
  });
}
