/** Where the page may go besides its own origin. */
export interface Elsewhere {
  /** The HTTP API, `http://127.0.0.1:7071`. */
  readonly api: string;
  /** The socket service, `ws://127.0.0.1:8080`. */
  readonly sockets: string;
  /** Hosts whose pictures are shown unasked: `pictures.example.com`, `*.example.com`. */
  readonly imageHosts: readonly string[];
}

const OF_ALL = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
};

/**
 * The policy of a frame without an origin of its own. It may only show a picture, of any host, that a reader
 * has agreed to.
 */
const OF_PICTURE =
  "sandbox allow-scripts; default-src 'none'; script-src 'self'; style-src 'self'; img-src https:; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/**
 * The security headers of an answer. The page runs its own scripts, talks to the two addresses it needs, and
 * loads pictures of the hosts it was set to, and other pictures only within `/picture.html`. A web server
 * elsewhere should send the same.
 */
export function securityHeaders(
  path: string,
  { api, sockets, imageHosts }: Elsewhere,
): Record<string, string> {
  const images = imageHosts.map((host) => ` https://${host}`).join("");
  const policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; manifest-src 'self'; frame-src 'self'; " +
    `img-src 'self'${images}; connect-src 'self' ${originOf(api)} ${originOf(sockets)}; ` +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
  return { ...OF_ALL, "content-security-policy": path === "/picture.html" ? OF_PICTURE : policy };
}

/**
 * The address without its path, because a policy with a path would allow that path only. Throws when it is no
 * address.
 */
function originOf(address: string): string {
  const { protocol, host } = new URL(address);
  return `${protocol}//${host}`;
}

const HOST = /^(\*\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]+(:\d{1,5})?$/;

/**
 * Reads a list of hosts, separated by commas. Throws when an entry is no host, because the hosts become part
 * of a header.
 */
export function readHosts(text: string): string[] {
  const hosts = text
    .split(",")
    .map((host) => host.trim().toLowerCase())
    .filter((host) => host !== "");
  const wrong = hosts.find((host) => !HOST.test(host));
  if (wrong !== undefined) throw new Error(`${wrong} is no host, like pictures.example.com or *.example.com`);
  return hosts;
}
