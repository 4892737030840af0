import { isSystem, type LastMessage, type Message, type NamedUser, subjectsOf } from "@nonstop/chat-client";
import { nameOf } from "./name.js";
import { shownName } from "./names.js";
import type { Texts } from "./texts/en.js";

/** Of many who were invited at once so many are named. */
const MOST_NAMED = 3;

/** A sentence about a change of the room, its names apart from it, so that each can be set by itself. */
export interface SystemSentence {
  readonly text: (...names: string[]) => string;
  readonly names: readonly string[];
  /** Those that are not named, which `others` of the text stand for. */
  readonly others: number;
}

/** What a message of the service says, in the user's language; undefined for people's messages. */
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
  // An older one may not say whom it is about: then its own sentence.
  if (named.length === 0) return sentence(() => message.content, []);
  if (type === "SYSTEM_INVITE")
    return sentence((who, ...whom) => texts.invited(who!, whom, others), [by, ...named], others);
  if (type === "SYSTEM_LEAVE") return sentence(texts.left, named.slice(0, 1));
  if (type === "SYSTEM_KICK") return sentence(texts.kicked, [by, named[0]!]);
  return sentence(() => message.content, []);
}

/** The same as one text. */
export function systemText(message: Message, texts: Texts): string | undefined {
  const sentence = systemSentence(message, texts);
  return sentence?.text(...sentence.names);
}

/** What the list of rooms says of a room's last message, whose list of those who were invited has the first three only. */
export function previewOf(message: LastMessage, me: number, isGroup: boolean, texts: Texts): string {
  const { type, senderId, senderNickname, content, roomName } = message;
  const sender: NamedUser | undefined =
    senderNickname === undefined ? undefined : { userId: senderId, nickname: senderNickname };
  const by = sender && nameOf(sender, texts);
  if (!isSystem(message)) {
    const what = type === "IMAGE" ? texts.picture : content;
    if (senderId === me) return `${texts.youPrefix}${what}`;
    return isGroup && by ? `${isolated(by)}: ${what}` : what;
  }
  const [about, ...more] = subjectsOf(message).map((one) => isolated(nameOf(one, texts)));
  const who = isolated(by ?? "");
  if (type === "SYSTEM_RENAME" && by)
    return texts.renamed(who, isolated(shownName(roomName) ?? texts.nameOfNothing));
  if (about === undefined) return content;
  if (type === "SYSTEM_LEAVE") return texts.left(about);
  if (!by) return content;
  if (type === "SYSTEM_KICK") return texts.kicked(who, about);
  if (type !== "SYSTEM_INVITE") return content;
  return more.length === 0 ? texts.invited(who, [about], 0) : texts.invitedMore(who, about);
}

/** Within a text that can't have elements in it: what it holds turns nothing around it. */
const isolated = (name: string): string =>
  /^[\u0020-\u024F\uAC00-\uD7A3]*$/.test(name) ? name : `\u2068${name}\u2069`;
