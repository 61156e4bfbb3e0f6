#!/usr/bin/env node
// The `tidemark` command: checks that this Node can run TypeScript sources, then hands over to
// main.ts. Written in old syntax on purpose, so that an old Node reaches the message below.
var version = process.versions.node.split('.');
var major = Number(version[0]);
var minor = Number(version[1]);

if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(
    'tidemark needs Node 22.18 or newer, this is Node ' +
      process.versions.node +
      '.\nUse `npm start`, `npm run demo` or `npx tidemark`: they use the Node that comes with ' +
      'the package.\n',
  );
  process.exitCode = 1;
} else {
  // Node keeps what it has compiled: the next start takes half the time.
  import('node:module')
    .then(function (module) {
      module.enableCompileCache();
      return import('./main.ts');
    })
    .then(
      function (main) {
        return main.run(process);
      },
      function (error) {
        process.stderr.write('tidemark cannot load: ' + String(error && error.stack) + '\n');
        process.exitCode = 1;
      },
    );
}
