/** Signs the gateway's cards with the key that is active. */
import type { CardSigner } from './a2a/card-endpoint.ts';
import type { SigningKeys } from './auth/signing-keys.ts';
import { signCardInSlices } from './discovery/card-signature.ts';

/** A signer that follows the keys. Cards name the key set of the origin. Spec: RFC 7515 §4.1.2 */
export function createCardSigner(keys: SigningKeys, publicUrl: string): () => CardSigner {
  const options = { jku: `${publicUrl}/.well-known/jwks.json` };
  return () => {
    const { active } = keys.current();
    const texts = new WeakMap<object, string>();
    return {
      kid: active.kid,
      sign: (card) => signCardInSlices(card, active, { ...options, texts }),
    };
  };
}
