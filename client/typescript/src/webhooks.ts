import type { components } from "./contract.js";

/** What a webhook is told: an audit event with its place in its chain. */
export interface WebhookEvent {
  /** The event's id; a repeated delivery has the same. */
  id: string;
  type: components["schemas"]["WebhookEventType"];
  timestamp: string;
  data: components["schemas"]["AuditEvent"] & { chain: string; sequence: number; hash: string };
}

/** Thrown for what is not a delivery of the service, or an old one. */
export class WebhookError extends Error {
  override name = "WebhookError";
}

/** How far the time of a delivery may differ from the receiver's clock, in seconds. */
export const webhookTolerance = 5 * 60;

/** Headers as fetch, Node.js and most frameworks have them. */
export type WebhookHeaders = Headers | Record<string, string | string[] | undefined>;

/**
 * Checks a delivery by the Standard Webhooks specification, in constant time, and returns its event.
 * The body must be read completely, and unchanged. During a rotation, pass both secrets. Throws a
 * WebhookError.
 */
export async function verifyWebhook(
  secrets: string | string[],
  headers: WebhookHeaders,
  body: string | Uint8Array,
  now: Date = new Date(),
): Promise<WebhookEvent> {
  const header = (name: string): string => {
    const value = headers instanceof Headers ? headers.get(name) : headers[name];
    return typeof value === "string" ? value : "";
  };
  const id = header("webhook-id");
  const timestamp = header("webhook-timestamp");
  if (id === "" || !/^\d{1,12}$/.test(timestamp)) {
    throw new WebhookError("webhook-id or webhook-timestamp is missing or malformed");
  }
  if (Math.abs(now.getTime() / 1000 - Number(timestamp)) > webhookTolerance) {
    throw new WebhookError(`its time differs by more than ${webhookTolerance} s from this clock`);
  }
  const encoder = new TextEncoder();
  const text = typeof body === "string" ? body : new TextDecoder().decode(body);
  const signed = encoder.encode(`${id}.${timestamp}.${text}`);
  const signatures = header("webhook-signature").split(" ").filter((one) => one.startsWith("v1,"));
  let good = false;
  for (const secret of [secrets].flat()) {
    const raw = bytes(secret.replace(/^whsec_/, ""));
    if (raw === undefined || raw.length === 0) {
      throw new WebhookError("a secret is not whsec_ and base64");
    }
    const key = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
    for (const signature of signatures) {
      const mac = bytes(signature.slice("v1,".length));
      good = (mac !== undefined && (await crypto.subtle.verify("HMAC", key, mac, signed))) || good;
    }
  }
  if (!good) {
    throw new WebhookError("no signature matches");
  }
  try {
    return { ...(JSON.parse(text) as Omit<WebhookEvent, "id">), id };
  } catch {
    throw new WebhookError("its body is not JSON");
  }
}

/** Decodes base64; undefined if it is none. */
function bytes(base64: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}
