// The import law of src/ (docs/architecture.md). Each rule's comment is what a violation should teach.
const place = (name) => `^src/${name}${name.endsWith('.ts') ? '$' : '/'}`;
const may = (from, ...to) => ({
  name: `${from}-may-only-import`,
  comment: `src/${from} may import: ${to.join(', ') || 'nothing of src'}`,
  severity: 'error',
  from: { path: `^src/${from}/` },
  to: { path: '^src/', pathNot: [from, ...to].map(place) },
});
const packageOnlyIn = (name, packages, where) => ({
  name: `${name}-stays-in-its-room`,
  comment: `only ${where} may import ${packages}`,
  severity: 'error',
  from: { path: '^src/', pathNot: where },
  to: { path: `node_modules/(${packages})/` },
});
const THE_PORT = ['cloud/cloud.ts', 'cloud/fault.ts'];

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { orphan: true, path: '^src/', pathNot: '^src/cli/main\\.ts$' },
      to: {},
    },
    { name: 'not-to-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'not-to-dev-dep',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev'], pathNot: 'node_modules/@types/' },
    },
    { name: 'no-test-in-src', severity: 'error', from: { path: '^src/' }, to: { path: '^(test|bench)/' } },

    may('base'),
    may('telemetry', 'base'),
    may('engine', 'base'),
    may('cloud', 'base', 'telemetry'),
    may('access', 'base', 'telemetry'),
    may('grpc', 'base'),
    may('sdk', 'base', 'grpc'),
    may('ingest', 'access', 'base', 'engine', 'grpc', 'telemetry'),
    // The catalogue is a table: which instance types a scene may name.
    may('config', 'access', 'base', 'engine', 'telemetry', 'cloud/catalogue.ts'),
    may('actions', 'base', 'engine', 'grpc', 'telemetry', ...THE_PORT),
    may('state', 'base', 'engine', 'telemetry', 'actions/run.ts', 'actions/store.ts'),
    may('api', 'access', 'base', 'engine', 'telemetry', 'actions'),
    may(
      'cli',
      ...[
        'app.ts',
        'offline.ts',
        'rehearsal.ts',
        'access',
        'config',
        'engine',
        'base',
        'grpc',
        'cloud/simulated',
      ],
    ),
    {
      name: 'engine-is-pure',
      comment: 'src/engine takes data and a time and returns data: no node:*, and only its three packages.',
      severity: 'error',
      from: { path: '^src/engine/' },
      to: {
        dependencyTypes: ['core', 'npm', 'npm-dev', 'npm-peer', 'npm-optional'],
        pathNot: 'node_modules/(json-rules-engine|re2js|croner)/',
      },
    },
    packageOnlyIn('json-rules-engine', 'json-rules-engine', '^src/engine/condition\\.ts$'),
    packageOnlyIn('re2js', 're2js', '^src/engine/matcher\\.ts$'),
    packageOnlyIn('croner', 'croner', '^src/engine/cron\\.ts$'),
    packageOnlyIn('aws-sdk', '@aws-sdk|@smithy', '^src/cloud/aws/'),
    packageOnlyIn('fastify', 'fastify', '^src/(ingest|api)/'),
    packageOnlyIn('grpc', '@grpc|grpc-health-check', '^src/(grpc|ingest|sdk)/'),
    packageOnlyIn('jose', 'jose', '^src/access/'),
    packageOnlyIn('prom-client', 'prom-client', '^src/telemetry/'),
    packageOnlyIn('fast-xml-builder', 'fast-xml-builder', '^src/cli/rule-test/junit\\.ts$'),
    packageOnlyIn('commander', 'commander|cli-table3|picocolors', '^src/cli/'),
    {
      name: 'adapters-are-wired-in-app',
      comment: 'Only src/app.ts and src/cli choose an adapter; everyone else sees the port.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(app\\.ts$|cli/|cloud/(aws|simulated|recommender)/|state/)' },
      to: { path: '^src/(cloud/(aws|simulated|recommender)|state)/' },
    },
    {
      name: 'app-is-the-root',
      severity: 'error',
      // A rehearsal is a walk of the root's own making, without its doors.
      from: { path: '^src/', pathNot: '^src/(app\\.ts$|rehearsal\\.ts$|cli/)' },
      to: { path: '^src/(app\\.ts$|offline\\.ts$|rehearsal\\.ts$|cli/)' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'types'],
      extensions: ['.ts', '.js', '.json'],
    },
  },
};
