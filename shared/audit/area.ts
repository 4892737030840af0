/** Something that is not as it follows from something else. */
export interface Finding<Place = unknown> {
  readonly place: Place;
  readonly kind: Kind;
  /** With `kind` it tells one finding from another. */
  readonly where: string;
  readonly expected: string;
  readonly found: string;
  /** Why it can't be derived, and what to do. Without it a repair mends it. */
  readonly unmendable?: string;
}

export type Kind =
  | "seq"
  | "uncounted"
  | "last_seq"
  | "last_message"
  | "member_count"
  | "awaited_count"
  | "joined_seq"
  | "read_position"
  | "hidden_unread"
  | "cached_members"
  | "membership_outbox"
  | "read_outbox"
  | "idempotency_keys"
  | "unfinished_users"
  | "subscription_id"
  | "session"
  | "closing_session";

/** Some of the places of an area. */
export interface Page<Place> {
  readonly places: readonly Place[];
  /** Where to go on after this page, another time. */
  readonly next?: string;
}

/**
 * A part of what is stored that can be audited place by place. `look` tells what differs at this moment; what
 * is under way can look so, and is gone at the next look.
 */
export interface Area<Place> {
  readonly name: "rooms" | "lists" | "ids" | "sessions";
  /** All places, or those after where a `next` has told to go on. */
  pages(after?: string): AsyncIterable<Page<Place>>;
  look(places: readonly Place[]): Promise<readonly Finding<Place>[]>;
  /** Mends what these findings at one place say, and whatever else of it follows. Safe beside the app. */
  mend(place: Place, findings: readonly Finding<Place>[]): Promise<void>;
}
