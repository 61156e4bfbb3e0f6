/**
 * Tests of what `wrangler deploy` would upload: that every environment has every binding, how large
 * the Worker is, and what an isolate's start costs. Nothing here reaches a network.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { promisify, stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cpuMs, start } from '../../bench/edge/program.ts';
import { freePorts } from '../../dev/port.ts';
import { settings } from '../../schemas/settings.ts';

const root = path.join(import.meta.dirname, '../..');
const environments = ['staging', 'production'];

/** Isolates of one measurement: enough for the hundredths of a second in which Linux counts. */
const isolates = 20;

let directory: string;
const printed = new Map<string, string>();

beforeAll(async () => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-deploy-'));
  for (const name of environments) printed.set(name, await dryRun(name));
}, 180_000);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function dryRun(name: string): Promise<string> {
  const wrangler = path.join(root, 'node_modules/wrangler/bin/wrangler.js');
  const args = ['deploy', '--env', name, '--dry-run', '--outdir', path.join(directory, name)];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [wrangler, ...args], {
    cwd: root,
    env: {
      PATH: process.env['PATH'],
      HOME: directory,
      WRANGLER_SEND_METRICS: 'false',
      WRANGLER_HIDE_BANNER: 'true',
      CLOUDFLARE_CF_FETCH_ENABLED: 'false',
      // Whoever calls home all the same finds nobody.
      HTTPS_PROXY: 'http://127.0.0.1:9',
    },
  });
  return stripVTControlCharacters(`${stdout}\n${stderr}`);
}

/** Bucket and dataset of an environment. */
function dataOf(name: string): string[] {
  const output = printed.get(name) ?? '';
  return [...output.matchAll(/env\.(?:ARCHIVE|TELEMETRY) \(([^)]*)\)/g)].map(
    ([, data = '']) => data,
  );
}

describe.each(environments)('wrangler deploy --env %s --dry-run', (name) => {
  it('binds all that the Worker asks for, and serves nobody without a key', () => {
    const output = printed.get(name) ?? '';
    for (const binding of [
      'env.ARCHIVE',
      'env.KEYS',
      'env.GROUPS (Group)',
      'env.TELEMETRY',
      'env.RATE_LIMIT_LOW (100 requests/10s)',
      'env.RATE_LIMIT_STANDARD (1000 requests/10s)',
      'env.RATE_LIMIT_HIGH (10000 requests/10s)',
      'env.TIDEMARK_AUTH ("keys")',
    ]) {
      expect(output).toContain(binding);
    }
    expect(output).toMatch(/Read \d+ files? from the assets directory/);
    expect(output).toContain('--dry-run: exiting now');
    const secrets = Object.entries(settings).filter(([, { kind }]) => kind === 'secret');
    for (const [secret] of secrets) expect(output).not.toContain(`env.${secret}`);
  });

  it('uploads at most 1 MiB compressed', () => {
    const [, gzip] = /gzip: ([\d.]+) KiB/.exec(printed.get(name) ?? '') ?? [];
    expect(Number(gzip)).toBeGreaterThan(0);
    expect(Number(gzip)).toBeLessThanOrEqual(1024);
  });

  it('keeps its data apart from other environments', () => {
    const [other = ''] = environments.filter((each) => each !== name);
    expect(dataOf(name)).toHaveLength(2);
    for (const data of dataOf(name)) expect(dataOf(other)).not.toContain(data);
  });
});

describe('an isolate', () => {
  it.skipIf(process.platform !== 'linux')(
    'starts in less than 50 ms of processor time',
    async () => {
      const bundle = path.join(directory, 'production');
      const empty = path.join(directory, 'empty');
      mkdirSync(empty);
      const script = 'export default { fetch: () => new Response() };';
      writeFileSync(path.join(empty, 'index.js'), script);
      const [full, none] = [
        await startsMs(bundle, readdirSync(bundle)),
        await startsMs(empty, ['index.js']),
      ];
      const ms = (full - none) / isolates;
      process.stdout.write(
        `${JSON.stringify({ figure: 'start of an isolate', cpuMs: Number(ms.toFixed(1)) })}\n`,
      );
      expect(ms).toBeLessThan(50);
    },
    120_000,
  );
});

/** Processor time of a workerd that starts `isolates` Workers of the modules in `folder`, in ms. */
async function startsMs(folder: string, files: readonly string[]): Promise<number> {
  const [port = 0] = await freePorts(1);
  const modules = files
    .filter((name) => /\.(js|wasm)$/.test(name))
    // The Worker's own module has to come first.
    .toSorted((a, b) => Number(b === 'index.js') - Number(a === 'index.js'))
    .map(
      (name) =>
        `(name = "${name}", ${name.endsWith('.js') ? 'esModule' : 'wasm'} = embed "${name}")`,
    );
  const services = Array.from(
    { length: isolates },
    (_, index) => `(name = "s${index}", worker = (modules = [${modules.join(', ')}],
      compatibilityDate = "2026-08-01", compatibilityFlags = ["nodejs_compat"]))`,
  );
  writeFileSync(
    path.join(folder, 'config.capnp'),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [${services.join(',\n')}],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "s0")]
);
`,
  );
  const workerd = createRequire(import.meta.url)('workerd') as { default: string };
  const args = ['serve', 'config.capnp'];
  const program = await start(workerd.default, args, `http://127.0.0.1:${port}`, { cwd: folder });
  const ms = cpuMs(program.pid);
  await program.stop();
  return ms;
}
