import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino';
import { redactFields, redactText } from './redact.ts';
import { currentTrace } from './trace.ts';

/** Structured log: `logger.info({ peer }, 'text')`. */
export type Logger = PinoLogger;

/** How much is logged. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/**
 * JSON lines with level names, ISO times and the trace of the current request. Secrets are removed
 * twice: by the names of members at any depth, and by their look in the finished line.
 */
export function createLogger(options: {
  level: LogLevel;
  destination?: DestinationStream;
}): Logger {
  const settings = {
    level: options.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    // Errors are turned into objects by the redaction, which also sees their causes.
    serializers: { err: (error: unknown) => error },
    formatters: {
      level: (label: string) => ({ level: label }),
      log: redactFields,
    },
    mixin() {
      const trace = currentTrace();
      return trace === undefined ? {} : { traceId: trace.traceId, spanId: trace.spanId };
    },
    hooks: { streamWrite: redactText },
  };
  const logger =
    options.destination === undefined ? pino(settings) : pino(settings, options.destination);
  return withRedactedChildren(logger);
}

/** pino does not hand its formatter for bindings down to children, so they are redacted here. */
function withRedactedChildren(logger: Logger): Logger {
  const plainChild: Logger['child'] = Reflect.get(logger, 'child');
  logger.child = function child(this: Logger, bindings, options) {
    return plainChild.call(this, redactFields(bindings), options);
  } as Logger['child'];
  return logger;
}
