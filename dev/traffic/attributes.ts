/**
 * The attributes of the traffic's resources and spans, by OpenTelemetry's semantic conventions.
 * Values are random but of the usual sizes and kinds; nothing here knows time or structure.
 */
import type { Attributes } from '@opentelemetry/api';
import type { Random } from './random.ts';
import type { Flavour, Service, Step } from './shop.ts';

/** The resource of a service's one instance. */
export function resourceOf(service: Service, random: Random): Attributes {
  const pod = `${service.name}-${random.hex(4)}`;
  return {
    'service.name': service.name,
    'service.version': service.version,
    'service.namespace': 'shop',
    'service.instance.id': random.hex(16),
    'deployment.environment.name': 'production',
    'host.name': `node-${random.below(12) + 1}.eu-central-1.internal`,
    'k8s.pod.name': pod,
    'cloud.region': 'eu-central-1',
    'telemetry.sdk.name': 'opentelemetry',
    'telemetry.sdk.language': service.language,
  };
}

const agents = [
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 Safari/605.1',
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/146.0',
];
const queries = ['Kaffeemühle', 'running shoes', 'зонт', 'hülle 15"', 'usb-c cable', '雨傘'];

type Maker = (step: Step, failed: boolean, random: Random) => Attributes;

const makers: Record<Flavour, Maker> = {
  server: (step, failed, random) => {
    const [method = 'GET', route = '/'] = step.name.split(' ');
    return {
      'http.request.method': method,
      'http.route': route,
      'url.path': filled(route, random),
      'url.scheme': 'http',
      'http.response.status_code': failed ? random.pick([500, 502, 503]) : 200,
      'server.address': `${step.service}.shop.svc`,
      'server.port': 8080,
      'client.address': `10.${random.below(256)}.${random.below(256)}.${random.below(256)}`,
      'network.protocol.version': '1.1',
      'user_agent.original': random.pick(agents),
    };
  },
  client: (step, failed, random) => {
    const [method = 'GET', route = '/'] = step.name.split(' ');
    const host = `${step.children[0]?.service ?? 'other'}.shop.svc`;
    return {
      'http.request.method': method,
      'url.full': `http://${host}:8080${filled(route, random)}`,
      'url.template': route,
      'server.address': host,
      'server.port': 8080,
      'http.response.status_code': failed ? 503 : 200,
      'network.peer.address': `10.0.${random.below(256)}.${random.below(256)}`,
    };
  },
  external: (step, failed, random) => ({
    'http.request.method': 'POST',
    'server.address': `${step.name.split(' ')[1] ?? 'api'}.example`,
    'server.port': 443,
    'http.response.status_code': failed ? 504 : 201,
    'network.protocol.version': '2',
    'app.attempt.budget_ms': 2000 + random.below(500),
    'tls.protocol.version': '1.3',
  }),
  database: (step, _failed, random) => {
    const [operation = 'SELECT', ...rest] = step.name.split(' ');
    const collection = rest.join('_');
    return {
      'db.system.name': step.service === 'search' ? 'opensearch' : 'postgresql',
      'db.namespace': step.service,
      'db.operation.name': operation,
      'db.collection.name': collection,
      'db.query.text': `${operation} … ${collection} WHERE id = $1 AND tenant = $2`,
      'server.address': `${step.service}-db-${random.below(3)}.shop.svc`,
      'server.port': 5432,
      'db.response.returned_rows': random.below(60),
    };
  },
  cache: (step, _failed, random) => ({
    'db.system.name': 'redis',
    'db.operation.name': step.name.split(' ')[0] ?? 'GET',
    'db.query.text': `${step.name}:${random.below(100_000)}`,
    'db.namespace': '0',
    'server.address': 'redis.shop.svc',
    'server.port': 6379,
    'app.cache.hit': random.chance(0.85),
  }),
  producer: messaging,
  consumer: messaging,
  internal: (step, _failed, random) => ({
    'code.function.name': step.name.replaceAll(' ', '_'),
    'code.file.path': `src/${step.service}/${step.name.split(' ').at(-1) ?? 'main'}`,
    'code.line.number': 20 + random.below(400),
    'thread.id': random.below(64),
    'thread.name': `worker-${random.below(8)}`,
    'app.items': random.below(200),
    'app.score': Math.round(random.fraction() * 1e6) / 1e6,
    'app.flags': [random.pick(['a', 'b']), 'eu'],
  }),
};

/** Between 6 and 10 attributes of one span; `attempt` counts from 1. */
export function attributesOf(
  step: Step,
  failed: boolean,
  attempt: number,
  random: Random,
): Attributes {
  const attributes = makers[step.flavour](step, failed, random);
  return attempt > 1 ? { ...attributes, 'http.request.resend_count': attempt - 1 } : attributes;
}

function messaging(step: Step, _failed: boolean, random: Random): Attributes {
  const [operation = 'process', topic = ''] = step.name.split(' ');
  return {
    'messaging.system': 'kafka',
    'messaging.destination.name': topic,
    'messaging.operation.name': operation,
    'messaging.operation.type': operation,
    'messaging.destination.partition.id': String(random.below(12)),
    'messaging.kafka.offset': 4_000_000_000 + random.below(1_000_000_000),
    'messaging.message.id': random.hex(16),
    'messaging.message.body.size': 200 + random.below(4000),
  };
}

function filled(route: string, random: Random): string {
  if (route.endsWith('/search')) return `${route}?q=${encodeURIComponent(random.pick(queries))}`;
  return route.replaceAll(/\{\w+\}/g, () => String(random.below(50_000)));
}
