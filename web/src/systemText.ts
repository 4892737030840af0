import type { Message } from "@nonstop/chat-client";
import type { Texts } from "./texts/en.js";

/** What a message of the service says, in the user's language; undefined for people's messages. */
export function systemText(
  { type, senderNickname, target, content }: Message,
  texts: Texts,
): string | undefined {
  const who = target?.nickname;
  // An older one may not say whom it is about: then its own sentence.
  if (who === undefined) return type.startsWith("SYSTEM_") ? content : undefined;
  if (type === "SYSTEM_INVITE") return texts.invited(senderNickname, who);
  if (type === "SYSTEM_LEAVE") return texts.left(who);
  return type === "SYSTEM_KICK" ? texts.kicked(senderNickname, who) : undefined;
}
