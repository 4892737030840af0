import type { Kind } from "./kind.js";

/** The sockets of all clients are cut at once, by the clients themselves or by the network. */
export const clientsCut: Kind = {
  name: "clients cut",
  draw: (random) => ({ target: random() < 0.5 ? "clients" : "clients-sockets", ms: 100, amount: 0 }),
  async start({ cutClients, stack }, { target }) {
    if (target === "clients") cutClients();
    else stack.links["clients-sockets"].cut();
    return async () => {};
  },
};
