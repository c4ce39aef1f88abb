// The folder rules of the architecture. `test/architecture.test.ts` derives them a second time
// from the source text, so that a blind spot of either is seen by the other.

/** What each folder may import besides itself. `observe` may be imported by every folder. */
const may = {
  model: [],
  observe: [],
  config: ['model', 'translate', 'policy'],
  // Libraries of their own: whoever installs one loads nothing of the gateway.
  borrower: ['model', 'translate'],
  lender: ['model'],
  translate: ['model', 'ports'],
  ports: ['model'],
  policy: ['model', 'translate', 'ports'],
  engine: ['model', 'translate', 'ports', 'policy'],
  discovery: ['model', 'translate', 'ports', 'policy'],
  auth: ['model', 'translate', 'ports', 'policy'],
  switchboard: ['model', 'translate', 'ports', 'policy'],
  push: ['model', 'translate', 'ports', 'policy'],
  store: ['model', 'translate', 'ports'],
  peers: ['model', 'translate', 'ports'],
  a2a: [
    'model',
    'translate',
    'ports',
    'policy',
    'engine',
    'discovery',
    'auth',
    'switchboard',
    'push',
  ],
};
may.mcp = may.a2a;
may.admin = may.a2a;

/** Libraries for other programs, and what takes part in nothing: they do not log. */
const silent = new Set(['model', 'observe', 'borrower', 'lender']);

const unitTest = '\\.test\\.ts$';
const sdk = '(^|node_modules/)@(modelcontextprotocol|a2a-js)/';

const folderRules = Object.entries(may).map(([folder, allowed]) => {
  const open = silent.has(folder) ? [] : ['observe'];
  return {
    name: `${folder}-imports`,
    comment: `src/${folder} imports only from: ${[folder, ...allowed, ...open].join(', ')}`,
    severity: 'error',
    from: { path: `^src/${folder}/`, pathNot: unitTest },
    to: { path: '^src/', pathNot: `^src/(${[folder, ...allowed, ...open].join('|')})/` },
  };
});

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...folderRules,
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-unresolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'express-in-routers',
      comment: 'Express belongs to routers and the composition root',
      severity: 'error',
      from: { path: '^src/', pathNot: [unitTest, '^src/main\\.ts$', 'router[^/]*\\.ts$'] },
      to: { path: '(^|node_modules/)(@types/)?express(/|$)' },
    },
    {
      name: 'sdk-runtime-at-the-edges',
      comment:
        'SDK runtimes stay in the faces, the connectors and the libraries for others; model/ is the door to their types (that it takes types only is seen by the architecture test)',
      severity: 'error',
      from: { path: '^src/', pathNot: [unitTest, '^src/(a2a|mcp|peers|borrower|lender|model)/'] },
      to: { path: sdk },
    },
    {
      name: 'translate-is-pure',
      comment: 'no I/O, clock or randomness in translate/',
      severity: 'error',
      from: { path: '^src/translate/', pathNot: unitTest },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?(buffer|util)$' },
    },
    {
      name: 'translate-uses-no-io-package',
      severity: 'error',
      from: { path: '^src/translate/', pathNot: unitTest },
      to: { path: '(^|node_modules/)(undici|express|kysely|pino|prom-client)(/|$)' },
    },
    {
      name: 'outbound-http-is-guarded',
      comment: 'every outbound request goes through the egress client',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot: [unitTest, '^src/peers/egress/', '^src/peers/guarded-fetch\\.ts$'],
      },
      to: { path: '(^|node_modules/)undici(/|$)' },
    },
    {
      name: 'serve-starts-no-process',
      comment: 'nothing that `serve` can reach may start a child process',
      severity: 'error',
      from: { path: '^src/(cli|main)\\.ts$' },
      to: { path: '^(node:)?(child_process|cluster)$', reachable: true },
    },
    {
      name: 'lend-stands-alone',
      comment:
        'the command that starts a process has nothing of the gateway, and nobody imports it',
      severity: 'error',
      from: { path: '^src/(lend|child-server)\\.ts$' },
      to: { path: '^src/', pathNot: '^src/(lender|model)/|^src/child-server\\.ts$' },
    },
    {
      name: 'only-lend-starts-processes',
      severity: 'error',
      from: { path: '^src/', pathNot: [unitTest, '^src/lend\\.ts$'] },
      to: { path: '^src/(lend|child-server)\\.ts$' },
    },
    {
      name: 'product-stands-alone',
      comment: 'src never imports tests, examples, benches or deploy scripts',
      severity: 'error',
      from: { path: '^src/', pathNot: unitTest },
      to: { path: '^(test|examples|bench|deploy)/' },
    },
    {
      name: 'libraries-are-for-others',
      comment: 'the gateway itself does not use what it publishes for other programs',
      severity: 'error',
      from: { path: '^src/', pathNot: [unitTest, '^src/borrower/'] },
      to: { path: '^src/borrower/' },
    },
    {
      name: 'store-and-peers-are-wired-in-main',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot: [
          unitTest,
          '^src/(main|cli|stores|peer-factory|channels|borrowed-peers|lending)\\.ts$',
          '^src/(store|peers)/',
        ],
      },
      to: { path: '^src/(store|peers)/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    parser: 'swc',
    tsPreCompilationDeps: true,
    moduleSystems: ['es6', 'cjs'],
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json'],
    },
  },
};
