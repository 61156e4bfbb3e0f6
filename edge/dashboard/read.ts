/** Reads from the API of the Worker that serves this page. It keeps the API key for this tab alone. */

const keyName = 'tidemark.key';

/** An answer that is no data: what the API says of it. */
export class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export type Row = Readonly<Record<string, unknown>>;

export interface Answer<Of> {
  readonly data: readonly Of[];
  readonly next?: string;
}

export function keepKey(key: string): void {
  sessionStorage.setItem(keyName, key);
}

/** Reads a resource. Parameters without a value are left out. Throws `Refusal`. */
export async function read<Of = Row>(
  path: string,
  parameters: Readonly<Record<string, string | number | undefined>> = {},
  signal?: AbortSignal,
): Promise<Answer<Of>> {
  const given = Object.entries(parameters).filter(
    ([, value]) => value !== undefined && value !== '',
  );
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
  const key = sessionStorage.getItem(keyName);
  const answer = await fetch(`/api/v1/${path}?${query.toString()}`, {
    headers: key === null ? {} : { authorization: `Bearer ${key}` },
    signal: signal ?? null,
  });
  if (answer.ok) return (await answer.json()) as Answer<Of>;
  const problem = (await answer.json().catch(() => ({}))) as { detail?: string };
  throw new Refusal(answer.status, problem.detail ?? `The API answered ${answer.status}`);
}
