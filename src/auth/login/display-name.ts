/** What a page calls a person. */
import { plainText, shortened } from '../../translate/plain-text.ts';

type Claims = Readonly<Record<string, unknown>> & { readonly sub: string };

const maxLength = 100;

/**
 * Their name, user name or address: from the ID token, else from `more`, which may fail; their
 * subject when neither says.
 *
 * Spec: OpenID Connect Core §5.1 (none of these identifies anybody: that is `sub`)
 */
export async function displayNameOf(
  claims: Claims,
  more: () => Promise<Readonly<Record<string, unknown>>>,
): Promise<string> {
  const said = nameIn(claims);
  if (said !== undefined) return said;
  const known = await more().catch(() => ({}));
  return nameIn(known) ?? shortened(plainText(claims.sub), maxLength);
}

function nameIn(claims: Readonly<Record<string, unknown>>): string | undefined {
  for (const claim of ['name', 'preferred_username', 'email']) {
    const value = claims[claim];
    const name = typeof value === 'string' ? shortened(plainText(value), maxLength) : '';
    if (name !== '') return name;
  }
  return undefined;
}
