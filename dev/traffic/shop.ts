/**
 * The shop that the traffic comes from, as data: its services and what each kind of request sets
 * off. Nothing here is random and nothing here sends.
 */

export type Flavour =
  'server' | 'client' | 'external' | 'database' | 'cache' | 'producer' | 'consumer' | 'internal';

/** One span of a request's call tree. Times are the step's own work, without its children. */
export interface Step {
  readonly service: string;
  readonly name: string;
  readonly flavour: Flavour;
  readonly medianMs: number;
  /** Sigma of the logarithm of the step's own time. */
  readonly sigma: number;
  readonly errorRate: number;
  /** How often a failing call is tried in all. */
  readonly tries: number;
  /** How likely it is that the step happens at all. */
  readonly chance: number;
  /** Children start together, not one after the other. */
  readonly parallel: boolean;
  /** A failure of this step does not fail its parent. */
  readonly optional: boolean;
  readonly children: readonly Step[];
  /** Traces that other services start when they take this producer's message. */
  readonly consumers: readonly Step[];
}

export type Encoding = 'protobuf' | 'protobuf+gzip' | 'json';

export interface Service {
  readonly name: string;
  readonly version: string;
  readonly language: string;
  /** How its SDK sends. */
  readonly encoding: Encoding;
}

export const services: readonly Service[] = [
  { name: 'web-frontend', version: '5.2.1', language: 'nodejs', encoding: 'protobuf+gzip' },
  { name: 'api-gateway', version: '3.0.4', language: 'go', encoding: 'protobuf' },
  { name: 'catalog', version: '2.14.0', language: 'java', encoding: 'protobuf' },
  { name: 'search', version: '1.9.3', language: 'rust', encoding: 'protobuf+gzip' },
  { name: 'cart', version: '4.1.0', language: 'dotnet', encoding: 'protobuf' },
  { name: 'checkout', version: '2.7.5', language: 'go', encoding: 'protobuf' },
  { name: 'payment', version: '6.0.2', language: 'java', encoding: 'protobuf+gzip' },
  { name: 'inventory', version: '2.3.3', language: 'go', encoding: 'protobuf' },
  { name: 'recommendation', version: '0.8.12', language: 'python', encoding: 'protobuf' },
  { name: 'shipping', version: '1.4.0', language: 'python', encoding: 'protobuf' },
  { name: 'email', version: '1.1.7', language: 'ruby', encoding: 'protobuf' },
  { name: 'warehouse', version: '3.5.0', language: 'java', encoding: 'protobuf' },
  { name: 'courier-app', version: '7.3.0', language: 'kotlin', encoding: 'json' },
];

/** A kind of request: how often it comes, in proportion, and the tree that it sets off. */
export interface Journey {
  readonly weight: number;
  readonly root: Step;
}

type Extra = Partial<Omit<Step, 'service' | 'name' | 'flavour' | 'medianMs'>>;

function step(
  service: string,
  flavour: Flavour,
  name: string,
  medianMs: number,
  extra: Extra,
): Step {
  return {
    service,
    flavour,
    name,
    medianMs,
    sigma: 0.45,
    errorRate: 0,
    tries: 1,
    chance: 1,
    parallel: false,
    optional: false,
    children: [],
    consumers: [],
    ...extra,
  };
}

function server(service: string, name: string, medianMs: number, extra: Extra = {}): Step {
  return step(service, 'server', name, medianMs, { errorRate: 0.002, ...extra });
}

/** A call from one service to another: the client's span with the server's inside. */
function call(from: string, to: string, name: string, medianMs: number, extra: Extra = {}): Step {
  const { chance = 1, tries = 1, optional = false, ...inner } = extra;
  const children = [server(to, name, medianMs, inner)];
  return step(from, 'client', name, 1.2, { chance, tries, optional, children });
}

function external(service: string, name: string, medianMs: number, extra: Extra = {}): Step {
  return step(service, 'external', name, medianMs, { sigma: 0.6, errorRate: 0.004, ...extra });
}

function database(service: string, name: string, medianMs: number, extra: Extra = {}): Step {
  return step(service, 'database', name, medianMs, { sigma: 0.7, errorRate: 0.0008, ...extra });
}

function cache(service: string, name: string, extra: Extra = {}): Step {
  return step(service, 'cache', name, 0.35, { sigma: 0.35, optional: true, ...extra });
}

function internal(service: string, name: string, medianMs: number, extra: Extra = {}): Step {
  return step(service, 'internal', name, medianMs, extra);
}

function publish(service: string, topic: string, consumers: readonly Step[]): Step {
  return step(service, 'producer', `send ${topic}`, 2.1, { errorRate: 0.001, consumers });
}

function consume(service: string, topic: string, medianMs: number, children: Step[]): Step {
  return step(service, 'consumer', `process ${topic}`, medianMs, { errorRate: 0.003, children });
}

const recommend = (from: string): Step =>
  call(from, 'recommendation', 'GET /recommendations', 6, {
    chance: 0.7,
    optional: true,
    errorRate: 0.008,
    children: [
      cache('recommendation', 'GET features'),
      internal('recommendation', 'rank candidates', 14, { sigma: 0.6 }),
    ],
  });

