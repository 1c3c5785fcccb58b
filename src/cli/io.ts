/** What a command may do with the outside: two streams, and being interrupted. */

export interface Io {
  /** Results. */
  out(text: string): void;
  /** Diagnostics. */
  err(text: string): void;
  /** Whether diagnostics are read by a person as they come. */
  readonly errIsTerminal: boolean;
  /** Calls `stop` on Ctrl-C, until the returned function is called. */
  onInterrupt(stop: () => void): () => void;
  /** Calls `stop` on every Ctrl-C and every request to terminate. */
  onStop(stop: () => void): void;
}

/** What a command returns: 0, or why not. */
export type ExitCode = number;
export const OK: ExitCode = 0;
export const FAILED: ExitCode = 1;
export const INTERRUPTED: ExitCode = 130;

/** A reader that has seen enough (`| head`) is no error. */
export function endWithReader(stdout: NodeJS.WriteStream): void {
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(OK);
    throw error;
  });
}
