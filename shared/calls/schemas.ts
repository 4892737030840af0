import { z } from "zod";
import { Id, MessageType } from "../events/messages.js";
import { DeviceId, isHttpsUrl, named } from "../platform/text.js";

/**
 * The shapes of the HTTP calls. They check the requests, they type the answers, and the OpenAPI document is
 * made of them.
 */

const USERS_PER_CALL = 500;
const NAME_CHARACTERS = 100;
/** As many as the column holds. */
const URL_CHARACTERS = 2_048;

const RoomName = named(NAME_CHARACTERS).meta({
  description: "1 to 100 characters, without the white space around them",
  maxLength: NAME_CHARACTERS,
});

const tooLong = `must have at most ${URL_CHARACTERS} characters`;

/** The browsers of other users fetch it, so it is kept in the form in which they send it, which is ASCII. */
const ImageUrl = z
  .string()
  .max(URL_CHARACTERS, { error: tooLong, abort: true })
  .refine(isHttpsUrl, { error: "must be an https URL", abort: true })
  .overwrite((url) => new URL(url).href)
  .refine((url) => url.length <= URL_CHARACTERS, tooLong);

const UserIds = z.array(Id).max(USERS_PER_CALL);

/**
 * A number in a path or a query, where everything is text. Only its plain digits are taken, so that no two
 * texts stand for the same number.
 */
const digits = (least: number, most: number) =>
  z
    .string()
    .regex(/^(0|[1-9]\d{0,15})$/, "must be a whole number in digits")
    .transform(Number)
    .pipe(z.int().min(least).max(most));

/** What the document says of such a number: the type that the text stands for. */
const integer = (least: number, more: { maximum?: number; default?: number } = {}) => ({
  override: ({ jsonSchema }: { jsonSchema: object }): void => {
    Object.assign(jsonSchema, { type: "integer", minimum: least, ...more });
    Reflect.deleteProperty(jsonSchema, "pattern");
  },
});

const IdText = digits(1, Number.MAX_SAFE_INTEGER).meta(integer(1));
const Limit = digits(1, 100)
  .default(50)
  .meta(integer(1, { maximum: 100, default: 50 }));

export const RoomPath = z.object({ roomId: IdText });
export const UserPath = z.object({ userId: IdText });
export const MemberPath = z.object({ roomId: IdText, userId: IdText });
export const MessagePath = z.object({ roomId: IdText, messageId: IdText });

export const NewGroup = z.object({ roomName: RoomName, userIds: UserIds });
export const NewDirect = z.object({ targetUserId: Id });
export const RoomChanges = z
  .object({
    name: RoomName.optional(),
    imageUrl: ImageUrl.nullable()
      .optional()
      .meta({ description: "an https URL; `null` takes the picture away" }),
  })
  .refine(({ name, imageUrl }) => name !== undefined || imageUrl !== undefined, {
    path: ["name"],
    error: "is missing, and so is imageUrl: one of the two is needed",
  });
export const Invitation = z.object({ userIds: UserIds.min(1) });

/**
 * A client's key for a call that makes something: the same call with the same key gets the first answer
 * again.
 */
export const IdempotencyHeader = z.object({
  "Idempotency-Key": z
    .string()
    .regex(/^[\x21-\x7e]{1,64}$/, "must be 1 to 64 visible ASCII characters")
    .optional()
    .meta({ description: "the same again within 24 hours gets the first answer again, and makes nothing" }),
});

/** Without a device it is about all sessions. */
export const LogOut = z.object({ deviceId: DeviceId.optional() });

export const RoomsQuery = z.object({
  limit: Limit,
  cursor: z.string().max(200).optional().meta({ description: "`cursor` of the page before" }),
});

export const MessagesQuery = z
  .object({
    before: digits(1, Number.MAX_SAFE_INTEGER)
      .optional()
      .meta({ description: "newest first, below this `seq`", ...integer(1) }),
    after: digits(0, Number.MAX_SAFE_INTEGER)
      .optional()
      .meta({ description: "oldest first, above this `seq`; goes without `before`", ...integer(0) }),
    limit: Limit,
  })
  .refine((query) => query.before === undefined || query.after === undefined, {
    path: ["after"],
    error: "goes without before: one of the two",
  });

export const ReadQuery = z.object({ messageId: IdText });

// Answers

const Time = z.iso.datetime({ precision: 3 }).meta({ description: "ISO 8601, UTC, milliseconds" });
const Seq = z.int().positive().meta({ description: "1, 2, 3, … in each room" });
const MessageTypeName = MessageType.meta({ id: "MessageType" });

export const UserRef = z.object({ userId: Id, nickname: z.string() }).meta({ id: "NamedUser" });

