/** Follows documents to the peers that they describe, within the bounds of one inquiry. */
import { agentCandidate } from './agent-candidate.ts';
import { shown } from './candidate.ts';
import type { Candidate } from './candidate.ts';
import { catalogEntries } from './catalog-entries.ts';
import type { CatalogEntry } from './catalog-entries.ts';
import { documentKind, kindNames } from './document-kind.ts';
import type { DocumentKind } from './document-kind.ts';
import type { Answer, Inquiry, OpenStep } from './inquiry.ts';
import { mcpEndpoints } from './mcp-endpoints.ts';
import { registryServers } from './registry-servers.ts';
import { serverCandidate } from './server-candidate.ts';

/** A document and how it was come by. */
interface Found {
  readonly value: unknown;
  readonly kind: DocumentKind;
  /** The document's own URL, or that of the one that holds it. */
  readonly at: URL;
  /** Its text, where it stands by itself. */
  readonly raw?: string;
  readonly step: OpenStep;
  readonly foundAt: readonly string[];
  /** How many catalogs it is in. */
  readonly depth: number;
  readonly warnings: readonly string[];
}

/** Where a document was named. */
export interface Named {
  readonly foundAt: readonly string[];
  readonly depth: number;
  /** What it has to be: whoever names it says so. */
  readonly kind?: DocumentKind;
  readonly warnings?: readonly string[];
}

/** The top: nobody named it but the person who asks. */
export const asked: Named = { foundAt: [], depth: 0 };

/** One search. */
export class PeerSearch {
  readonly candidates: Candidate[] = [];
  readonly #inquiry: Inquiry;
  readonly #all: boolean;

  /** With `all`, goes on after the first peer that can be used. */
  constructor(inquiry: Inquiry, all: boolean) {
    this.#inquiry = inquiry;
    this.#all = all;
  }

  /** Whether nothing more needs to be looked at. */
  get isOver(): boolean {
    if (this.candidates.length >= this.#inquiry.limits.candidates) return true;
    return !this.#all && this.candidates.some(({ problem }) => problem === undefined);
  }

  /** Asks for a document and reads it. */
  async askAndRead(url: URL, why: string, named: Named = asked): Promise<Answer | undefined> {
    const answer = await this.#inquiry.ask(url, why);
    if (answer !== undefined) await this.read(answer, named);
    return answer;
  }

  /** Reads what an address answered. Says whether it led to a peer. */
  async read({ document, url, step }: Answer, named: Named = asked): Promise<void> {
    if (document === undefined) return;
    const { value, raw, mediaType } = document;
    const kind = documentKind(value, mediaType);
    const { foundAt, depth, warnings = [] } = named;
    const path = [...foundAt, url.href];
    await this.#readFound(
      { value, raw, kind, at: url, step, foundAt: path, depth, warnings },
      named,
    );
  }

  /** Adds a peer once. */
  add(candidate: Candidate): void {
    const known = this.candidates.some(
      ({ kind, url }) => kind === candidate.kind && url === candidate.url,
    );
    if (!known && this.candidates.length < this.#inquiry.limits.candidates) {
      this.candidates.push(candidate);
    }
  }

