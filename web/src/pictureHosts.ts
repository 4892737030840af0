import { createContext, useContext } from "react";

/** Whose pictures are loaded unasked: `pictures.example.com`, `*.example.com`. Loading one tells its host who reads, and when. */
const Context = createContext<readonly string[]>([]);
export const PictureHosts = Context;

/** Whether a picture of this address may be loaded without asking. */
export function useIsAllowed(): (address: string | null | undefined) => boolean {
  const hosts = useContext(Context);
  return (address) => isAllowed(address, hosts);
}

/** As a browser reads the same hosts in a Content-Security-Policy. */
export function isAllowed(address: string | null | undefined, hosts: readonly string[]): boolean {
  if (!address || !URL.canParse(address)) return false;
  const { protocol, host } = new URL(address);
  if (protocol !== "https:") return false;
  return hosts.some((one) => (one.startsWith("*.") ? host.endsWith(one.slice(1)) : host === one));
}
