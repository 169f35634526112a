// The service's API as a client calls it, against a small server of this test.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { Calls } from "../../web/api.js";

let server;
let api;
let heard;
let answer;

before(async () => {
  server = createServer((request, response) => {
    heard.push([request.method, request.url, request.headers.authorization]);
    const [status, body, headers] = answer(request);
    response.writeHead(status, { "Content-Type": "application/json", Connection: "close", ...headers }).end(JSON.stringify(body));
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  api = `http://127.0.0.1:${server.address().port}`;
});
after(() => server.close());

function calls(reply, token = "t") {
  heard = [];
  answer = reply;
  return new Calls({ api: `${api}/`, token }, fetch);
}

test("a refused token is asked for afresh, once", async () => {
  const asked = [];
  const token = (afresh) => (asked.push(afresh), afresh ? "new" : "old");
  const made = calls(({ headers }) => (headers.authorization === "Bearer new" ? [200, { userId: "ann" }] : [401, { code: "unauthorized" }]), token);
  assert.deepEqual(await made.session(), { userId: "ann" });
  assert.deepEqual(asked, [false, true]);
});

test("a token that stays refused is told as signed out, with the service's words", async () => {
  const made = calls(() => [401, { code: "unauthorized", detail: "the token has expired" }]);
  await assert.rejects(made.session(), { name: "Refused", signedOut: true, code: "unauthorized", message: "the token has expired" });
  assert.equal(heard.length, 2);
});

test("a limit is temporary, a rule is not", async () => {
  await assert.rejects(calls(() => [429, {}]).sync(), { temporary: true, signedOut: false });
  await assert.rejects(calls(() => [409, { code: "blocked_by_caller" }]).sync(), { temporary: false, code: "blocked_by_caller" });
});

test("who is sent away comes back as told, and is answered", async () => {
  const made = calls(() => (heard.length < 3 ? [503, { code: "overloaded", retryAfter: 0.01 }] : [200, { ids: [1] }]));
  assert.deepEqual(await made.call("PUT", "/v1/friends/bob"), { ids: [1] });
  assert.equal(heard.length, 3);
});

test("a pause that is longer than a person waits is told at once", async () => {
  await assert.rejects(calls(() => [429, { code: "rate_limited", retryAfter: 60 }]).sync(), { code: "rate_limited", comeBackAfter: 60 });
  assert.equal(heard.length, 1);
});

test("a fault is told at once: only what was sent away undone is tried again", async () => {
  await assert.rejects(calls(() => [503, { code: "graph_unavailable", retryAfter: 0.01 }]).sync(), { code: "graph_unavailable" });
  assert.equal(heard.length, 1);
});

test("an answer that is no JSON is a problem in words", async () => {
  await assert.rejects(calls(() => [502, undefined]).sync(), { message: "the service answered 502" });
});

test("nobody there is told in words", async () => {
  const made = new Calls({ api: "http://127.0.0.1:1", token: "t" }, fetch);
  await assert.rejects(made.sync(), { name: "Unreachable", message: "the service does not answer (no connection)" });
});

test("a list is read to its end", async () => {
  const made = calls(({ url }) => [200, url.includes("after=b%2B") ? { ids: [3], next: null } : { ids: [1, 2], next: "b+" }]);
  const found = [];
  await made.pages("/v1/friends", (page) => found.push(...page.ids));
  assert.deepEqual(found, [1, 2, 3]);
  assert.deepEqual(heard.map(([, url]) => url), ["/v1/friends?limit=1000", "/v1/friends?limit=1000&after=b%2B"]);
});

test("the service's clock is known, however wrong the device's is", async () => {
  const ahead = new Date(Date.now() + 3_600_000).toUTCString();
  const made = calls(() => [200, {}, { Date: ahead }]);
  await made.sync();
  assert.ok(Math.abs(made.ahead - 3_600_000) < 5_000);
});