  async #readFound(found: Found, { kind: expected }: Pick<Named, 'kind'>): Promise<void> {
    const { step, kind } = found;
    step.found = kindNames[kind];
    if (expected !== undefined && kind !== expected) {
      step.outcome = 'refused';
      step.found = `${kindNames[kind]}, where ${kindNames[expected]} was announced`;
      return;
    }
    switch (kind) {
      case 'agent-card':
        await this.#readAgentCard(found);
        break;
      case 'server-card':
        this.#addServer(found, found.value);
        break;
      case 'registry-entry':
      case 'registry-list':
        this.#readRegistry(found);
        break;
      case 'mcp-json':
        await this.#readMcpJson(found);
        break;
      case 'ai-catalog':
        await this.#readCatalog(found);
        break;
      case 'json-rpc':
      case 'unknown':
        step.outcome = 'refused';
        break;
      default:
        kind satisfies never;
    }
  }

  async #readAgentCard({ value, raw, at, step, foundAt, warnings }: Found): Promise<void> {
    const isInline = raw === undefined;
    const unreachable =
      'its card is only inside another document; the gateway needs a URL of its own for it';
    const place = { at, raw, foundAt, ...(isInline && { unreachable }) };
    const read = agentCandidate(value, place);
    if ('problem' in read) {
      step.outcome = 'refused';
      step.found = read.problem;
      return;
    }
    step.found = read.summary;
    const candidate = { ...read.candidate, warnings: [...warnings, ...read.candidate.warnings] };
    if (isInline && candidate.speaks !== undefined) {
      if (await this.#findOwnCard(candidate, candidate.speaks.url)) return;
    }
    this.add(candidate);
  }

  /** Looks for the card of an agent whose card came inside another document. */
  async #findOwnCard(inline: Candidate, interfaceUrl: string): Promise<boolean> {
    const base = new URL(interfaceUrl);
    base.search = '';
    const below = new URL(base);
    if (!below.pathname.endsWith('/')) below.pathname += '/';
    for (const start of [below, new URL('/', base)]) {
      const url = new URL('.well-known/agent-card.json', start);
      const answer = await this.#inquiry.ask(url, 'the card came inside another document');
      if (answer?.document === undefined) continue;
      const { value, raw } = answer.document;
      const foundAt = [...inline.foundAt, url.href];
      const read = agentCandidate(value, { at: url, raw, foundAt });
      if ('problem' in read || read.candidate.speaks?.url !== interfaceUrl) {
        answer.step.outcome = 'refused';
        answer.step.found = 'another card than the one inside the document';
        continue;
      }
      answer.step.found = read.summary;
      this.add(read.candidate);
      return true;
    }
    return false;
  }

  #addServer(
    { at, step, foundAt, warnings }: Found,
    value: unknown,
    more: { withdrawn?: string; warnings?: readonly string[] } = {},
  ): void {
    const read = serverCandidate(value, {
      at,
      foundAt,
      withdrawn: more.withdrawn,
      warnings: [...warnings, ...(more.warnings ?? [])],
    });
    if ('problem' in read) {
      step.outcome = 'refused';
      step.found = read.problem;
      return;
    }
    step.found = `${kindNames['server-card']}: ${read.summary}`;
    this.add(read.candidate);
  }

  #readRegistry(found: Found): void {
    const { servers, more } = registryServers(found.value);
    const { step, at } = found;
    const count = `${servers.length} server${servers.length === 1 ? '' : 's'}`;
    for (const { server, pointer, withdrawn, warnings } of servers) {
      if (this.isOver) break;
      const why = 'an entry of the registry';
      const inner = this.#inquiry.note(`${at.href}#${pointer}`, why, {
        outcome: 'read',
        found: '',
      });
      this.#addServer({ ...found, step: inner }, server, { withdrawn, warnings });
    }
    step.found = `${kindNames[found.kind]} with ${count}${more ? '; further pages are not read' : ''}`;
  }

  async #readMcpJson({ value, at, step, foundAt, depth, warnings }: Found): Promise<void> {
    const { candidates, cards } = mcpEndpoints(value, at, foundAt);
    const count = candidates.length;
    step.found = `${kindNames['mcp-json']} with ${count} endpoint${count === 1 ? '' : 's'}`;
    if (count + cards.length === 0) step.outcome = 'refused';
    for (const candidate of candidates) {
      this.add({ ...candidate, warnings: [...warnings, ...candidate.warnings] });
    }
    for (const card of cards) {
      if (this.isOver) return;
      await this.askAndRead(card, 'mcp.json names this server card', { foundAt, depth });
    }
  }

  async #readCatalog(found: Found): Promise<void> {
    const { step, depth, at } = found;
    if (depth >= this.#inquiry.limits.depth) {
      step.outcome = 'refused';
      step.found = `an AI catalog inside ${depth} others, which is too deep`;
      return;
    }
    const read = catalogEntries(found.value);
    if ('problem' in read) {
      step.outcome = 'refused';
      step.found = read.problem;
      return;
    }
    const { entries, skipped } = read;
    const count = entries.length + skipped.length;
    const size = `${count} entr${count === 1 ? 'y' : 'ies'}`;
    step.found = `${kindNames['ai-catalog']} with ${size}${skippedText(skipped)}`;
    for (const [index, entry] of entries.entries()) {
      if (this.isOver) return;
      const { spent } = this.#inquiry;
      if (spent !== undefined) {
        const rest = entries.length - index;
        step.found += `; ${rest} of them not looked at, because ${spent}`;
        return;
      }
      await this.#follow(entry, found, at);
    }
  }

  async #follow(entry: CatalogEntry, { foundAt, depth, warnings }: Found, at: URL): Promise<void> {
    const named: Named = {
      foundAt,
      depth: depth + 1,
      kind: entry.kind,
      warnings: [...warnings, ...entry.warnings],
    };
    const why = `the catalog names it: "${shown(entry.name, 60)}"`;
    const pointer = `${at.href}#${entry.pointer}`;
    if ('url' in entry.content) {
      const url = URL.parse(entry.content.url, at.href);
      if (url === null) {
        this.#inquiry.note(pointer, why, { outcome: 'refused', found: 'its URL cannot be read' });
        return;
      }
      const answer = await this.askAndRead(url, why, named);
      if (answer !== undefined) return;
      const found = 'a document that was read already';
      this.#inquiry.note(url.href, why, { outcome: 'nothing', found });
      return;
    }
    const { data: value } = entry.content;
    const step = this.#inquiry.note(pointer, why, { outcome: 'read', found: '' });
    const kind = entry.kind ?? documentKind(value, '');
    const inside = { value, kind, at, step, foundAt: [...foundAt, pointer] };
    await this.#readFound({ ...inside, depth: depth + 1, warnings: named.warnings ?? [] }, {});
  }
}

function skippedText(skipped: readonly { pointer: string; whyNot: string }[]): string {
  if (skipped.length === 0) return '';
  const reasons = [...new Set(skipped.map(({ whyNot }) => whyNot))];
  const more = reasons.length > 3 ? ' …' : '';
  return `, ${skipped.length} of them not followed: ${reasons.slice(0, 3).join('; ')}${more}`;
}
