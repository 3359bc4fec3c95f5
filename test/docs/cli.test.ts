import assert from 'node:assert/strict';
import test from 'node:test';
import type { Command } from 'commander';
import { program } from '../../src/cli/program.ts';
import { commandLines, document, documents, read } from './documents.ts';

const ROOT_COMMAND = program(
  {
    out: () => undefined,
    err: () => undefined,
    colors: false,
    interrupted: new AbortController().signal,
    onHangup: () => () => undefined,
    exit: () => undefined,
    env: {},
  },
  { version: '', rules: '' },
);

/** Commands that do something, as people type them: `runs get`. */
function leavesOf(command: Command, words: readonly string[] = []): readonly string[] {
  if (command.commands.length === 0) return [words.join(' ')];
  return command.commands.flatMap((inner) => leavesOf(inner, [...words, inner.name()]));
}

/** The command that the words lead to; `groups` alone is its default. */
function commandOf(words: readonly string[]): {
  readonly command: Command;
  readonly rest: readonly string[];
} {
  let command = ROOT_COMMAND;
  let rest = words;
  for (;;) {
    const next = command.commands.find((inner) => inner.name() === rest[0]);
    if (next === undefined) break;
    command = next;
    rest = rest.slice(1);
  }
  const fallback = command.commands.find((inner) => inner.name() === 'ls');
  return { command: fallback ?? command, rest };
}

const PAGE = document('docs/cli.md');

test('every command has its heading, and every heading its command', () => {
  const headings = [...PAGE.text.matchAll(/^### coppice (.+)$/gm)].map(([, words]) => words);
  assert.deepEqual([...headings].sort(), [...leavesOf(ROOT_COMMAND)].sort());
});

test('below the heading of a command stands its own help', () => {
  for (const words of leavesOf(ROOT_COMMAND)) {
    const [, below = ''] = PAGE.text.split(`\n### coppice ${words}\n`);
    const marker = /<!-- generated: command (.+) -->/.exec(below)?.[1];
    assert.equal(marker, words);
  }
});

const LINES = documents().flatMap((doc) =>
  commandLines(doc, 'bin/coppice').map((line) => ({ file: doc.file, line })),
);

test('documents show how to call it', () => {
  assert.ok(LINES.length > 10);
});

for (const { file, line } of LINES) {
  test(`${file}: \`${line}\` is a call that exists`, () => {
    const { command, rest } = commandOf(line.split(/\s+/).slice(1));
    assert.notEqual(command, ROOT_COMMAND, 'there is no such command');
    const known = command.options.flatMap(({ long, short }) => [long, short]);
    const given = rest.filter((word) => word.startsWith('-') && word !== '-');
    assert.deepEqual(
      given.filter((option) => !known.includes(option)),
      [],
    );
  });
}

test('a script of npm that a document names exists', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Readonly<Record<string, string>> };
  const named = documents().flatMap(({ text }) =>
    [...text.matchAll(/\bnpm run ([\w:]+)/g)].map(([, name = '']) => name),
  );
  assert.ok(named.length > 0);
  assert.deepEqual(
    named.filter((name) => scripts[name] === undefined),
    [],
  );
});
