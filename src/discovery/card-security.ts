/**
 * How callers of an A2A face prove who they are, as its card declares it: the issuers whose tokens
 * are accepted there, and the scopes that let a caller in.
 *
 * Differs between versions: 1.0 names the kind of a scheme by a member, 0.3 by `type`. A hybrid card
 * carries both; no member has two meanings.
 *
 * Spec: A2A 1.0 §4.5 (security objects), §7 (authentication); A2A 0.3 §5.5.3
 */
import type { CardSecurity } from '../model/a2a.ts';
import type { JsonObject } from '../model/json.ts';
import { gatewayPeerId } from '../ports/peer.ts';

/** Whose tokens the gateway accepts. */
export interface CardSecurityOptions {
  readonly publicUrl: string;
  /** Issuers outside of the gateway. */
  readonly issuers: readonly string[];
  /** Whether machines get tokens from the gateway's own STS. */
  readonly sts: boolean;
  /** Whether clients of people get tokens from the gateway's own authorization server. */
  readonly authorizationServer: boolean;
}

/** The declaration for a peer's card, or that of the gateway's own agent. */
export function cardSecurity(options: CardSecurityOptions): (peerId: string) => CardSecurity {
  const { publicUrl, issuers, sts, authorizationServer } = options;
  const origin = publicUrl.replace(/\/+$/, '');
  return (peerId) => {
    const scopes = scopesOf(peerId);
    const schemes: CardSecurity['securitySchemes'] = {};
    if (sts) {
      const clientCredentials = { tokenUrl: `${origin}/sts/token`, scopes };
      schemes['machine'] = oauth2({
        description: 'For machines: private_key_jwt at the token service of this gateway.',
        flows: { clientCredentials },
        oauth2MetadataUrl: `${origin}/.well-known/oauth-authorization-server/sts`,
      });
    }
    if (authorizationServer) {
      const authorizationCode = {
        authorizationUrl: `${origin}/as/authorize`,
        tokenUrl: `${origin}/as/token`,
        scopes,
        pkceRequired: true,
      };
      schemes['person'] = oauth2({
        description: 'For clients of people, who log in at their organization.',
        flows: { authorizationCode },
        oauth2MetadataUrl: `${origin}/.well-known/oauth-authorization-server/as`,
      });
    }
    for (const [index, issuer] of issuers.entries()) {
      const openIdConnectUrl = `${issuer.replace(/\/+$/, '')}/.well-known/openid-configuration`;
      schemes[index === 0 ? 'issuer' : `issuer-${index + 1}`] = {
        openIdConnectSecurityScheme: {
          description: `Access tokens of ${issuer} for this agent's URL (RFC 8707).`,
          openIdConnectUrl,
        },
      };
    }
    const list = peerId === gatewayPeerId ? [] : [`peer:${peerId}:call`];
    return {
      securitySchemes: schemes,
      securityRequirements: Object.keys(schemes).map((name) => ({ schemes: { [name]: { list } } })),
    };
  };
}

/** The same declaration with what readers of 0.3 look for. */
export function hybridSecurity(security: CardSecurity): JsonObject {
  const schemes = Object.entries(security.securitySchemes).map(([name, scheme]) => {
    const [kind = '', facts = {}] = Object.entries(scheme)[0] ?? [];
    return [name, { ...scheme, type: legacyTypes[kind] ?? kind, ...facts }] as const;
  });
  return {
    securitySchemes: Object.fromEntries(schemes),
    security: security.securityRequirements.map(({ schemes: needed }) =>
      Object.fromEntries(Object.entries(needed).map(([name, { list }]) => [name, list])),
    ),
  };
}

const legacyTypes: Readonly<Record<string, string>> = {
  oauth2SecurityScheme: 'oauth2',
  openIdConnectSecurityScheme: 'openIdConnect',
};

function oauth2(scheme: JsonObject): { oauth2SecurityScheme: JsonObject } {
  return { oauth2SecurityScheme: scheme };
}

function scopesOf(peerId: string): { [scope: string]: string } {
  const id = peerId === gatewayPeerId ? '*' : peerId;
  const whom = peerId === gatewayPeerId ? 'every peer' : `"${peerId}"`;
  return {
    [`peer:${id}:read`]: `Look at ${whom} and at one's own tasks there`,
    [`peer:${id}:call`]: `Have ${whom} work`,
  };
}
