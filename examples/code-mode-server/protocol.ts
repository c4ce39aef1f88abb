/** What the program and the thread of a sandbox say to each other: text and numbers, nothing else. */

/** A tool as the code in the sandbox sees it. */
export interface ShownTool {
  name: string;
  description: string;
  inputSchema: unknown;
}

/** What a thread is started with. */
export interface Job {
  code: string;
  tools: ShownTool[];
  limits: Limits;
}

/** How much the code may use. */
export interface Limits {
  /** Of computing, in milliseconds; waiting for tools does not count. */
  computeMs: number;
  /** Of everything, in milliseconds. */
  totalMs: number;
  memoryBytes: number;
  stackBytes: number;
  /** Characters of the value. */
  value: number;
  /** Characters of console output; what is more is left out. */
  console: number;
  calls: number;
  /** Characters of the arguments of one call. */
  arguments: number;
}

/** From the thread. */
export type FromThread =
  | { kind: 'call'; id: number; name: string; arguments: string }
  | { kind: 'console'; line: string }
  | { kind: 'done'; value: string | undefined }
  | { kind: 'failed'; error: string };

/** To the thread. */
export interface Answer {
  id: number;
  ok: boolean;
  /** JSON, or the words of an error. */
  text: string;
}
