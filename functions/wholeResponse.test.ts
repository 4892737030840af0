import { HttpResponse } from "@azure/functions";
import { expect, test } from "vitest";
import { wholeResponse } from "./wholeResponse.js";

/** What the library hands to the host of an answer. */
async function read(response: HttpResponse): Promise<object> {
  const { status, headers, cookies, enableContentNegotiation } = response;
  const body = Buffer.from(await response.arrayBuffer()).toString("hex");
  return { status, headers: Object.fromEntries(headers.entries()), cookies, enableContentNegotiation, body };
}

test.each([
  {
    status: 200,
    headers: { "content-type": "text/plain; charset=utf-8", "ce-connectionstate": "e30=" },
    body: "RECEIPT\nreceipt-id:반가워요\n\n\0",
  },
  { status: 200, headers: { "content-type": "application/octet-stream" }, body: Buffer.from([0, 255, 10]) },
  { status: 204, headers: {} },
  { status: 401, headers: { "content-type": "application/problem+json" }, body: "{}" },
])("an answer of $status is read as one of the library's own", async (answer) => {
  const response = wholeResponse(answer);
  expect(response).toBeInstanceOf(HttpResponse);
  expect(await read(response)).toEqual(await read(new HttpResponse(answer)));
});
