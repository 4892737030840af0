import type { RheaDelivery, RheaLink } from "./rhea.js";

/** The sender settle mode of a peer that has named none, "mixed" (AMQP 1.0 §2.8.2). */
const MIXED = 2;

/** Says what will be in use: the peer's own source and target, and its settle modes (AMQP 1.0 §2.6.3, §2.7.3). */
export function agree(link: RheaLink): void {
  link.set_source({ address: link.source?.address });
  link.set_target({ address: link.target?.address });
  const { attach } = link.local;
  attach.snd_settle_mode = link.snd_settle_mode ?? MIXED;
  attach.rcv_settle_mode = link.rcv_settle_mode ?? 0;
}

/**
 * Attaches without a terminus of our own, which says that there is none, and detaches (AMQP 1.0 §2.6.3). The service
 * leaves out the other one too, and the Go SDK takes an attach with either for one that is to stay.
 */
export function refuse(link: RheaLink, condition: string, description: string): void {
  link.local.attach.source = link.local.attach.target = null;
  link.close({ condition, description });
}

/** A reader that settles second does so when the sender has (AMQP 1.0 §2.6.12). */
export function settleSecond(delivery: RheaDelivery): void {
  if (delivery.remote_settled) return;
  delivery.update(true, undefined);
  delivery.remote_settled = true;
}

/** Nobody settles the deliveries of a link that is gone, and they would fill the session. */
export function settleAll(link: RheaLink): void {
  for (const delivery of link.session.outgoing.deliveries.entries)
    if (delivery?.link === link) delivery.settled = delivery.remote_settled = true;
}
