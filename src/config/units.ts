import { z } from 'zod';

const sizes = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
} as const;
const durations = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

function quantity(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/.exec(text.trim()) ?? [];
  const factor = unit !== undefined && Object.hasOwn(units, unit) ? units[unit] : undefined;
  if (amount === undefined || factor === undefined) return undefined;
  const value = Math.round(Number(amount) * factor);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Reads `4MiB`, `512KiB`, `100B` (or KB, MB, GB: powers of ten) as bytes. */
export function parseSize(text: string): number | undefined {
  return quantity(text, sizes);
}

/** Reads `55s`, `250ms`, `15m`, `24h`, `7d` as milliseconds. */
export function parseDuration(text: string): number | undefined {
  return quantity(text, durations);
}

function parsed(parse: (text: string) => number | undefined, min: number, expected: string) {
  return z.unknown().transform((value, context): number => {
    const amount = typeof value === 'string' ? parse(value) : undefined;
    if (amount !== undefined && amount >= min) return amount;
    context.addIssue({ code: 'custom', message: expected });
    return z.NEVER;
  });
}

/** A positive number of bytes, written with its unit. */
export const size = () => parsed(parseSize, 1, 'expected a size such as 4MiB or 512KiB');

/** A positive time in milliseconds, written with its unit. */
export const duration = () =>
  parsed(parseDuration, 1, 'expected a duration such as 55s, 15m or 24h');

/** A time in milliseconds; `0s` means no limit. */
export const durationOrNone = () =>
  parsed(parseDuration, 0, 'expected a duration such as 55s or 15m, or 0s for no limit');

/** A whole number; digits that came from `${env:…}` count as one. */
export const whole = (min: number, max: number) =>
  z.unknown().transform((value, context): number => {
    const digits = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
    if (Number.isSafeInteger(digits) && Number(digits) >= min && Number(digits) <= max) {
      return Number(digits);
    }
    context.addIssue({ code: 'custom', message: `expected a whole number from ${min} to ${max}` });
    return z.NEVER;
  });

/** True or false; the words that came from `${env:…}` count too. */
export const flag = () =>
  z.unknown().transform((value, context): boolean => {
    if (value === true || value === 'true') return true;
    if (value === false || value === 'false') return false;
    context.addIssue({ code: 'custom', message: 'expected true or false' });
    return z.NEVER;
  });
