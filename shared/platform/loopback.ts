const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i;

/** Whether a host of a URL is this machine, so that nobody can stand between. */
export const isLoopback = (host: string): boolean => LOOPBACK.test(host);
