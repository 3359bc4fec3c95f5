/** The beginning of a text of more than so many characters, and a sign that it goes on. Never half a character at the end. */
export function shorten(text: string, longest: number): string {
  if (text.length <= longest) return text;
  return `${text.slice(0, longest).replace(/[\ud800-\udbff]$/, '')}…`;
}
