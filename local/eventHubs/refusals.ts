/** An error for a peer, as AMQP has them (AMQP 1.0 §2.8.14). */
export interface AmqpError {
  readonly condition: string;
  readonly description: string;
}

/** Thrown while a link attaches: the link is detached with it. */
export class Refusal extends Error {
  readonly condition: string;
  constructor(condition: string, description: string) {
    super(description);
    this.condition = condition;
  }
}

/** Every refusal of the service that says "there is no such thing". */
export function notFound(entity: string): Refusal {
  return new Refusal("amqp:not-found", `The messaging entity '${entity}' could not be found.`);
}

/** The refusal of an entity that no claim covers, or only claims that have run out. */
export function unauthorized(entity: string): Refusal {
  return new Refusal(
    "amqp:unauthorized-access",
    `Unauthorized access. No valid claim for '${entity}': send a token for it to $cbs first.`,
  );
}
