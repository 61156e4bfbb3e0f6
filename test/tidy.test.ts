/** The rules of CONTRIBUTING.md that a machine can check, run as tests over the sources. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const root = path.join(import.meta.dirname, '..');
const tracked = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: root })
  .toString()
  .split('\n')
  .filter((name) => name !== '' && existsSync(path.join(root, name)));

const rooms = ['schemas', 'aggregator-as', 'edge', 'workers', 'batch', 'bin', 'dev'];
const sources = tracked.filter(
  (name) => /\.(ts|js)$/.test(name) && rooms.includes(name.split('/')[0] ?? ''),
);
const texts = new Map(sources.map((name) => [name, readFileSync(path.join(root, name), 'utf8')]));
const kernels = 'aggregator-as/assembly/';

/** What each room may import, as prefixes; its own files are always allowed. */
const mayImport: Record<string, string[]> = {
  schemas: [],
  'aggregator-as': ['schemas/'],
  edge: ['schemas/', 'aggregator-as/host.ts', 'aggregator-as/base64.ts', 'aggregator-as/build/'],
  workers: ['schemas/', 'aggregator-as/host.ts'],
  batch: [
    'schemas/',
    'aggregator-as/host.ts',
    'aggregator-as/spankernel.ts',
    'aggregator-as/spangraph.ts',
    'aggregator-as/spanmemory.ts',
    'aggregator-as/logkernel.ts',
    'aggregator-as/mergekernel.ts',
    'aggregator-as/pointkernel.ts',
    'workers/clients/',
  ],
  bin: rooms.map((room) => `${room}/`),
  dev: rooms.map((room) => `${room}/`),
};

/** Programs' entries: the only places where the clock, randomness and the environment are taken. */
const entries = [
  /^bin\//,
  /^edge\/index\.ts$/,
  // In the browser: the one takes the clock, the other the network.
  /^edge\/dashboard\/(app|read)\.ts$/,
  /^batch\/pool\/worker\.ts$/,
  /^workers\/flush\/thread\.ts$/,
  /^dev\/clickhouse\/main\.ts$/,
  /^dev\/configuration\.ts$/,
  /^dev\/edge\.ts$/,
  /^dev\/kafka\/main\.ts$/,
  /^aggregator-as\/build\.ts$/,
];

/** Files that have no test of their own path because they are entries that others start. */
const testedThroughOthers = [
  // By the tests of limits.ts and settings.ts, which they are parts of.
  /^schemas\/(limits|settings)\//,
  // By the tests of rebuild.ts and of replay.ts, which they are parts of.
  /^workers\/rebuild\//,
  /^workers\/replay\/(batch|journal|plan|select)\.ts$/,
  // By the tests of trace.ts and of replay.ts, which read with it.
  /^workers\/clients\/parquet\/range\.ts$/,
  // By the tests of parquet.ts, which they are parts of.
  /^workers\/parquet\//,
  /^aggregator-as\/pages\.ts$/,
  // By the tests of traces/compute.ts, which they are parts of.
  /^aggregator-as\/span(exports|graph|memory)\.ts$/,
  /^batch\/traces\/columns\.ts$/,
  /^schemas\/partials\/compose\.ts$/,
  // By the tests of take.ts and threads.ts.
  /^workers\/flush\/(encode|message|thread)\.ts$/,
  // By the tests of codecs.ts, of consumer.ts and of kafka.ts, which they are parts of.
  /^workers\/clients\/(codecs\/(lz4|snappy)|kafka\/(life|socket))\.ts$/,
  // By the tests of pool.ts, and of fleet/coordinate.ts and fleet/kill.ts, which they are parts of.
  /^batch\/pool\/(fault|thread)\.ts$/,
  /^batch\/fleet\/(channel|execute|lanes|stored)\.ts$/,
  /^workers\/clients\/kafka\/group\.ts$/,
  // By batchfleet.test.ts of test/docs, with the commands of the guide.
  /^(batch|schemas)\/job\.ts$/,
  ...entries,
  /\.d\.ts$/,
  /^aggregator-as\/assembly\//,
  // By api.test.ts and dashboard.test.ts of test/integration, in workerd and in a browser.
  /^edge\/api(\/openapi)?\.ts$/,
  /^edge\/dashboard\//,
  // By stack.test.ts, kafka.test.ts and demo.test.ts of test/integration: they need the whole stack.
  /^dev\/(up|demo|kafka\/parts)\.ts$/,
  /^dev\/demo\/(archived|figures|result)\.ts$/,
];

