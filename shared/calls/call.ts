import type { z } from "zod";
import type { Identity } from "../auth/verifier.js";
import type { Faults } from "../platform/faults.js";
import type { PartitionLag } from "../platform/measures.js";
import type { RateKind, RedisPorts, RedisStore } from "../redis/ports.js";
import type { RoomDeps } from "../rooms/roomDeps.js";
import { IdempotencyHeader } from "./schemas.js";
import { validated } from "./validate.js";

/** Who may make a call: a user, counted against a limit; a trusted service; everybody. */
export type Who = { readonly rate: RateKind } | "trusted" | "open";

/** A user who calls, by the token of the call. */
export interface Caller extends Identity {
  readonly token: string;
}

/** What calls need. */
export interface CallDeps extends RoomDeps, Pick<RedisPorts, "sessions"> {
  readonly redis: Pick<RedisStore, "ping">;
  readonly faults: Faults;
  readonly lag: () => Promise<readonly PartitionLag[]>;
  readonly formerBusState: () => Promise<"draining" | "drained"> | undefined;
}

/** A call as the trigger has decoded it. Nothing of it is checked but the caller. */
export interface CallRequest {
  /** Of a call that a user makes. */
  readonly caller: Caller | undefined;
  readonly path: unknown;
  readonly query: unknown;
  /** Parsed JSON. */
  readonly body: unknown;
  /** The header `Idempotency-Key`. */
  readonly key: string | undefined;
  /** W3C Trace Context of the call. */
  readonly traceparent: string | undefined;
}

export interface Answer {
  readonly status: number;
  /** Goes out as JSON. */
  readonly body: object;
}

type Status = 200 | 201 | 202 | 503;

/** What a call answers, by status. An answer without a schema is any object. */
type Answers = { readonly [S in Status]?: readonly [description: string, schema?: z.ZodType] };

/** An entry of the table of calls: what the trigger registers, what the OpenAPI document says, what runs. */
export interface Call {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Below `/api/v1/chat`. */
  readonly route: string;
  readonly who: Who;
  readonly summary: string;
  readonly path?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodObject;
  /** The body may be left out: that stands for one without fields. */
  readonly bodyOptional?: true;
  /** It makes something, once for an `Idempotency-Key`. */
  readonly keyed?: true;
  readonly answers: Answers;
  /** Statuses of its own refusals, besides those that all calls of its kind have. */
  readonly errors?: readonly (403 | 404)[];
  /** Checks the request, then does the work. Throws `INVALID_REQUEST` for a bad one, and as the work does. */
  run(request: CallRequest, deps: CallDeps): Promise<Answer>;
}

type ReadonlyDeep<T> = T extends readonly (infer Item)[]
  ? readonly ReadonlyDeep<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: ReadonlyDeep<T[Key]> }
    : T;

/** What goes out by a schema. */
export type Body<Schema extends z.ZodType> = ReadonlyDeep<z.input<Schema>>;

type Fields = z.ZodObject | undefined;

type FieldsOf<Schema extends Fields> = Schema extends z.ZodObject ? z.output<Schema> : unknown;

/** What a call gets: the fields of its path, query and body, who calls, and what came in headers. */
type Input<W, Path extends Fields, Query extends Fields, Sent extends Fields> = FieldsOf<Path> &
  FieldsOf<Query> &
  FieldsOf<Sent> &
  (W extends { readonly rate: RateKind }
    ? { readonly callerId: number; readonly caller: Caller }
    : unknown) & { readonly key: string | undefined; readonly traceparent: string | undefined };

type BodyOf<One> = One extends readonly [string, infer Schema extends z.ZodType] ? Body<Schema> : object;

/** One of the answers that the entry lists. */
type OneOf<A extends Answers> = {
  [S in keyof A]: { readonly status: S & number; readonly body: BodyOf<A[S]> };
}[keyof A];

/** The member of a union that has one, and nothing of a larger one. */
type Single<U, All = U> = U extends All ? ([All] extends [U] ? U : never) : never;

/** The body of the only answer; where the entry lists several, the status as well. */
type Result<A extends Answers> = [Single<keyof A>] extends [never] ? OneOf<A> : BodyOf<A[keyof A]>;

interface TypedCall<
  W extends Who,
  Path extends Fields,
  Query extends Fields,
  Sent extends Fields,
  A extends Answers,
> extends Omit<Call, "run"> {
  readonly who: W;
  readonly path?: Path & z.ZodObject;
  readonly query?: Query & z.ZodObject;
  readonly body?: Sent & z.ZodObject;
  readonly answers: A;
  run(input: Input<W, Path, Query, Sent>, deps: CallDeps): Promise<Result<A>>;
}

/**
 * An entry of the table. Its `run` gets what the schemas make of a request. They check the path, then the
 * query, the body and the `Idempotency-Key`, and the first that is wrong refuses the call.
 */
export function call<
  const W extends Who,
  const A extends Answers,
  Path extends Fields = undefined,
  Query extends Fields = undefined,
  Sent extends Fields = undefined,
>(typed: TypedCall<W, Path, Query, Sent, A>): Call {
  const [status, ...others] = Object.keys(typed.answers).map(Number);
  return {
    ...typed,
    async run(request, deps) {
      // The one place where the entries' types end: each is made of the schemas that have checked the request
      // here.
      const result: unknown = await typed.run(inputOf(typed, request) as never, deps);
      return (others.length > 0 ? result : { status, body: result }) as Answer;
    },
  };
}

function inputOf({ path, query, body, keyed }: Omit<Call, "run">, request: CallRequest): object {
  const { caller, traceparent } = request;
  return {
    traceparent,
    ...(path && validated(path, request.path)),
    ...(query && validated(query, request.query)),
    ...(body && validated(body, request.body)),
    key: keyed ? keyOf(request) : undefined,
    ...(caller && { caller, callerId: caller.userId }),
  };
}

const keyOf = ({ key }: CallRequest): string | undefined =>
  validated(IdempotencyHeader, { "Idempotency-Key": key })["Idempotency-Key"];
