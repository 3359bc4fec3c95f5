/** Something about a place in a file. */
export interface Annotation {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly severity: 'error' | 'warning';
  readonly title: string;
  readonly message: string;
}

/** GitHub's workflow command: shows the message at its line of a pull request. */
export function annotation({ file, line, column, severity, title, message }: Annotation): string {
  const place = `file=${property(file)},line=${line},col=${column},title=${property(title)}`;
  return `::${severity} ${place}::${data(message)}`;
}

function data(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function property(text: string): string {
  return data(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
