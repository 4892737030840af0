/** The processes of the stack. */
export const PARTS = ["mysql", "redis", "storage", "bus", "sockets", "host1", "host2"] as const;
export type PartName = (typeof PARTS)[number];

export const HOSTS = ["host1", "host2"] as const;
export type HostName = (typeof HOSTS)[number];

/** The ways between the parts: who calls, and who is called. The front spreads over the two hosts. */
export const LINKS = [
  "clients-sockets",
  "clients-front",
  "sockets-front",
  "front-host1",
  "front-host2",
  "host1-mysql",
  "host1-redis",
  "host1-bus",
  "host1-storage",
  "host1-sockets",
  "host2-mysql",
  "host2-redis",
  "host2-bus",
  "host2-storage",
  "host2-sockets",
] as const;
export type LinkName = (typeof LINKS)[number];

export const BUSES = ["eventhubs", "kafka"] as const;
export type BusName = (typeof BUSES)[number];

export const isPart = (name: string): name is PartName => PARTS.some((part) => part === name);
export const isLink = (name: string): name is LinkName => LINKS.some((link) => link === name);
