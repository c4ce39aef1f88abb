/**
 * `isthmus check`: reaches every peer of a configuration and says what it found.
 */
import { GatewayError } from './model/errors.ts';
import { gatewayItself } from './ports/credentials.ts';
import type { Peer } from './ports/peer.ts';

/** What became of one peer. */
export interface PeerReport {
  peer: string;
  protocol: 'a2a' | 'mcp' | 'unknown';
  ok: boolean;
  /** The peer's own name and version. */
  name: string;
  version: string;
  /** The interface and protocol version that would be used. */
  speaks: string;
  offers: string;
  /** Why it is not ok. */
  problem: string;
}

/** Reaches every peer, at the same time. */
export async function checkPeers(peers: readonly Peer[]): Promise<PeerReport[]> {
  return Promise.all(peers.map(checkPeer));
}

/** The report of a peer of which only a place is known, and nothing was found there. */
export function notFound(peer: string, problem: string): PeerReport {
  const blank = { name: '', version: '', speaks: '', offers: '' };
  return { peer, protocol: 'unknown', ok: false, ...blank, problem };
}

async function checkPeer(peer: Peer): Promise<PeerReport> {
  const report: PeerReport = {
    peer: peer.id,
    protocol: peer.protocol,
    ok: true,
    name: '',
    version: '',
    speaks: '',
    offers: '',
    problem: '',
  };
  try {
    if (peer.protocol === 'a2a') {
      const card = await peer.card();
      const [first] = card.supportedInterfaces;
      return {
        ...report,
        name: card.name,
        version: card.version,
        speaks: `A2A ${first?.protocolVersion ?? '?'} ${first?.protocolBinding ?? ''}`.trim(),
        offers: count(card.skills.length, 'skill'),
      };
    }
    const catalogue = await peer.catalogue({
      principal: gatewayItself,
      signal: AbortSignal.timeout(30_000),
    });
    const { name, version } = catalogue.serverInfo;
    return {
      ...report,
      name: typeof name === 'string' ? name : '',
      version: typeof version === 'string' ? version : '',
      speaks: `MCP ${catalogue.revision}`,
      offers: [
        count(catalogue.tools.length, 'tool'),
        count(catalogue.prompts.length, 'prompt'),
        count(catalogue.resources.length, 'resource'),
      ].join(', '),
    };
  } catch (error) {
    const problem = error instanceof GatewayError ? error.message : 'internal error';
    return { ...report, ok: false, problem };
  }
}

/** The reports as a table for a terminal. */
export function reportTable(reports: readonly PeerReport[]): string {
  const header = ['PEER', 'PROTOCOL', 'OK', 'NAME', 'VERSION', 'SPEAKS', 'OFFERS'];
  const rows = reports.map((report) => [
    report.peer,
    report.protocol,
    report.ok ? 'yes' : 'NO',
    report.name,
    report.version,
    report.speaks,
    report.ok ? report.offers : report.problem,
  ]);
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  return [header, ...rows]
    .map((row) =>
      row
        .map((cell, column) =>
          column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}
