/** How a command speaks to the person or program that called it. `main.ts` makes the real one; tests make a recorder. */
export interface Io {
  /** Data, to standard output. */
  out(text: string): void;
  /** Everything else, to standard error. */
  err(text: string): void;
  /** Whether colours are welcome: a terminal, and no NO_COLOR. */
  readonly colors: boolean;
  /** Aborts on SIGINT and SIGTERM. */
  readonly interrupted: AbortSignal;
  /** Calls `reload` on SIGHUP; the answer ends that. */
  onHangup(reload: () => void): () => void;
  /** Sets the exit code: 0 done; 1 findings, failed tests or a failed run; 2 wrong usage or an error; 130 interrupted. */
  exit(code: 0 | 1 | 2 | 130): void;
  /** Environment variables; read nowhere else. */
  readonly env: Readonly<Record<string, string | undefined>>;
}
