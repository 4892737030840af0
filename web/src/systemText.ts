import { isSystem, type LastMessage, type Message, subjectsOf } from "@nonstop/chat-client";
import { nameOf } from "./name.js";
import { shownName } from "./names.js";
import type { Texts } from "./texts/en.js";

/** How many of those who were invited at once are named. */
const MOST_NAMED = 3;

/** A sentence about a change of the room. Its names are apart, so that each can be an element of its own. */
export interface SystemSentence {
  readonly text: (...names: string[]) => string;
  readonly names: readonly string[];
  /** How many people the sentence is about, but does not name. */
  readonly others: number;
}

/** What a message of the service says, in the user's language. Undefined for a message of a user. */
export function systemSentence(message: Message, texts: Texts): SystemSentence | undefined {
  const { type, senderId, senderNickname } = message;
  if (!isSystem(message)) return undefined;
  const by = nameOf({ userId: senderId, nickname: senderNickname }, texts);
  const about = subjectsOf(message).map((one) => nameOf(one, texts));
  const others = Math.max(about.length - MOST_NAMED, 0);
  const named = about.slice(0, MOST_NAMED);
  const sentence = (text: SystemSentence["text"], names: readonly string[], others = 0) => ({
    text,
    names,
    others,
  });
  if (type === "SYSTEM_RENAME")
    return sentence(texts.renamed, [by, shownName(message.roomName) ?? texts.nameOfNothing]);
  // A message of an older service may not say whom it is about. Its content is a sentence in English.
  if (named.length === 0) return sentence(() => message.content, []);
  if (type === "SYSTEM_INVITE")
    return sentence((who, ...whom) => texts.invited(who!, whom, others), [by, ...named], others);
  if (type === "SYSTEM_LEAVE") return sentence(texts.left, named.slice(0, 1));
  if (type === "SYSTEM_KICK") return sentence(texts.kicked, [by, named[0]!]);
  return sentence(() => message.content, []);
}

/** The same sentence as one text. */
export function systemText(message: Message, texts: Texts): string | undefined {
  const sentence = systemSentence(message, texts);
  return sentence?.text(...sentence.names);
}

/**
 * What the list of rooms shows of a room's last message. The service names only the first three of those who
 * were invited there, and does not say how many there are.
 */
export function previewOf(message: LastMessage, me: number, isGroup: boolean, texts: Texts): string {
  const by = senderOf(message, texts);
  if (isSystem(message)) return systemPreview(message, by, texts);
  const what = message.type === "IMAGE" ? texts.picture : message.content;
  if (message.senderId === me) return `${texts.youPrefix}${what}`;
  return isGroup && by ? `${by}: ${what}` : what;
}

/** An older service does not name the sender in the list of rooms. */
function senderOf({ senderId, senderNickname }: LastMessage, texts: Texts): string | undefined {
  if (senderNickname === undefined) return undefined;
  return isolated(nameOf({ userId: senderId, nickname: senderNickname }, texts));
}

function systemPreview(message: LastMessage, by: string | undefined, texts: Texts): string {
  const { type, content, roomName } = message;
  const [about, ...more] = subjectsOf(message).map((one) => isolated(nameOf(one, texts)));
  if (type === "SYSTEM_RENAME" && by)
    return texts.renamed(by, isolated(shownName(roomName) ?? texts.nameOfNothing));
  if (about === undefined) return content;
  if (type === "SYSTEM_LEAVE") return texts.left(about);
  if (!by) return content;
  if (type === "SYSTEM_KICK") return texts.kicked(by, about);
  if (type !== "SYSTEM_INVITE") return content;
  return more.length === 0 ? texts.invited(by, [about], 0) : texts.invitedMore(by, about);
}

/**
 * A name within a text that can't have elements: isolated by U+2068 and U+2069, so that it does not change
 * the direction of the text around it. Latin and Hangul need no isolation.
 */
const isolated = (name: string): string =>
  /^[\u0020-\u024F\uAC00-\uD7A3]*$/.test(name) ? name : `\u2068${name}\u2069`;
