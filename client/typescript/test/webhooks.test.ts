import assert from "node:assert/strict";
import { test } from "node:test";

import { unwrap, verifyWebhook, WebhookError } from "../src/index.js";
import { admin } from "./service.js";

// The example of the Standard Webhooks specification.
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const body = '{"test": 2432232314}';
const at = new Date(1614265330 * 1000);
const headers = {
  "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
  "webhook-timestamp": "1614265330",
  "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
};

test("a good delivery is taken", async () => {
  const { id } = await verifyWebhook(secret, headers, body, at);
  assert.equal(id, headers["webhook-id"]);
  await verifyWebhook([other, secret], new Headers(headers), new TextEncoder().encode(body), at);
  const twice = { ...headers, "webhook-signature": `v1,AAAA ${headers["webhook-signature"]}` };
  await verifyWebhook(secret, twice, body, new Date(at.getTime() + 300_000));
});

test("anything else is refused", async () => {
  const refused = (...args: Parameters<typeof verifyWebhook>) => assert.rejects(verifyWebhook(...args), WebhookError);
  await refused(other, headers, body, at);
  await refused([], headers, body, at);
  await refused("", headers, body, at);
  await refused("whsec_?", headers, body, at);
  await refused(secret, headers, `${body} `, at);
  await refused(secret, { ...headers, "webhook-id": "another" }, body, at);
  await refused(secret, { ...headers, "webhook-timestamp": "1614265331" }, body, at);
  await refused(secret, { ...headers, "webhook-timestamp": "" }, body, at);
  await refused(secret, { ...headers, "webhook-signature": "" }, body, at);
  await refused(secret, { ...headers, "webhook-signature": headers["webhook-signature"].replace("v1", "v1a") }, body, at);
  await refused(secret, headers, body, new Date(at.getTime() + 301_000));
  await refused(secret, headers, body, new Date(at.getTime() - 301_000));
});

test("webhooks are created, tested and deleted", async () => {
  const { secret, id, events } = await unwrap(admin.POST("/v1/webhooks", {
    body: { url: "https://hooks.example.com/in", owner: "typescript", events: ["api_key.leaked"] },
  }));
  assert.ok(secret.startsWith("whsec_"));
  assert.deepEqual(events, ["api_key.leaked"]);
  const params = { path: { webhook_id: id } };
  const test = await unwrap(admin.POST("/v1/webhooks/{webhook_id}/test", { params }));
  assert.deepEqual([test.type, test.state], ["webhook.test", "waiting"]);
  const { data } = await unwrap(admin.GET("/v1/webhooks/{webhook_id}/deliveries", { params }));
  assert.deepEqual(data.map(({ event_id }) => event_id), [test.event_id]);
  await unwrap(admin.DELETE("/v1/webhooks/{webhook_id}", { params }));
});
