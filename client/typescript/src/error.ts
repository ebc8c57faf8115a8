import type { components } from "./contract.js";

type ErrorResponse = components["schemas"]["ErrorResponse"];

/** An unexpected answer, usually the service's refusal. It never contains the caller's secret. */
export class ApiKeysError extends Error {
  override readonly name = "ApiKeysError";
  /** The HTTP status. */
  readonly status: number;
  /**
   * The error code; undefined if the answer is not the service's. UNAVAILABLE means that nothing
   * was changed: every call may be retried. After OUTCOME_UNKNOWN, or without a code, a change may
   * have been made: check before you repeat a rotation or creation.
   */
  readonly code: string | undefined;
  /** Identifies the request in the service's log. */
  readonly requestId: string | undefined;
  /** The fields that are wrong, if the service named any. */
  readonly details: readonly components["schemas"]["ErrorDetail"][];

  constructor(response: Response, error: unknown) {
    const body = isErrorResponse(error) ? error : undefined;
    super(body?.message ?? `the answer (${response.status}) is not the service's: a proxy may have sent it, or baseUrl is wrong`);
    this.status = response.status;
    this.code = body?.code;
    this.requestId = body?.request_id ?? response.headers.get("x-request-id") ?? undefined;
    this.details = body?.details ?? [];
  }
}

function isErrorResponse(error: unknown): error is ErrorResponse {
  return typeof error === "object" && error !== null && "message" in error && typeof error.message === "string";
}
