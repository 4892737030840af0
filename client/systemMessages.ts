import type { Message, NamedUser } from "./types.js";

/** Whether the service wrote it; such a message never counts as unread. */
export const isSystem = ({ type }: { readonly type: string }): boolean => type.startsWith("SYSTEM_");

/** Whom a change of members is about. Services of before name one only. */
export const subjectsOf = ({ target, targets }: Pick<Message, "target" | "targets">): readonly NamedUser[] =>
  targets ?? (target ? [target] : []);
