/**
 * Which of an agent's interfaces we talk to, and why not to the others. A binding or version that
 * is not known is passed over with the reason, never taken for one that is.
 *
 * Spec: A2A 1.0 §8.3 (protocol declaration: the order is the agent's preference), §3.6 (versions)
 */
import type { AgentInterface } from '../model/a2a.ts';

/** The bindings that we speak. */
export type SpokenBinding = 'JSONRPC' | 'HTTP+JSON';

/** An interface that we can talk to. */
export type SpokenInterface = AgentInterface & { protocolBinding: SpokenBinding };

/** An interface that is not used. Members hold what the card says, `?` where it says nothing. */
export interface PassedOver {
  readonly url: string;
  readonly protocolBinding: string;
  readonly protocolVersion: string;
  readonly whyNot: string;
}

/** The interface in use and the others. */
export interface InterfaceChoice {
  readonly chosen: SpokenInterface;
  readonly why: string;
  readonly others: readonly PassedOver[];
}

/** What decides beside the card's own order. */
export interface ChoosingOptions {
  /** Origins where an interface is preferred to one elsewhere: the card's own and pinned ones. */
  readonly origins?: readonly string[];
  /** Says what speaks against a URL although its scheme is right. */
  readonly objection?: (url: URL) => string | undefined;
}

/** Whether an interface speaks a version before 1.0. */
export function isLegacyInterface({ protocolVersion }: AgentInterface): boolean {
  return /^0\.[2-9](\.|$)/.test(protocolVersion);
}

/** Chooses; without a `choice` none can be used and `others` says why. */
export function chooseInterface(
  interfaces: readonly AgentInterface[],
  options: ChoosingOptions = {},
): { choice?: InterfaceChoice; others: readonly PassedOver[] } {
  const refused: PassedOver[] = [];
  const spoken: SpokenInterface[] = [];
  for (const one of interfaces) {
    const { url, protocolBinding, protocolVersion } = one;
    const whyNot = objectionTo(one, options);
    if (whyNot !== undefined) refused.push({ url, protocolBinding, protocolVersion, whyNot });
    else spoken.push({ ...one, protocolBinding: bindingOf(one) });
  }
  const [first] = spoken;
  if (first === undefined) return { others: refused };
  const chosen = spoken.find(({ url }) => options.origins?.includes(new URL(url).origin)) ?? first;
  const rest = spoken
    .filter((one) => one !== chosen)
    .map(({ url, protocolBinding, protocolVersion }) => {
      const elsewhere = chosen !== first && spokenBefore(spoken, url, chosen);
      const whyNot = elsewhere
        ? 'it is at another origin than the card'
        : 'the card names the chosen one first';
      return { url, protocolBinding, protocolVersion, whyNot };
    });
  const others = [...rest, ...refused];
  return { choice: { chosen, why: reasonFor(chosen, spoken), others }, others };
}

function bindingOf({ protocolBinding }: AgentInterface): SpokenBinding {
  return protocolBinding.toUpperCase() === 'JSONRPC' ? 'JSONRPC' : 'HTTP+JSON';
}

function spokenBefore(all: readonly SpokenInterface[], url: string, one: SpokenInterface): boolean {
  return all.findIndex((other) => other.url === url) < all.indexOf(one);
}

function reasonFor(chosen: SpokenInterface, spoken: readonly SpokenInterface[]): string {
  if (spoken.length === 1) return 'it is the only one on the card that the gateway speaks';
  return chosen === spoken[0]
    ? 'it is the first on the card that the gateway speaks'
    : "it is the first that the gateway speaks at the card's own origin or a listed one";
}

function objectionTo(one: AgentInterface, { objection }: ChoosingOptions): string | undefined {
  const binding = one.protocolBinding.toUpperCase();
  if (binding !== 'JSONRPC' && binding !== 'HTTP+JSON') {
    return 'the gateway speaks JSONRPC and HTTP+JSON only';
  }
  const ofVersion = objectionToVersion(one, binding);
  if (ofVersion !== undefined) return ofVersion;
  const url = URL.parse(one.url);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    return 'its URL is not an absolute http or https URL';
  }
  return objection?.(url);
}

function objectionToVersion(one: AgentInterface, binding: SpokenBinding): string | undefined {
  const { protocolVersion } = one;
  if (/^0\.2(\.|$)/.test(protocolVersion) && binding === 'HTTP+JSON') {
    return 'HTTP+JSON of A2A 0.2 is not that of 0.3; of 0.2 only JSONRPC can be spoken';
  }
  if (isLegacyInterface(one) || /^1(\.|$)/.test(protocolVersion)) return undefined;
  if (/^0\.[01](\.|$)/.test(protocolVersion)) {
    return 'A2A before 0.2 sends tasks (tasks/send), not messages; the agent has to be updated';
  }
  return 'the gateway speaks A2A 1.0, 0.3 and 0.2 only';
}
