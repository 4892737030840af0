/** True for a host name (without port) that means this machine itself. */
export function isLoopback(hostname: string): boolean {
  const name = hostname.toLowerCase();
  return name === "localhost" || name === "[::1]" || name === "::1" || /^127(\.\d{1,3}){3}$/.test(name);
}

/**
 * True when a `WebHook-Allowed-Origin` header lets `origin` in. The header holds one host or `*`, no list; it
 * may be repeated. Names of the loopback address count as one, and a name without a port allows every port.
 */
export function originAllowed(allowed: string | string[] | undefined, origin: string): boolean {
  return (Array.isArray(allowed) ? allowed : [allowed ?? ""]).some((entry) => {
    const name = entry.trim().toLowerCase();
    return name === "*" || (name !== "" && sameHost(name, origin.toLowerCase()));
  });
}

function sameHost(allowed: string, origin: string): boolean {
  const a = splitPort(allowed);
  const b = splitPort(origin);
  if (a.port !== "" && a.port !== b.port) return false;
  return a.host === b.host || (isLoopback(a.host) && isLoopback(b.host));
}

function splitPort(value: string): { host: string; port: string } {
  const match = /^(.*?)(?::(\d+))?$/.exec(value);
  return { host: match?.[1] ?? value, port: match?.[2] ?? "" };
}
