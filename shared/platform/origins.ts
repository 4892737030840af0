/**
 * Origins of pages, as the header `Origin` names them: those of browsers (RFC 6454), and those of web views
 * and extensions, which have schemes of their own.
 */

/** No user, path, query or fragment, except one slash at the end. Only `file://` has no host. */
const ORIGIN = /^(?:file:\/\/|[a-z][a-z0-9+.-]*:\/\/[^/?#@*\\\s]+)\/?$/i;

/** Schemes that no page comes from. */
const NO_PAGES = new Set(["ws:", "wss:", "ftp:", "data:", "blob:", "javascript:", "about:"]);

/**
 * An origin in the form in which it is compared, or nothing if the text is none. The form is scheme and host
 * in lower case, without the scheme's usual port. `null` stays `null`: sandboxed and local pages share it,
 * and any page can get it, so it is allowed only by that name.
 */
export function originOf(text: string): string | undefined {
  if (text.toLowerCase() === "null") return "null";
  if (!ORIGIN.test(text) || !URL.canParse(text)) return undefined;
  const { protocol, host, origin } = new URL(text);
  if (NO_PAGES.has(protocol)) return undefined;
  // `URL` gives the origin "null" for every scheme that it doesn't know.
  return origin === "null" ? `${protocol}//${host}`.toLowerCase() : origin;
}
