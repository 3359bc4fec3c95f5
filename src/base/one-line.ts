/** Of what another system says only so much is kept: it becomes part of a message. */
const KEPT_CHARACTERS = 200;

/** What another system says, as one line for people, without what would move their terminal, or half a character at its end. */
export function oneLine(text: string): string {
  return text
    .replaceAll(/[\p{C}\s]+/gu, ' ')
    .trim()
    .slice(0, KEPT_CHARACTERS)
    .replace(/[\ud800-\udbff]$/, '');
}
