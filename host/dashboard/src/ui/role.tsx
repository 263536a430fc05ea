import type { ComponentChildren } from "preact";
import type { Role } from "../api/types.ts";
import { stale } from "../state/live.ts";
import { forbidden } from "../state/me.ts";
import { Icon } from "./icon.tsx";
import { Said } from "./text.tsx";

interface Props {
  needs: Role;
  class?: string;
  /** For a reason of its own. */
  disabled?: boolean;
  onClick(): void;
  children: ComponentChildren;
}

/** A button that changes something: off while the host is away, and where the token's role does not do. */
export function RoleButton({ needs, class: look, disabled = false, onClick, children }: Props) {
  const no = forbidden(needs);
  return (
    <button
      type="button"
      class={look}
      disabled={disabled || stale.value || no !== null}
      title={no ?? undefined}
      onClick={onClick}
    >
      {children}
    </button>
  );
}

/** Why buttons are off, once beside them. */
export function RoleNote({ needs }: { needs: Role }) {
  const no = forbidden(needs);
  if (no === null) return null;
  return (
    <p class="quiet role-note">
      <Icon name="info" size={14} /> <Said text={no} />
    </p>
  );
}
