// The API client, against a small server of this test.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { ApiClient } from "../../web/api.js";

let server;
let api;
let requests;
let respond;

before(async () => {
  server = createServer((request, response) => {
    requests.push([request.method, request.url, request.headers.authorization]);
    const [status, body, headers] = respond(request);
    response.writeHead(status, { "Content-Type": "application/json", Connection: "close", ...headers }).end(JSON.stringify(body));
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  api = `http://127.0.0.1:${server.address().port}`;
});
after(() => server.close());

function client(reply, token = "t") {
  requests = [];
  respond = reply;
  return new ApiClient({ api: `${api}/`, token }, fetch);
}

test("after a 401 a new token is requested, once", async () => {
  const flags = [];
  const token = (afresh) => (flags.push(afresh), afresh ? "new" : "old");
  const made = client(({ headers }) => (headers.authorization === "Bearer new" ? [200, { userId: "ann" }] : [401, { code: "unauthorized" }]), token);
  assert.deepEqual(await made.session(), { userId: "ann" });
  assert.deepEqual(flags, [false, true]);
});

test("a token that stays rejected is reported as signed out, with the service's message", async () => {
  const made = client(() => [401, { code: "unauthorized", detail: "the token has expired" }]);
  await assert.rejects(made.session(), { name: "Refused", signedOut: true, code: "unauthorized", message: "the token has expired" });
  assert.equal(requests.length, 2);
});

test("a limit is temporary, a rule is not", async () => {
  await assert.rejects(client(() => [429, {}]).sync(), { temporary: true, signedOut: false });
  await assert.rejects(client(() => [409, { code: "blocked_by_caller" }]).sync(), { temporary: false, code: "blocked_by_caller" });
});

test("a rejected request is retried after retryAfter", async () => {
  const made = client(() => (requests.length < 3 ? [503, { code: "overloaded", retryAfter: 0.01 }] : [200, { ids: [1] }]));
  assert.deepEqual(await made.request("PUT", "/v1/friends/bob"), { ids: [1] });
  assert.equal(requests.length, 3);
});

test("a retryAfter beyond the timeout is an error at once", async () => {
  await assert.rejects(client(() => [429, { code: "rate_limited", retryAfter: 60 }]).sync(), { code: "rate_limited", comeBackAfter: 60 });
  assert.equal(requests.length, 1);
});

test("other failures are errors at once: only a rejected request is retried", async () => {
  await assert.rejects(client(() => [503, { code: "graph_unavailable", retryAfter: 0.01 }]).sync(), { code: "graph_unavailable" });
  assert.equal(requests.length, 1);
});

test("a response that is not JSON is a problem with a message", async () => {
  await assert.rejects(client(() => [502, undefined]).sync(), { message: "the service responded with 502" });
});

test("no connection is a problem with a message", async () => {
  const made = new ApiClient({ api: "http://127.0.0.1:1", token: "t" }, fetch);
  await assert.rejects(made.sync(), { name: "Unreachable", message: "the service does not respond (no connection)" });
});

test("a list is read to its end", async () => {
  const made = client(({ url }) => [200, url.includes("after=b%2B") ? { ids: [3], next: null } : { ids: [1, 2], next: "b+" }]);
  const ids = [];
  await made.pages("/v1/friends", (page) => ids.push(...page.ids));
  assert.deepEqual(ids, [1, 2, 3]);
  assert.deepEqual(requests.map(([, url]) => url), ["/v1/friends?limit=1000", "/v1/friends?limit=1000&after=b%2B"]);
});

test("the service's clock is known, however wrong the device's is", async () => {
  const ahead = new Date(Date.now() + 3_600_000).toUTCString();
  const made = client(() => [200, {}, { Date: ahead }]);
  await made.sync();
  assert.ok(Math.abs(made.clockOffset - 3_600_000) < 5_000);
});
