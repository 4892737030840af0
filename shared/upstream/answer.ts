/** The HTTP answer to an upstream call. */
export interface UpstreamAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

export const plain = (status: number, body: string): UpstreamAnswer => ({
  status,
  headers: { "content-type": "text/plain; charset=utf-8" },
  body,
});
