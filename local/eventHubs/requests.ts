import type { Peer } from "./broker.js";
import type { Hub } from "./hubs.js";
import type { Partition } from "./partition.js";
import type { ReplyLink, RequestAddress } from "./replies.js";
import { type RheaMessage, rhea } from "./rhea.js";
import { addClaim, checkToken, isAuthorized, type TokenCheck } from "./sas.js";

interface Answer {
  readonly status: number;
  readonly description: string;
  readonly condition?: string;
  readonly body?: unknown;
}

const { wrap_int, wrap_long, wrap_map, wrap_symbol, wrap_timestamp, wrap_array } = rhea.types;

/** Handles one request and sends its reply; a request without a reply link is dropped. */
export function answerRequest(
  peer: Peer,
  address: RequestAddress,
  bytes: Buffer,
  replyLink: (replyTo: string) => ReplyLink | undefined,
): void {
  const request = rhea.message.decode(bytes);
  const reply = (answer: Answer): void =>
    replyLink(String(request.reply_to ?? ""))?.send({
      correlation_id: request.message_id,
      application_properties: {
        "status-code": wrap_int(answer.status),
        "status-description": answer.description,
        ...(answer.condition ? { "error-condition": wrap_symbol(answer.condition) } : {}),
      },
      body: answer.body,
    });
  const answer = address === "$cbs" ? putToken(peer, request) : readFacts(peer, request);
  if (answer instanceof Promise) void answer.then(reply);
  else reply(answer);
}

/** Claims-based security as Event Hubs has it: stores a token for an audience until the token expires. */
function putToken(peer: Peer, request: RheaMessage): Answer | Promise<Answer> {
  const { operation, type, name } = request.application_properties ?? {};
  if (operation !== "put-token")
    return {
      status: 501,
      description: `unknown operation '${operation}'`,
      condition: "amqp:not-implemented",
    };
  const audience = String(name ?? "");
  const accept = (check: TokenCheck): Answer => {
    if (!check.ok) return refused(check.reason);
    addClaim(peer.claims, audience, check.expiresAt);
    return { status: 202, description: "Accepted" };
  };
  // Its keys may have to be fetched. A check never rejects.
  if (type === "jwt") return peer.broker.checkJwt(request.body).then(accept);
  if (type !== "servicebus.windows.net:sastoken")
    return refused(`tokens of type '${type}' are not supported here: use a shared access key`);
  return accept(checkToken(request.body, audience, peer.broker.keys));
}

function refused(reason: string): Answer {
  return { status: 401, description: `InvalidSignature: ${reason}.`, condition: "amqp:unauthorized-access" };
}

function readFacts(peer: Peer, request: RheaMessage): Answer | Promise<Answer> {
  const { operation, name, security_token: token } = request.application_properties ?? {};
  const hub = peer.broker.hubs.get(String(name ?? "").toLowerCase());
  if (operation !== "READ")
    return {
      status: 501,
      description: `unknown operation '${operation}'`,
      condition: "amqp:not-implemented",
    };
  if (!hub)
    return {
      status: 404,
      description: `The messaging entity '${name}' could not be found.`,
      condition: "amqp:not-found",
    };
  const answer = (refusal: Answer | undefined): Answer => refusal ?? factsOf(hub, request);
  if (isJwt(token))
    return peer.broker.checkJwt(token).then((check) => answer(check.ok ? undefined : refused(check.reason)));
  return answer(refusalToRead(peer, hub, token));
}

/** A token of Entra ID is three parts of base64url. */
const isJwt = (token: unknown): boolean =>
  typeof token === "string" && /^[\w-]+\.[\w-]+\.[\w-]*$/.test(token);

function factsOf(hub: Hub, request: RheaMessage): Answer {
  const { type, partition: id } = request.application_properties ?? {};
  if (type === "com.microsoft:eventhub") return { status: 200, description: "OK", body: hubFacts(hub) };
  const partition = hub.partitions.find((each) => each.id === String(id));
  if (type === "com.microsoft:partition" && partition)
    return { status: 200, description: "OK", body: partitionFacts(hub, partition) };
  return {
    status: 400,
    description: `'${type}' '${id}' is neither the hub nor one of its partitions`,
    condition: "com.microsoft:argument-out-of-range",
  };
}

/** Some clients send the token along with the request, and none to `$cbs`. */
function refusalToRead(peer: Peer, hub: Hub, token: unknown): Answer | undefined {
  if (token !== undefined && token !== null) {
    const check = checkToken(token, `sb://-/${hub.name}/$management`, peer.broker.keys);
    return check.ok ? undefined : refused(check.reason);
  }
  if (isAuthorized(peer.claims, `${hub.name}/$management`)) return undefined;
  return {
    status: 401,
    description: `no valid claim for '${hub.name}'`,
    condition: "amqp:unauthorized-access",
  };
}

function hubFacts(hub: Hub): unknown {
  return wrap_map({
    name: hub.name,
    type: "com.microsoft:eventhub",
    created_at: wrap_timestamp(hub.createdAt),
    partition_count: wrap_int(hub.partitions.length),
    partition_ids: wrap_array(
      hub.partitions.map((each) => each.id),
      0xa1,
    ),
    georeplication_factor: wrap_int(1),
  });
}

function partitionFacts(hub: Hub, partition: Partition): unknown {
  return wrap_map({
    name: hub.name,
    type: "com.microsoft:partition",
    partition: partition.id,
    begin_sequence_number: wrap_long(partition.firstSequence),
    last_enqueued_sequence_number: wrap_long(partition.endSequence - 1),
    last_enqueued_offset: String(partition.last?.offset ?? -1),
    last_enqueued_time_utc: wrap_timestamp(partition.last?.enqueuedTime ?? 0),
    is_partition_empty: partition.firstSequence === partition.endSequence,
  });
}
