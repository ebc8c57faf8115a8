import type { components } from "./contract.js";

type ErrorResponse = components["schemas"]["ErrorResponse"];

/** An answer that is not the one asked for. It never holds the caller's secret. */
export class ApiKeysError extends Error {
  override readonly name = "ApiKeysError";
  /** The HTTP status. */
  readonly status: number;
  /**
   * What is wrong, for a program; undefined if the answer is not the service's. UNAVAILABLE means
   * that nothing was changed: every call may be repeated. After OUTCOME_UNKNOWN, or without a
   * code, a change may have been made: repeat a rotation or creation only once you have looked.
   */
  readonly code: string | undefined;
  /** Names the exchange in the service's log. */
  readonly requestId: string | undefined;
  /** The fields that are wrong, if the service named any. */
  readonly details: readonly components["schemas"]["ErrorDetail"][];

  constructor(response: Response, error: unknown) {
    const told = isErrorResponse(error) ? error : undefined;
    super(told?.message ?? `the answer (${response.status}) is not the service's: a proxy may have made it, or baseUrl is wrong`);
    this.status = response.status;
    this.code = told?.code;
    this.requestId = told?.request_id ?? response.headers.get("x-request-id") ?? undefined;
    this.details = told?.details ?? [];
  }
}

function isErrorResponse(error: unknown): error is ErrorResponse {
  return typeof error === "object" && error !== null && "message" in error && typeof error.message === "string";
}
