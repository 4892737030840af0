import { describe, expectTypeOf, test } from "vitest";
import type { z } from "zod";
import type { LastMessage, Member, Message, NamedUser, RoomAdded, RoomSummary } from "../../client/types.js";
import type { Body } from "../../shared/calls/call.js";
import type * as api from "../../shared/calls/schemas.js";
import type { RoomListChange } from "../../shared/frames/roomList.js";

/**
 * The client has types of its own for what the service sends. The compiler compares them here: `tsc` fails
 * where they differ.
 */

/**
 * A type with all its fields required, at all depths. The client calls fields optional that older services do
 * not send.
 */
type Whole<T> = T extends readonly (infer Item)[]
  ? readonly Whole<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]-?: Whole<Exclude<T[Key], undefined>> }
    : T;

/** A type as it goes over the wire, at all depths: JSON leaves out a field that is undefined. */
type OnWire<T> = T extends readonly (infer Item)[]
  ? readonly OnWire<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: OnWire<Exclude<T[Key], undefined>> }
    : T;

type Sent<Schema extends z.ZodType> = OnWire<Body<Schema>>;
type Listed = Body<typeof api.RoomSummary>;
type Added = Extract<RoomListChange, { type: "ROOM_ADDED" }>;

describe("the client's types have the fields of the schemas, with the same values", () => {
  test("messages", () => {
    expectTypeOf<Whole<Message>>().toEqualTypeOf<Whole<Sent<typeof api.Message>>>();
    expectTypeOf<Whole<NamedUser>>().toEqualTypeOf<Whole<Sent<typeof api.UserRef>>>();
  });

  test("rooms", () => {
    // The client's name may also be one that it has not been told yet.
    expectTypeOf<Whole<Omit<RoomSummary, "name">>>().toEqualTypeOf<Whole<Omit<Listed, "name">>>();
    expectTypeOf<Whole<LastMessage>>().toEqualTypeOf<Whole<NonNullable<Listed["lastMessage"]>>>();
  });

  test("members", () => {
    expectTypeOf<Whole<Member>>().toEqualTypeOf<Whole<Sent<typeof api.Member>>>();
  });

  test("hints", () => {
    expectTypeOf<Whole<Omit<RoomAdded, "roomId">>>().toEqualTypeOf<Whole<Omit<Added, "type">>>();
  });
});

test("what the service sends is what the client takes", () => {
  expectTypeOf<Sent<typeof api.Message>>().toExtend<Message>();
  expectTypeOf<Sent<typeof api.RoomSummary>>().toExtend<RoomSummary>();
  expectTypeOf<Sent<typeof api.Member>>().toExtend<Member>();
  expectTypeOf<Sent<typeof api.RoomsPage>>().toExtend<{
    rooms: readonly RoomSummary[];
    cursor: string | null;
  }>();
});
