/** The one rate limit of the stack that the tests share: how many UNSUBSCRIBEs of a user pass in a minute. */
export const UNSUBSCRIBES_A_MINUTE = 100;
