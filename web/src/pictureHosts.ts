import { createContext, useContext } from "react";

/**
 * The hosts whose pictures are loaded unasked: `pictures.example.com`, `*.example.com`. Loading a picture
 * tells its host who reads, and when.
 */
const Context = createContext<readonly string[]>([]);
export const PictureHosts = Context;

/** A function that says whether the picture at an address may be loaded unasked. */
export function useIsAllowed(): (address: string | null | undefined) => boolean {
  const hosts = useContext(Context);
  return (address) => isAllowed(address, hosts);
}

/** Matches hosts as a browser does in a Content-Security-Policy (CSP Level 3, "host-part matches"). */
export function isAllowed(address: string | null | undefined, hosts: readonly string[]): boolean {
  if (!address || !URL.canParse(address)) return false;
  const { protocol, host } = new URL(address);
  if (protocol !== "https:") return false;
  return hosts.some((one) => (one.startsWith("*.") ? host.endsWith(one.slice(1)) : host === one));
}
