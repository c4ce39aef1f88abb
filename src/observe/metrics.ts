import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** What the gateway counts. Times are in seconds, as Prometheus wants them. */
export interface Metrics {
  /** One request at a face. `outcome` is `ok`, `error` or an error code. */
  request(facts: { face: string; method: string; outcome: string; seconds: number }): void;
  /** One exchange with a peer. */
  peerCall(facts: { peer: string; outcome: string; seconds: number }): void;
  /** A task went from one state to another; from `none` when it was created. */
  taskTransition(facts: { from: string; to: string }): void;
  /** A stream was opened; call the result once when it ends. */
  streamOpened(face: string): () => void;
  streamClosedSlow(face: string): void;
  /** By how many the questions that wait for an answer changed; after a start, those found. */
  openInterrupts(change: number): void;
  /** One commit of the store, and how many appends it held. */
  storeFlush(facts: { seconds: number; appends: number }): void;
  egressRefused(reason: string): void;
  configReload(outcome: string): void;
  recovered(outcome: string): void;
  /** The text of `/metrics`. */
  expose(): Promise<{ contentType: string; text: string }>;
}

const durations = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Builds the metrics on a registry of their own. `runtime` adds memory, CPU and event-loop lag. */
export function createMetrics(options: { runtime: boolean }): Metrics {
  const registry = new Registry();
  const registers = [registry];
  if (options.runtime) collectDefaultMetrics({ register: registry });

  const requests = new Histogram({
    name: 'isthmus_request_duration_seconds',
    help: 'Requests at the faces by face, method and outcome',
    labelNames: ['face', 'method', 'outcome'],
    buckets: durations,
    registers,
  });
  const peerCalls = new Histogram({
    name: 'isthmus_peer_call_duration_seconds',
    help: 'Exchanges with peers by peer and outcome',
    labelNames: ['peer', 'outcome'],
    buckets: durations,
    registers,
  });
  const flushes = new Histogram({
    name: 'isthmus_store_flush_duration_seconds',
    help: 'Commits of the store',
    buckets: durations,
    registers,
  });
  const appends = new Counter({
    name: 'isthmus_store_appends_total',
    help: 'Appends that the commits held',
    registers,
  });
  const streams = new Gauge({
    name: 'isthmus_open_streams',
    help: 'Event streams that are open, by face',
    labelNames: ['face'],
    registers,
  });
  const interrupts = new Gauge({
    name: 'isthmus_open_interrupts',
    help: 'Questions that wait for an answer',
    registers,
  });
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[]) =>
    new Counter({ name: `isthmus_${name}_total`, help, labelNames, registers });
  const transitions = counter('task_transitions', 'Changes of task states', ['from', 'to']);
  const slow = counter('streams_closed_slow', 'Streams closed because nobody read them', ['face']);
  const refusals = counter('egress_refused', 'Outbound requests that were refused', ['reason']);
  const reloads = counter('config_reloads', 'Reloads of the configuration', ['outcome']);
  const recoveries = counter('recovered_tasks', 'Tasks found after a restart', ['outcome']);

  // Methods and peers come from outside; without a bound a client could fill the memory.
  const methodLabel = boundedLabel(64);
  const peerLabel = boundedLabel(1000);

  return {
    request({ face, method, outcome, seconds }) {
      requests.observe({ face, method: methodLabel(method), outcome }, seconds);
    },
    peerCall({ peer, outcome, seconds }) {
      peerCalls.observe({ peer: peerLabel(peer), outcome }, seconds);
    },
    taskTransition: ({ from, to }) => transitions.labels(from, to).inc(),
    streamOpened(face) {
      const gauge = streams.labels(face);
      let open = true;
      gauge.inc();
      return () => {
        if (open) gauge.dec();
        open = false;
      };
    },
    streamClosedSlow: (face) => slow.labels(face).inc(),
    openInterrupts: (change) => interrupts.inc(change),
    storeFlush({ seconds, appends: count }) {
      flushes.observe(seconds);
      appends.inc(count);
    },
    egressRefused: (reason) => refusals.labels(reason).inc(),
    configReload: (outcome) => reloads.labels(outcome).inc(),
    recovered: (outcome) => recoveries.labels(outcome).inc(),
    expose: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}

/** Lets the first `max` values through and calls every further one "other". */
function boundedLabel(max: number): (value: string) => string {
  const known = new Set<string>();
  return (value) => {
    if (known.has(value)) return value;
    if (known.size >= max || value.length > 128) return 'other';
    known.add(value);
    return value;
  };
}
