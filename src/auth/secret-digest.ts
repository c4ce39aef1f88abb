/** What is kept of a bearer's secret: enough to know it again, of no use to whoever reads it. */
import { createHash, timingSafeEqual } from 'node:crypto';

/** The SHA-256 of a text, base64url. */
export function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

/** Whether two texts are equal, in a time that does not tell where they differ. */
export function sameSecret(a: string, b: string): boolean {
  const [x, y] = [a, b].map((text) => createHash('sha256').update(text).digest());
  return x !== undefined && y !== undefined && timingSafeEqual(x, y);
}
