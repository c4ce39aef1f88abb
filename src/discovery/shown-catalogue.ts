/** What may be shown of a server's catalogue, as one object for as long as it is the same. */
import { LRUCache } from 'lru-cache';
import type { JsonObject } from '../model/json.ts';
import type { Catalogue } from '../ports/peer.ts';
import { sameMembers, type DefinitionJudge } from './definition-judge.ts';
import { selfName, selfOfServer, silentServer, textDigest, withServerSelf } from './definitions.ts';
import { cleaned } from './hidden-text.ts';

/** Callers may be shown different catalogues. */
const maxShown = 64;

/** See the file comment. */
export class ShownCatalogue {
  readonly #judge: DefinitionJudge;
  /** By version, so that equal content is one object. */
  readonly #shown = new LRUCache<string, Catalogue>({ max: maxShown });

  constructor(judge: DefinitionJudge) {
    this.#judge = judge;
  }

  /** Judges a catalogue. The very same object where nothing of it has to be changed. */
  of(raw: Catalogue): Catalogue {
    const said = this.#judge.self(selfName, selfOfServer(raw), silentServer);
    const lists = {
      tools: this.#judge.list('tool', raw.tools),
      prompts: this.#judge.list('prompt', raw.prompts),
      resources: cleanedAll(raw.resources),
      resourceTemplates: cleanedAll(raw.resourceTemplates),
    };
    const same =
      said === undefined &&
      lists.tools === raw.tools &&
      lists.prompts === raw.prompts &&
      lists.resources === raw.resources &&
      lists.resourceTemplates === raw.resourceTemplates;
    if (same) {
      this.#shown.set(raw.version, raw);
      return raw;
    }
    const { serverInfo, instructions, capabilities, revision } =
      said === undefined ? raw : withServerSelf(raw, said);
    // The order of the connector's own: equal content has an equal version.
    const content = {
      serverInfo,
      ...(instructions !== undefined && { instructions }),
      capabilities,
      revision,
      ...lists,
    };
    const version = textDigest(content);
    const known = this.#shown.get(version);
    if (known !== undefined) return known;
    const made: Catalogue = { ...content, version };
    this.#shown.set(version, made);
    return made;
  }
}

/** Resources are read, not followed: their texts are cleaned, and nothing of them is pinned. */
function cleanedAll(members: JsonObject[]): JsonObject[] {
  const shown = members.flatMap((member) => {
    const clean = cleaned(member);
    return clean.ok ? [clean.definition] : [];
  });
  return sameMembers(shown, members) ? members : shown;
}