function importsOf(name: string): string[] {
  const text = texts.get(name) ?? '';
  const specifiers = text.matchAll(/^\s*(?:import|export)\b[^'"`;]*?from\s+'([^']+)'/gm);
  const bare = text.matchAll(/\bimport\s*\(?\s*'([^']+)'/g);
  return [...specifiers, ...bare]
    .map((match) => match[1] ?? '')
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => resolveImport(name, specifier));
}

function resolveImport(name: string, specifier: string): string {
  const target = path.posix.normalize(path.posix.join(path.posix.dirname(name), specifier));
  return name.startsWith(kernels) && !target.endsWith('.ts') ? `${target}.ts` : target;
}

/** Every line of every source that matches, as `file:line: text`, for files that are not allowed. */
function offenders(pattern: RegExp, allowed: readonly RegExp[]): string[] {
  return [...texts].flatMap(([name, text]) =>
    allowed.some((exception) => exception.test(name))
      ? []
      : text
          .split('\n')
          .map((line, index) => ({ line, where: `${name}:${index + 1}: ${line.trim()}` }))
          .filter(({ line }) => pattern.test(line) && !/^\s*(\*|\/\/|\/\*)/.test(line))
          .map(({ where }) => where),
  );
}

/** Lengths of functions and methods, by the formatter's indentation. */
function functionLengths(text: string): { start: number; length: number }[] {
  const lines = text.split('\n');
  const opening =
    /^(\s*)(?:export )?(?:default )?(?:async )?(?:function\b|(?:static |async |get |set )*#?\w+\(.*\{$)/;
  return lines.flatMap((line, index) => {
    const match = opening.exec(line);
    if (!match || /^\s*(if|for|while|switch|catch|return|super)\b/.test(line)) return [];
    const end = lines.findIndex((other, at) => at > index && other.startsWith(`${match[1]}}`));
    return end === -1 ? [] : [{ start: index + 1, length: end - index + 1 }];
  });
}

describe('imports', () => {
  it('follow the table of rooms', () => {
    const wrong = sources.flatMap((name) => {
      const room = name.split('/')[0] ?? '';
      const allowed = [`${room}/`, ...(mayImport[room] ?? [])];
      return importsOf(name)
        .filter((target) => target !== 'package.json')
        .filter((target) => !allowed.some((prefix) => target.startsWith(prefix)))
        .map((target) => `${name} imports ${target}`);
    });
    expect(wrong).toEqual([]);
  });

  it('make no cycle, types included', () => {
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (name: string, trail: readonly string[]): void => {
      if (trail.includes(name)) cycles.push([...trail, name].join(' -> '));
      if (done.has(name) || trail.includes(name)) return;
      for (const target of importsOf(name)) visit(target, [...trail, name]);
      done.add(name);
    };
    for (const name of sources) visit(name, []);
    expect(cycles).toEqual([]);
  });

  it('end in .ts and name node modules with node:', () => {
    const wrong = sources
      .filter((name) => !name.startsWith(kernels))
      .flatMap((name) => importsOf(name).filter((target) => !existsSync(path.join(root, target))))
      .filter((target) => !target.startsWith('aggregator-as/build/'));
    expect(wrong).toEqual([]);
    expect(offenders(/from '(fs|path|os|http|crypto|stream|url|util|zlib)'/, [])).toEqual([]);
  });

  it('lead to what is there, also where a file is named by its place', () => {
    // The compiler follows no `new URL(…, import.meta.url)`: a source that moves takes it along unseen.
    const pattern = /new URL\(\s*(['`])(\.[^'`$]*)(\$?)[^'`]*\1,\s*import\.meta\.url/g;
    const wrong = [...texts].flatMap(([name, text]) =>
      [...text.matchAll(pattern)]
        .map(([, , place = '', cut]) => (cut ? path.posix.dirname(`${place}x`) : place))
        .filter((place) => !existsSync(path.join(root, path.posix.dirname(name), place)))
        .map((place) => `${name} names ${place}`),
    );
    expect(wrong).toEqual([]);
  });

  it('lead to every source from a program, a test or a benchmark: no dead files', () => {
    const all = tracked.filter(
      (name) => /^(test|bench|\.ci)\//.test(name) || name === 'package.json',
    );
    const mentions = [
      ...texts.values(),
      ...all.map((name) => readFileSync(path.join(root, name), 'utf8')),
    ];
    const dead = sources.filter((name) => {
      if (name.endsWith('.d.ts')) return false;
      const base = path.basename(name);
      const stem = base.replace(/\.ts$/, '');
      const wanted = name.startsWith(kernels)
        ? [`/${stem}'`, `/${base}`]
        : [`/${base}`, `'${base}'`];
      return !mentions.some((text) => wanted.some((needle) => text.includes(needle)));
    });
    expect(dead).toEqual([]);
  });
});

describe('sizes', () => {
  it('files have at most 400 lines', () => {
    const long = [...texts]
      .filter(([, text]) => text.split('\n').length > 401)
      .map(([name]) => name);
    expect(long).toEqual([]);
  });

  it('lines have at most 100 columns, but for texts and comments', () => {
    // The formatter breaks every other line; a text or a table in a comment it leaves whole.
    expect(offenders(/^(?!.*['"`]).{101,}$/, [])).toEqual([]);
  });

  it('functions have at most 70 lines', () => {
    const long = [...texts].flatMap(([name, text]) =>
      functionLengths(text)
        .filter(({ length }) => length > 70)
        .map(({ start, length }) => `${name}:${start} has ${length} lines`),
    );
    expect(long).toEqual([]);
  });

  it('no tracked file is larger than 1 MiB', () => {
    const large = tracked.filter((name) => readFileSync(path.join(root, name)).length > 1 << 20);
    expect(large).toEqual([]);
  });
});

describe('names', () => {
  it('are one lower-case word a file', () => {
    const wrong = sources.filter(
      (name) => !/^[a-z][a-z0-9]*(\.d)?\.(ts|js)$/.test(path.basename(name)),
    );
    expect(wrong).toEqual([]);
  });

  it('are never utils, helpers, common or manager', () => {
    expect(sources.filter((name) => /utils?|helpers?|common|manager/.test(name))).toEqual([]);
  });

  it('of tests are those of sources, or the source is imported by a test', () => {
    const tests = tracked
      .filter((name) => /^test\/.*\.ts$/.test(name))
      .map((name) => readFileSync(path.join(root, name), 'utf8'))
      .join('\n');
    const untested = sources
      .filter((name) => !testedThroughOthers.some((exception) => exception.test(name)))
      .filter((name) => !existsSync(path.join(root, 'test', name.replace(/\.ts$/, '.test.ts'))))
      .filter((name) => !tests.includes(`/${name}'`));
    expect(untested).toEqual([]);
  });
});

describe('sources', () => {
  it('open with what they do', () => {
    const silent = [...texts]
      .filter(([, text]) => !/^(#!.*\n)?(\/\*\*|\/\/)/.test(text))
      .map(([name]) => name);
    expect(silent).toEqual([]);
  });

  it('take clock, randomness, environment and network only in entries', () => {
    expect(offenders(/\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/, entries)).toEqual([]);
    expect(offenders(/\bMath\.random\(|\brandomUUID\(|\brandomBytes\(/, entries)).toEqual([]);
    expect(offenders(/\bprocess\.env\b/, entries)).toEqual([]);
    expect(offenders(/(?<![.\w])fetch\(/, [...entries, /^dev\//])).toEqual([]);
  });

  it('throw classes of schemas/errors.ts for faults of the world', () => {
    const others = [/^aggregator-as\/build\.ts$/, /^workers\/clients\/store\/objects\.ts$/];
    expect(offenders(/\bthrow new (Error|TypeError|RangeError)\((?!['`]Bug: )/, others)).toEqual(
      [],
    );
  });

  it('name the action in errors and end without a period', () => {
    const wrong = [...texts].flatMap(([name, text]) =>
      [...text.matchAll(/new (?:\w+Error)\(\s*(?:'[A-Z_]+',\s*)?(['`])(.*?)\1/g)]
        .map((match) => match[2] ?? '')
        .filter((message) => /\s/.test(message))
        .filter((message) => !/^(\$\{|[A-Z])/.test(message) || message.endsWith('.'))
        .map((message) => `${name}: ${message}`),
    );
    expect(wrong).toEqual([]);
  });

  it('have no default exports, leftovers or console output', () => {
    const frameworks = [/^edge\/index\.ts$/];
    expect(offenders(/^export default\b/, frameworks)).toEqual([]);
    expect(offenders(/\b(TODO|FIXME|XXX)\b/, [])).toEqual([]);
    expect(offenders(/\bconsole\.\w+\(/, [])).toEqual([]);
    expect(offenders(/@ts-(ignore|expect-error|nocheck)|\bas any\b|: any\b/, [])).toEqual([]);
  });

  it('are no barrels', () => {
    const barrels = [...texts]
      // A WebAssembly module exports what its entry does, and nothing else.
      .filter(([name]) => name !== `${kernels}transcode.ts` && name !== `${kernels}aggregate.ts`)
      .filter(([, text]) => /^export (\*|\{[^}]*\}) from/m.test(text))
      .map(([name]) => name);
    expect(barrels).toEqual([]);
  });
});

describe('package.json', () => {
  const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
    devDependencies: Record<string, string>;
  };

  it('pins every version', () => {
    const all = { ...manifest.dependencies, ...manifest.devDependencies };
    expect(Object.values(all).filter((version) => !/^\d+\.\d+\.\d+[\w.-]*$/.test(version))).toEqual(
      [],
    );
  });
});

describe('documents', () => {
  it('have one title each', () => {
    const wrong = tracked
      .filter((name) => name.endsWith('.md'))
      .filter((name) => {
        const prose = readFileSync(path.join(root, name), 'utf8').replaceAll(/```[\s\S]*?```/g, '');
        return prose.split('\n').filter((line) => line.startsWith('# ')).length !== 1;
      });
    expect(wrong).toEqual([]);
  });
});
