import tseslint from 'typescript-eslint';

const globals = (...names) => [
  'error',
  ...names.map((name) => ({ name, message: 'use Clock (src/base/clock.ts)' })),
];

const realClock = {
  selector: "NewExpression[callee.name='Date'][arguments.length=0]",
  message: 'reads the real clock',
};

// ESLint runs only what needs types, and the purity bans. Biome does the rest.
export default tseslint.config(
  { ignores: ['node_modules/**', 'dist/**'] },
  {
    files: ['src/**/*.ts', 'test/**/*.ts', 'bench/**/*.ts', 'examples/**/*.ts'],
    plugins: { '@typescript-eslint': tseslint.plugin },
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/no-floating-promises': [
        'error',
        // node:test's functions return promises that the runner itself awaits.
        {
          allowForKnownSafeCalls: [
            { from: 'package', package: 'node:test', name: ['test', 'describe', 'it', 'suite'] },
          ],
        },
      ],
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-unnecessary-condition': 'error',
      '@typescript-eslint/no-unsafe-argument': 'error',
      '@typescript-eslint/no-unsafe-assignment': 'error',
      '@typescript-eslint/no-unsafe-member-access': 'error',
      '@typescript-eslint/no-unsafe-return': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/return-await': ['error', 'in-try-catch'],
      '@typescript-eslint/strict-boolean-expressions': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { requireDefaultForNonUnion: true }],
      complexity: ['error', 10],
      'max-depth': ['error', 3],
      'max-params': ['error', 4],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/base/{clock,manual-clock,random}.ts'],
    rules: {
      'no-restricted-globals': globals('setTimeout', 'setInterval'),
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: 'take `now` as an argument, or use Clock' },
        { object: 'Math', property: 'random', message: 'use Random (src/base/random.ts)' },
        { object: 'performance', property: 'now', message: 'use Clock' },
      ],
      'no-restricted-syntax': ['error', realClock],
    },
  },
  {
    files: ['src/engine/**/*.ts'],
    rules: {
      'no-restricted-globals': globals('setTimeout', 'setInterval', 'process', 'fetch', 'queueMicrotask'),
      'no-restricted-syntax': [
        'error',
        realClock,
        { selector: 'ClassDeclaration', message: 'the engine is functions over readonly data' },
      ],
    },
  },
  {
    // json-rules-engine answers by promise, so what evaluates conditions does too; the rest of the engine is synchronous.
    files: ['src/engine/**/*.ts'],
    ignores: ['src/engine/{condition,decide,explain}.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        realClock,
        { selector: ':function[async=true]', message: 'data and a time in, data out' },
        { selector: 'ClassDeclaration', message: 'the engine is functions over readonly data' },
      ],
    },
  },
);
