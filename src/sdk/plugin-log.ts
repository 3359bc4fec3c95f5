import process from 'node:process';

/** Where a plugin tells what happens to it. A pino logger is one, and so is anything with these two. */
export interface PluginLog {
  info(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** One line of JSON each, on standard error. */
export const stderrLog: PluginLog = {
  info: (fields, message) => write('info', fields, message),
  error: (fields, message) => write('error', fields, message),
};

function write(level: string, fields: object, message: string): void {
  process.stderr.write(`${JSON.stringify({ level, msg: message, ...fields })}\n`);
}
