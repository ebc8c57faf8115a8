// Code that must not compile: tsc fails where an expected error is missing.

import { createApiKeysClient, listAll, unwrap } from "../src/index.js";
import { admin, baseUrl, tomorrow } from "./service.js";

export async function neverCalled(): Promise<void> {
  // @ts-expect-error: a client needs a key
  createApiKeysClient({ baseUrl });
  // @ts-expect-error: there is no such path
  await admin.GET("/v1/api-key");
  // @ts-expect-error: the path does not take this method
  await admin.DELETE("/v1/api-keys");
  // @ts-expect-error: a new key needs an end
  await admin.POST("/v1/api-keys", { body: { name: "a" } });
  // @ts-expect-error: a name is a string
  await admin.POST("/v1/api-keys", { body: { name: 1, expires_at: tomorrow() } });
  // @ts-expect-error: the path has a parameter
  await admin.GET("/v1/api-keys/{key_name}");

  const key = await unwrap(admin.GET("/v1/api-keys/{key_name}", { params: { path: { key_name: "a" } } }));
  // @ts-expect-error: there is no such status
  key.status === "DELETED";
  // @ts-expect-error: only creation and rotation answer the secret
  key.secret;
  const verified = await unwrap(admin.POST("/v1/verify", { body: { key: "a" } }));
  // @ts-expect-error: there is no such decision
  verified.code === "GOOD";
  // @ts-expect-error: an unknown secret has no key
  verified.key.name;
  // @ts-expect-error: metadata is text
  await admin.POST("/v1/api-keys", { body: { name: "a", expires_at: tomorrow(), metadata: { a: 1 } } });
  // @ts-expect-error: there is no such filter
  listAll(admin, { name: "a" });
  const { data } = await admin.GET("/v1/api-keys");
  // @ts-expect-error: data is undefined if there is an error
  data.data;
}
