// What Kubb's calls are sent with. Kubb's own fetch client sends no content-type, sends forms as
// JSON, throws no error, and its types do not compile without skipLibCheck.
import { key, Refused, url } from "./program";

export interface RequestConfig<Data = unknown> {
  baseURL?: string;
  url?: string;
  method?: "GET" | "PUT" | "PATCH" | "POST" | "DELETE" | "OPTIONS" | "HEAD";
  params?: object;
  data?: Data;
  headers?: HeadersInit;
}
export type ResponseErrorConfig<E = unknown> = E;
export type Client = typeof send;

export default async function send<Answer, _Error = unknown, Data = unknown>(config: RequestConfig<Data>): Promise<{ data: Answer }> {
  const query = new URLSearchParams(
    Object.entries(config.params ?? {}).filter(([, value]) => value !== undefined).map(([name, value]) => [name, String(value)]),
  );
  const form = config.url === "/v1/introspect";
  const headers = new Headers(config.headers);
  headers.set("x-api-key", key);
  if (config.data !== undefined) headers.set("content-type", form ? "application/x-www-form-urlencoded" : "application/json");
  const answer = await fetch(`${url}${config.url}?${query}`, {
    method: config.method ?? "GET",
    headers,
    ...(config.data !== undefined && {
      body: form ? new URLSearchParams(config.data as Record<string, string>) : JSON.stringify(config.data),
    }),
  });
  const data = await answer.json();
  if (!answer.ok) throw new Refused(answer.status, data.code);
  return { data };
}
