import assert from 'node:assert/strict';
import { existsSync, globSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import test from 'node:test';
import { type Document, documents, prose, ROOT, read } from './documents.ts';

/** Anchors as GitHub makes them of headings; the second of the same text gets `-1`. */
function anchorsOf(doc: Document): ReadonlySet<string> {
  const headings = [...prose(doc).matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
  return new Set(
    headings.map((anchor, index) => {
      const before = headings.slice(0, index).filter((one) => one === anchor).length;
      return before === 0 ? anchor : `${anchor}-${before}`;
    }),
  );
}

function linksOf(doc: Document): readonly string[] {
  return [...prose(doc).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
}

for (const doc of documents()) {
  const relative = linksOf(doc).filter((link) => !/^[a-z]+:/.test(link));
  for (const link of new Set(relative)) {
    test(`${doc.file}: the link ${link} leads somewhere`, () => {
      const [path = '', anchor] = link.split('#');
      const file = path === '' ? doc.file : normalize(join(dirname(doc.file), path));
      assert.ok(existsSync(join(ROOT, file)), `there is no ${file}`);
      if (anchor !== undefined) assert.ok(anchorsOf({ file, text: read(file) }).has(anchor), `no #${anchor}`);
    });
  }
}

test('every document is linked from another one', () => {
  const all = documents();
  const linked = new Set(
    all.flatMap(({ file, text }) =>
      linksOf({ file, text }).map((link) => normalize(join(dirname(file), link.split('#')[0] ?? ''))),
    ),
  );
  const lonely = all
    .map(({ file }) => file)
    .filter((file) => file !== 'README.md' && !linked.has(file) && !linked.has(`${dirname(file)}/`));
  assert.deepEqual(lonely, []);
});

test('a document that the code names exists', () => {
  const named = globSync('{src,scripts,bench,rules,proto}/**/*.{ts,mjs,yaml,proto}', { cwd: ROOT }).flatMap(
    (file) => [...read(file).matchAll(/\bdocs\/[\w/.-]+\.md\b/g)].map(([path]) => ({ file, path })),
  );
  assert.ok(named.length > 0);
  assert.deepEqual(
    named.filter(({ path }) => !existsSync(join(ROOT, path))),
    [],
  );
});
