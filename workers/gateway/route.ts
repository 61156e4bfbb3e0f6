/** Reads what a request is for from its method and path. Decides nothing else. */

export type Route =
  | { readonly name: 'healthz' | 'readyz' | 'metrics' | 'topics' | 'clusters' }
  | { readonly name: 'produceBinary'; readonly topic: string }
  | { readonly name: 'produceStream'; readonly cluster: string; readonly topic: string }
  | { readonly name: 'none'; readonly status: number; readonly message: string };

interface Endpoint {
  readonly method: 'GET' | 'POST';
  readonly pattern: RegExp;
  readonly route: (parts: readonly string[]) => Route;
}

const endpoints: readonly Endpoint[] = [
  { method: 'GET', pattern: /^\/healthz$/, route: () => ({ name: 'healthz' }) },
  { method: 'GET', pattern: /^\/readyz$/, route: () => ({ name: 'readyz' }) },
  { method: 'GET', pattern: /^\/metrics$/, route: () => ({ name: 'metrics' }) },
  { method: 'GET', pattern: /^\/topics\/?$/, route: () => ({ name: 'topics' }) },
  { method: 'GET', pattern: /^\/v3\/clusters\/?$/, route: () => ({ name: 'clusters' }) },
  {
    method: 'POST',
    pattern: /^\/topics\/([^/]+)$/,
    route: ([topic = '']) => ({ name: 'produceBinary', topic }),
  },
  {
    method: 'POST',
    pattern: /^\/v3\/clusters\/([^/]+)\/topics\/([^/]+)\/records\/?$/,
    route: ([cluster = '', topic = '']) => ({ name: 'produceStream', cluster, topic }),
  },
];

/** The route of a request; `none` says with which status to refuse it. */
export function routeOf(method: string, url: string): Route {
  const [path = ''] = url.split('?');
  const found = endpoints.filter(({ pattern }) => pattern.test(path));
  const endpoint = found.find((one) => one.method === method);
  if (endpoint) return decoded(endpoint, path);
  if (found.length > 0) return none(405, `Use ${found.map((one) => one.method).join(' or ')}`);
  return none(404, 'There is nothing at this path');
}

function decoded({ pattern, route }: Endpoint, path: string): Route {
  try {
    return route((pattern.exec(path) ?? []).slice(1).map(decodeURIComponent));
  } catch {
    return none(400, 'The path has a broken percent sequence');
  }
}

function none(status: number, message: string): Route {
  return { name: 'none', status, message };
}