const home: Step = server('web-frontend', 'GET /', 9, {
  children: [
    call('web-frontend', 'api-gateway', 'GET /api/home', 2, {
      parallel: true,
      children: [
        call('api-gateway', 'catalog', 'GET /products', 4, {
          children: [
            cache('catalog', 'GET products'),
            database('catalog', 'SELECT products', 7, { chance: 0.4 }),
          ],
        }),
        recommend('api-gateway'),
      ],
    }),
    internal('web-frontend', 'render page', 6),
  ],
});

const product: Step = server('web-frontend', 'GET /product/{id}', 7, {
  children: [
    call('web-frontend', 'api-gateway', 'GET /api/products/{id}', 2, {
      parallel: true,
      children: [
        call('api-gateway', 'catalog', 'GET /products/{id}', 3, {
          children: [
            cache('catalog', 'GET product'),
            database('catalog', 'SELECT product', 4, { chance: 0.3 }),
            database('catalog', 'SELECT reviews', 9, { chance: 0.5 }),
          ],
        }),
        call('api-gateway', 'inventory', 'GET /stock/{sku}', 2, {
          children: [database('inventory', 'SELECT stock', 3)],
        }),
        recommend('api-gateway'),
      ],
    }),
    internal('web-frontend', 'render page', 5),
  ],
});

const find: Step = server('web-frontend', 'GET /search', 6, {
  children: [
    call('web-frontend', 'api-gateway', 'GET /api/search', 2, {
      children: [
        call('api-gateway', 'search', 'GET /search', 4, {
          errorRate: 0.004,
          children: [
            internal('search', 'parse query', 0.6),
            database('search', 'query product-index', 22, { sigma: 0.9 }),
            internal('search', 'rerank hits', 8),
          ],
        }),
      ],
    }),
    internal('web-frontend', 'render page', 5),
  ],
});

const addToCart: Step = server('web-frontend', 'POST /cart/items', 5, {
  children: [
    call('web-frontend', 'api-gateway', 'POST /api/cart/items', 2, {
      children: [
        call('api-gateway', 'cart', 'POST /items', 2, {
          children: [
            cache('cart', 'HSET cart', { optional: false }),
            call('cart', 'inventory', 'POST /reservations', 3, {
              tries: 2,
              errorRate: 0.01,
              children: [database('inventory', 'UPDATE reservations', 5)],
            }),
          ],
        }),
      ],
    }),
  ],
});

const viewCart: Step = server('web-frontend', 'GET /cart', 5, {
  children: [
    call('web-frontend', 'api-gateway', 'GET /api/cart', 2, {
      children: [
        call('api-gateway', 'cart', 'GET /items', 2, { children: [cache('cart', 'HGETALL cart')] }),
      ],
    }),
    internal('web-frontend', 'render page', 4),
  ],
});

const shipped: Step = consume('shipping', 'shipments', 6, [
  external('shipping', 'POST carrier /labels', 140),
  database('shipping', 'INSERT shipment', 5),
]);

const ordered: readonly Step[] = [
  consume('email', 'orders', 4, [
    internal('email', 'render template', 11),
    external('email', 'SMTP send', 85, { tries: 3, errorRate: 0.02 }),
  ]),
  consume('warehouse', 'orders', 8, [
    database('warehouse', 'INSERT pick list', 6),
    internal('warehouse', 'plan route', 30, { sigma: 0.8 }),
    publish('warehouse', 'shipments', [shipped]),
  ]),
];

const pay: Step = call('checkout', 'payment', 'POST /charges', 8, {
  tries: 3,
  errorRate: 0.02,
  children: [
    database('payment', 'INSERT charge', 4),
    internal('payment', 'score fraud risk', 18),
    external('payment', 'POST acquirer /authorize', 180, { errorRate: 0.015 }),
    database('payment', 'UPDATE charge', 4),
  ],
});

const buy: Step = server('web-frontend', 'POST /checkout', 8, {
  children: [
    call('web-frontend', 'api-gateway', 'POST /api/orders', 2, {
      children: [
        call('api-gateway', 'checkout', 'POST /orders', 6, {
          children: [
            call('checkout', 'cart', 'GET /items', 2, {
              children: [cache('cart', 'HGETALL cart')],
            }),
            call('checkout', 'inventory', 'POST /reservations/confirm', 3, {
              children: [database('inventory', 'UPDATE stock', 7, { errorRate: 0.004 })],
            }),
            pay,
            database('checkout', 'INSERT order', 6),
            publish('checkout', 'orders', ordered),
          ],
        }),
      ],
    }),
  ],
});

const position: Step = external('courier-app', 'upload position', 60, {
  errorRate: 0.01,
  children: [
    server('api-gateway', 'POST /api/courier/positions', 2, {
      children: [
        call('api-gateway', 'shipping', 'POST /positions', 2, {
          children: [database('shipping', 'UPDATE positions', 4)],
        }),
      ],
    }),
  ],
});

const reindex: Step = internal('search', 'reindex catalog', 240, {
  sigma: 0.5,
  children: [
    call('search', 'catalog', 'GET /products/changes', 5, {
      children: [database('catalog', 'SELECT changes', 35)],
    }),
    database('search', 'bulk product-index', 90, { errorRate: 0.01 }),
  ],
});

/** What customers, couriers and timers do, and how often, in proportion. */
export const journeys: readonly Journey[] = [
  { weight: 26, root: home },
  { weight: 32, root: product },
  { weight: 15, root: find },
  { weight: 9, root: addToCart },
  { weight: 7, root: viewCart },
  { weight: 4, root: buy },
  { weight: 6, root: position },
  { weight: 1, root: reindex },
];
