/**
 * Who may read `/metrics`. They name the peers and tell how busy each is: nobody's business but the
 * operator's, once strangers can reach the listener.
 */
import type { IncomingMessage } from 'node:http';
import { notLocal } from './admin/local-only.ts';

/** Why the metrics are not shown to a caller, as a text for it; undefined shows them. */
export type MetricsCheck = (
  req: IncomingMessage,
  scopes: readonly string[] | undefined,
) => string | undefined;

/**
 * In `open` mode, on loopback, everybody may; in `oauth` mode a program on this machine, whom no
 * proxy has forwarded, and whoever has the scope `admin` (`undefined`: no valid token was sent).
 */
export function metricsCheck(mode: 'open' | 'oauth'): MetricsCheck {
  return (req, scopes) => {
    if (mode === 'open' || scopes?.includes('admin') === true) return undefined;
    const refused = notLocal(req);
    return refused && `${refused} Elsewhere it needs a token with the scope "admin".`;
  };
}
