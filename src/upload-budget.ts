/**
 * A bound on the request bodies that are on their way at the same time: each of them may be within
 * its own limit, and all of them together more than the memory holds.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { addressGroup, isSharedAddress } from './auth/remote-address.ts';

/** How much may be on its way. */
export interface UploadBounds {
  /** Of all requests together, in bytes. */
  readonly bodies: number;
  /** Of one request; what declares more is never read. */
  readonly body: number;
}

/**
 * Counts a request's body as it arrives, until it is here or the request is answered. False: there is no room now
 * for what it says will come.
 */
export type UploadBudget = (req: IncomingMessage, res: ServerResponse) => boolean;

/** Bodies up to this size are not counted: they are most of the requests, and no danger. */
const small = 16 * 1024;

/** The part of the room that one network address may take. */
const shareOfAddress = 4;

/** Whether a request has a body that may be large. */
export function hasLargeBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || declaredLength(headers) > small;
}

/** An empty budget. */
export function createUploadBudget({ bodies, body }: UploadBounds): UploadBudget {
  let all = 0;
  const ofAddress = new Map<string, number>();
  const mostOfAddress = Math.max(bodies / shareOfAddress, body);

  const fits = (address: string | undefined, bytes: number): boolean =>
    all + bytes <= bodies &&
    (address === undefined || (ofAddress.get(address) ?? 0) + bytes <= mostOfAddress);
  const add = (address: string | undefined, bytes: number): void => {
    all += bytes;
    if (address === undefined) return;
    const taken = (ofAddress.get(address) ?? 0) + bytes;
    if (taken > 0) ofAddress.set(address, taken);
    else ofAddress.delete(address);
  };
  return (req, res) => {
    const length = declaredLength(req.headers);
    if (!hasLargeBody(req) || length > body) return true;
    const { remoteAddress } = req.socket;
    const address = isSharedAddress(remoteAddress) ? undefined : addressGroup(remoteAddress);
    if (!fits(address, length)) return false;
    // What is only announced holds no room: whoever announces much and stays silent keeps nobody out.
    let taken = 0;
    let isOver = false;
    const giveBack = (): void => {
      if (isOver) return;
      isOver = true;
      add(address, -taken);
    };
    req.once('close', giveBack);
    // A body that nobody reads does not end, nor does it close with its socket once it is answered.
    res.once('close', giveBack);
    countArriving(req, (bytes) => {
      // Whoever has begun to answer reads on to drop the rest, if at all.
      if (isOver || res.headersSent) return true;
      if (!fits(address, bytes)) return false;
      add(address, bytes);
      taken += bytes;
      return true;
    });
    return true;
  };
}

function declaredLength(headers: IncomingMessage['headers']): number {
  return Number(headers['content-length'] ?? 0);
}

/**
 * Counts a body as it arrives; cuts it off when there is no room. Listening to `data` would start
 * the flow before there is a reader.
 */
function countArriving(req: IncomingMessage, take: (bytes: number) => boolean): void {
  const push = req.push.bind(req);
  req.push = (chunk: Buffer | null, encoding) => {
    if (chunk !== null && !take(chunk.length)) {
      req.destroy();
      return false;
    }
    return push(chunk, encoding);
  };
}
