import type { Message, NamedUser } from "./types.js";

/** Whether the service wrote the message. Such a message never counts as unread. */
export const isSystem = ({ type }: { readonly type: string }): boolean => type.startsWith("SYSTEM_");

/** The users whom a change of members is about. An older service names one only. */
export const subjectsOf = ({ target, targets }: Pick<Message, "target" | "targets">): readonly NamedUser[] =>
  targets ?? (target ? [target] : []);
