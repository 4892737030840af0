/** Origins of pages, as the header `Origin` names them: of browsers (RFC 6454), and of the web views and extensions whose schemes are their own. */

/** Without user, path, query and fragment, but for one slash at the end; only `file://` has no host. */
const ORIGIN = /^(?:file:\/\/|[a-z][a-z0-9+.-]*:\/\/[^/?#@*\\\s]+)\/?$/i;

/** Those of which no page comes. */
const NO_PAGES = new Set(["ws:", "wss:", "ftp:", "data:", "blob:", "javascript:", "about:"]);

/**
 * An origin as it is compared, or nothing where a text is none: scheme and host in lower case, without the scheme's usual port. `null`, which sandboxed and local pages
 * have in common with whoever wants to be taken for one, is an origin only by that name.
 */
export function originOf(text: string): string | undefined {
  if (text.toLowerCase() === "null") return "null";
  if (!ORIGIN.test(text) || !URL.canParse(text)) return undefined;
  const { protocol, host, origin } = new URL(text);
  if (NO_PAGES.has(protocol)) return undefined;
  // `URL` says "null" for every scheme that it doesn't know.
  return origin === "null" ? `${protocol}//${host}`.toLowerCase() : origin;
}
