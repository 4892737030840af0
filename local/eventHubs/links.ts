import type { RheaDelivery, RheaLink } from "./rhea.js";

/** The sender settle mode "mixed", which a peer has that names none (AMQP 1.0 §2.8.2). */
const MIXED = 2;

/**
 * Agrees to what the peer asked for: its own source and target, and its settle modes (AMQP 1.0 §2.6.3,
 * §2.7.3).
 */
export function agree(link: RheaLink): void {
  link.set_source({ address: link.source?.address });
  link.set_target({ address: link.target?.address });
  const { attach } = link.local;
  attach.snd_settle_mode = link.snd_settle_mode ?? MIXED;
  attach.rcv_settle_mode = link.rcv_settle_mode ?? 0;
}

/**
 * Refuses a link: attaches without a terminus of our own, which says that there is none, and detaches (AMQP
 * 1.0 §2.6.3). The service leaves out the peer's terminus too, because the Go SDK takes an attach with either
 * of them for a link that stays.
 */
export function refuse(link: RheaLink, condition: string, description: string): void {
  link.local.attach.source = link.local.attach.target = null;
  link.close({ condition, description });
}

/** Settles a delivery for a reader that settles second, which waits for the sender (AMQP 1.0 §2.6.12). */
export function settleSecond(delivery: RheaDelivery): void {
  if (delivery.remote_settled) return;
  delivery.update(true, undefined);
  delivery.remote_settled = true;
}

/**
 * Settles the deliveries of a link that is gone. Its peer does not do it any more, and they would fill the
 * session.
 */
export function settleAll(link: RheaLink): void {
  for (const delivery of link.session.outgoing.deliveries.entries)
    if (delivery?.link === link) delivery.settled = delivery.remote_settled = true;
}