/** What a system message is about. Other messages have none of these fields. */
const subject = {
  target: UserRef.optional().meta({
    description: "of a change of members: whom it is about; of an invitation the first of them",
  }),
  targets: z.array(UserRef).optional().meta({ description: "of an invitation: all who were invited" }),
  roomName: z.string().optional().meta({ description: "of a renaming: the new name" }),
};

export const Negotiated = z.object({
  url: z.string().meta({ description: "connect to this with the subprotocol `protocol`" }),
  protocol: z.literal("v12.stomp"),
  expiresAt: Time,
});

export const RoomRef = z.object({ roomId: Id });

export const RoomSummary = z
  .object({
    roomId: Id,
    type: z.enum(["ONE_TO_ONE", "GROUP"]),
    name: z.string().meta({ description: "of a group, or of the other one" }),
    imageUrl: z.string().nullable(),
    memberCount: z.int().min(0),
    unreadCount: z
      .int()
      .min(0)
      .meta({ description: "without system messages, and without what the caller deleted" }),
    lastMessage: z
      .object({
        messageId: Id,
        seq: Seq,
        content: z.string(),
        type: MessageTypeName,
        sentAt: Time,
        senderId: Id,
        senderNickname: z.string(),
        ...subject,
        targets: subject.targets.meta({ description: "of an invitation: the first three who were invited" }),
      })
      .nullable()
      .meta({ description: "the latest that the caller may see and has not deleted" }),
  })
  .meta({ id: "RoomSummary" });

export const RoomsPage = z.object({
  rooms: z.array(RoomSummary),
  cursor: z.string().nullable().meta({ description: "asks for the next page; `null` on the last" }),
});

export const RoomLook = z.object({ roomId: Id, name: z.string(), imageUrl: z.string().nullable() });

export const Member = z.object({
  userId: Id,
  nickname: z.string(),
  profileImageUrl: z.string().nullable(),
  joinedAt: Time,
  isCreator: z.boolean(),
  isAwaited: z.boolean().meta({ description: "has never been here: in no `unreadCount` until they come" }),
  lastReadMessageId: Id.nullable(),
});

export const MemberList = z.object({ members: z.array(Member) });

export const Invited = z.object({
  roomId: Id,
  invited: z.array(Id).meta({ description: "those who were no members before" }),
});

export const Removed = z.object({ roomId: Id, userId: Id });

export const Withdrawn = z.object({
  userId: Id,
  rooms: z.int().min(0).meta({ description: "how many rooms this call was the end of" }),
});

export const Message = z
  .object({
    messageId: Id,
    seq: Seq,
    roomId: Id,
    senderId: Id,
    senderNickname: z.string(),
    clientMessageId: z.union([z.string(), z.int()]).nullable(),
    type: MessageTypeName,
    content: z.string(),
    sentAt: Time,
    unreadCount: z
      .int()
      .min(0)
      .meta({ description: "members who have not read it yet; 0 for system messages" }),
    ...subject,
  })
  .meta({ id: "Message" });

export const MessagesPage = z.object({ messages: z.array(Message) });

export const ReadAccepted = z.object({ roomId: Id, messageId: Id });

export const LoggedOut = z.object({ userId: Id, deviceId: z.string().nullable() });

export const MessageRef = z.object({ roomId: Id, messageId: Id });

const State = z.enum(["up", "down"]);

const HubLag = z
  .object({
    events: z.int().min(0).nullable().meta({ description: "events that are not stored yet" }),
    oldestSeconds: z
      .number()
      .min(0)
      .nullable()
      .meta({ description: "the age of the oldest of them; 0 where there is none" }),
  })
  .meta({ id: "HubLag", description: "up to ten seconds old; `null` where it can't be found" });

export const Health = z
  .object({
    status: z.enum(["up", "degraded", "down"]),
    dependencies: z.object({ mysql: State, redis: State, eventHubs: State, webPubSub: State }),
    lag: z.object({ messages: HubLag, reads: HubLag }),
    formerBus: z.enum(["draining", "drained"]).optional().meta({
      description:
        "where the settings still name the event bus that was used before: whether anything waits there",
    }),
  })
  .meta({
    examples: [
      {
        status: "up",
        dependencies: { mysql: "up", redis: "up", eventHubs: "up", webPubSub: "up" },
        lag: { messages: { events: 2, oldestSeconds: 0.041 }, reads: { events: 0, oldestSeconds: 0 } },
      },
    ],
  });

export const Problem = z
  .object({
    type: z.literal("about:blank"),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string(),
    field: z.string().optional().meta({ description: "the wrong field of the request" }),
    retryAfter: z.int().positive().optional().meta({
      description:
        "RATE_LIMIT_EXCEEDED, and UNAVAILABLE where it is known: the seconds after which to come again",
    }),
  })
  .meta({ id: "Problem" });
