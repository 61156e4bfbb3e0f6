/** `tidemark lookup`: settings → store → service, until it is told to stop. The work is in `workers/lookup.ts`. */
import { once } from 'node:events';
import { Command } from 'commander';
import type { Context } from '../context.ts';
import { logOf, settingsOf } from '../context.ts';

interface Flags {
  readonly host?: string;
  readonly port?: string;
  readonly json?: boolean;
}

const help = `
The Worker asks it for traces that ClickHouse does not have, when TIDEMARK_LOOKUP_URL names it. It
reads the bucket alone; run as many as you like. See docs/API.md.

Examples:
  tidemark lookup
  TIDEMARK_LOOKUP_TOKEN=… tidemark lookup --host 0.0.0.0 --port 8124
  curl -H 'tidemark-tenant: default' http://127.0.0.1:8124/traces/5b8efff798038103d269b633813fc60c`;

/** The command; runs until SIGINT or SIGTERM, then answers what it has been asked. */
export function lookupCommand(context: Context): Command {
  return new Command('lookup')
    .description('serve single traces from the archive to the read API')
    .option('--host <address>', 'address to listen on (TIDEMARK_LOOKUP_HOST, 127.0.0.1)')
    .option('--port <number>', 'port to listen on (TIDEMARK_LOOKUP_PORT, 8124)')
    .option('--json', 'print the address as one line of JSON')
    .addHelpText('after', help)
    .action((flags: Flags) => serve(context, flags));
}

async function serve(context: Context, flags: Flags): Promise<void> {
  const settings = settingsOf(context, {
    TIDEMARK_LOOKUP_HOST: flags.host,
    TIDEMARK_LOOKUP_PORT: flags.port,
  });
  const { openStore } = await import('../../workers/clients/store/objects.ts');
  const { startLookup } = await import('../../workers/lookup.ts');
  const store = openStore(settings);
  try {
    const server = await startLookup({
      store,
      settings,
      log: logOf(context, settings),
      now: context.now,
      timeout: (ms) => AbortSignal.timeout(ms),
    });
    const { url } = server;
    const greeting = `Serves traces of the archive on ${url}. Ctrl-C stops it.`;
    context.stdout.write(`${flags.json ? JSON.stringify({ ready: true, url }) : greeting}\n`);
    if (!context.signal.aborted) await once(context.signal, 'abort');
    await server.close();
  } finally {
    store.close();
  }
}
