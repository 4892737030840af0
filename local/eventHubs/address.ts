/**
 * The entity that a link or an audience names, in the case it was written in: `hub/Partitions/0`. Clients
 * write a path (`hub/Partitions/0`), a path from the root (`/hub/Partitions/0`) or a whole URL of any scheme
 * (`amqps://host:5671/hub/Partitions/0`). They write `$` as it is or as `%24`.
 */
export function entityOf(address: string): string {
  const path = address.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, "").replace(/[?#].*$/, "");
  return unescaped(path).replace(/^\/+|\/+$/g, "");
}

function unescaped(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    // The address holds no escapes. Its name is looked for as it stands.
    return path;
  }
}
