/**
 * What a peer is shown to say about lending. Who calls it through the gateway lends to the gateway,
 * which may lend on: the peer's own client id is nobody's business but ours.
 */
import { hash } from 'node:crypto';
import type { AgentCard } from '../model/a2a.ts';
import { isObject, type JsonObject } from '../model/json.ts';
import { leaseExtension, leaseMeta } from '../model/lease.ts';
import type { Catalogue } from '../ports/peer.ts';

/** Shows cards and catalogues with the gateway's client id in the place of the peer's. */
export class ShownExtension {
  readonly #client: () => string | undefined;
  readonly #shown = new WeakMap<object, { client: string | undefined; shown: object }>();

  /** `client` is the gateway's own id where it may lend on to this peer. */
  constructor(client: () => string | undefined) {
    this.#client = client;
  }

  /** The same object while neither the card nor what is said changes. */
  card(card: AgentCard): AgentCard {
    return this.#once(card, (client) => {
      const { extensions = [], ...rest } = card.capabilities;
      const others = extensions.filter(({ uri }) => uri !== leaseExtension);
      if (client === undefined && others.length === extensions.length) return card;
      const own = client === undefined ? [] : [extensionOf(client)];
      return { ...card, capabilities: { ...rest, extensions: [...others, ...own] } };
    });
  }

  /** The same of a catalogue. */
  catalogue(catalogue: Catalogue): Catalogue {
    return this.#once(catalogue, (client) => {
      const { extensions, ...rest } = catalogue.capabilities;
      const { [leaseMeta]: theirs, ...others } = isObject(extensions) ? extensions : {};
      if (client === undefined && theirs === undefined) return catalogue;
      const shown = { ...others };
      if (client !== undefined) shown[leaseMeta] = { client_id: client };
      const capabilities: JsonObject = { ...rest };
      if (Object.keys(shown).length > 0) capabilities['extensions'] = shown;
      const version = hash('sha256', `${catalogue.version} ${client ?? ''}`, 'base64url');
      return { ...catalogue, capabilities, version: version.slice(0, catalogue.version.length) };
    });
  }

  #once<T extends object>(source: T, make: (client: string | undefined) => T): T {
    const client = this.#client();
    const known = this.#shown.get(source);
    if (known !== undefined && known.client === client) return known.shown as T;
    const shown = make(client);
    this.#shown.set(source, { client, shown });
    return shown;
  }
}

function extensionOf(client: string) {
  return {
    uri: leaseExtension,
    description: 'Takes offers of tools, for as long as a task lasts.',
    required: false,
    params: { client_id: client },
  };
}
