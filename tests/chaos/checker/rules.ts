import type { Rule } from "./rule.js";
import { accepted } from "./rules/accepted.js";
import { answered } from "./rules/answered.js";
import { content } from "./rules/content.js";
import { history } from "./rules/history.js";
import { lastCounts } from "./rules/lastCounts.js";
import { leftovers } from "./rules/leftovers.js";
import { members } from "./rules/members.js";
import { once } from "./rules/once.js";
import { positions } from "./rules/positions.js";
import { refused } from "./rules/refused.js";
import { repeats } from "./rules/repeats.js";
import { senderOrder } from "./rules/senderOrder.js";
import { sent } from "./rules/sent.js";
import { seq } from "./rules/seq.js";
import { shown } from "./rules/shown.js";
import { strangers } from "./rules/strangers.js";
import { unreadMessages } from "./rules/unreadMessages.js";
import { unreadRooms } from "./rules/unreadRooms.js";

/** Every rule by the name that findings have. */
export const RULES = {
  accepted,
  once,
  sent,
  refused,
  seq,
  senderOrder,
  shown,
  repeats,
  content,
  history,
  strangers,
  unreadRooms,
  unreadMessages,
  lastCounts,
  positions,
  members,
  answered,
  leftovers,
} satisfies Record<string, Rule>;

export type RuleName = keyof typeof RULES;
